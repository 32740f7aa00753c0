"""Frame metrics, curves and a report page for anyone's scores, from any program.

  python tools/evaluate.py --scores=scores.npz --dataset=ucf --out=report
  python tools/evaluate.py --scores=scores/ --dataset=folder --root=my_clips --compare=other.npz --out=report
  python tools/evaluate.py --scores=pred.npy --list=ucf-test.list --labels=gt-ucf.npy --label_list=ucf-test.list \\
      --tail=ceil --dataset=ucf --out=report

--scores is a .npz (a name for each array; of our own scores.npz what lies under scores/), a folder of .npy or .csv
files, one a video, or one flat .npy in the order of --list. Numbers may be one a frame or one a snippet of 16 frames:
their counts decide. Names are matched by stem; _x264, _i3d, _clip and the like are ignored. Exit status 0: all used;
1: some were not (errors.jsonl); 2: it could not run.
"""

from pathlib import Path

from absl import flags

from gvvad_jax import program

SCORES = flags.DEFINE_string("scores", None, "Scores: a .npz, a folder, or a flat .npy with --list.")
DATASET = flags.DEFINE_string("dataset", None, "ucf, xd, shanghaitech, tad, ped2, ubnormal or folder.")
ROOT = flags.DEFINE_string("root", None, "The folder of raw videos or annotations, where the package has no table.")
SPLIT = flags.DEFINE_enum("split", "test", ["test", "train", "validation", "all"], "Which videos are evaluated.")
LIST = flags.DEFINE_string("list", None, "The order of the videos in a flat array of scores, a name or path a line.")
UNIT = flags.DEFINE_enum("unit", "auto", ["auto", "frame", "snippet"], "What one score stands for.")
TAIL = flags.DEFINE_enum("tail", "exact", ["exact", "floor", "ceil"], "Frames after the last whole snippet.")
LABELS = flags.DEFINE_string("labels", None, "A published ground truth: .npz by name, or a flat .npy.")
LABEL_LIST = flags.DEFINE_string("label_list", None, "The order of the videos in a flat ground truth.")
PADDING = flags.DEFINE_enum("label_padding", "zero", ["zero", "last"], "What fills up labels that are too short.")
COMPARE = flags.DEFINE_string("compare", None, "Other scores of the same videos, for a table of differences.")
SKIP = flags.DEFINE_bool("skip_missing", False, "Evaluate the videos there are where some have no scores.")
OUT = flags.DEFINE_string("out", None, "The folder that receives summary.json, report.html, scores.npz and curves/.")


def main(argv: list[str]) -> int:
    """Evaluates, prints the figures and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    for flag, example in ((SCORES, "scores.npz"), (DATASET, "ucf"), (OUT, "report")):
        if not flag.value:
            raise ValueError(f"--{flag.name} is missing; it may read --{flag.name}={example}, see --help.")

    from gvvad_jax.evaluation import external, summary

    def path(flag: flags.FlagHolder) -> Path | None:
        return Path(flag.value) if flag.value else None

    options = external.Options(
        dataset=DATASET.value or "",
        root=path(ROOT),
        split=SPLIT.value or "test",
        scores_list=path(LIST),
        unit=UNIT.value or "auto",
        tail=TAIL.value or "exact",
        labels=path(LABELS),
        label_list=path(LABEL_LIST),
        label_padding=PADDING.value or "zero",
        skip_missing=bool(SKIP.value),
    )
    out = Path(OUT.value or "")
    found, failed = external.evaluate(Path(SCORES.value or ""), options, out, path(COMPARE))
    errors = program.Errors(out / "errors.jsonl")
    errors.clear()
    for id, reason in failed.rows:
        errors.add(id, reason)
    for note in found["notes"]:
        print(f"note: {note}")
    print(f"report: {out / 'report.html'}")
    print("\n".join(summary.lines(found)))
    return errors.status


if __name__ == "__main__":
    program.run(main)
