"""Makes a feature set (and a text set) of published .npy or .txt files, or a selection of a published list.

  python tools/import_features.py --dataset=ucf --list=ucf-i3d_raw.list --root=UCF_ten_crop_i3d --out=sets/ucf
  python tools/import_features.py --dataset=ucf --list=ucfg1-clip.list --root=clip --text=emb --out=sets/ucfg1
  python tools/import_features.py --dataset=ucf --list=ucfg2-clip.list --features=sets/ucfg1 --out=ucfg2.jsonl

Run again it goes on where it stopped. docs/import.md has a row for each publisher. Exit status 0: every listed video is
there; 1: some failed or were missing (errors.jsonl); 2: it could not run.
"""

from pathlib import Path

from absl import flags

from gvvad_jax import datasets, program

DATASET = flags.DEFINE_string("dataset", None, f"Whose names the list has: {', '.join(datasets.names())}.")
LIST = flags.DEFINE_string("list", None, "The published list: a path a line, wherever the files lay.")
ROOT = flags.DEFINE_string("root", None, "The folder that holds the files, at any depth; they are found by name.")
TEXT = flags.DEFINE_string("text", None, "The folder of the sentence vectors (..._emb.npy); makes OUT-text as well.")
FEATURES = flags.DEFINE_string("features", None, "A feature set that exists (or several): --out is a selection of it.")
LAYOUT = flags.DEFINE_string("layout", "auto", "One of auto, time_first, crops_first, single, crop_files, segments.")
ENCODER = flags.DEFINE_string("encoder_name", "", "What made the features; sets that name different ones never mix.")
TEXT_ENCODER = flags.DEFINE_string(
    "text_encoder_name",
    "sup-simcse-bert-base-uncased",
    "What made the sentence vectors; a prompt bank names it too.",
)
SPLIT = flags.DEFINE_enum("split", None, ["train", "validation", "test"], "By default test where the list is named so.")
SKIP = flags.DEFINE_bool("skip_missing", False, "Import the videos whose files are there.")
WORKERS = flags.DEFINE_integer("workers", 4, "Threads that read and write.")
OUT = flags.DEFINE_string("out", None, "The feature set that is made, or the selection (.jsonl).")


def main(argv: list[str]) -> int:
    """Imports, prints what was made and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    for flag in (DATASET, LIST, OUT):
        if not flag.value:
            raise ValueError(f"--{flag.name} is missing; see --help.")
    if bool(ROOT.value) == bool(FEATURES.value):
        raise ValueError("give either --root (published files) or --features (a set to select from).")
    if TEXT.value and not ROOT.value:
        raise ValueError("--text goes with --root; a selection has no text of its own.")

    from gvvad_jax.features.published import importing, selecting

    options = importing.Options(
        dataset=DATASET.value or "",
        layout=LAYOUT.value or "auto",
        encoder_name=ENCODER.value or "",
        text_encoder_name=TEXT_ENCODER.value or "",
        split=SPLIT.value,
        skip_missing=bool(SKIP.value),
        workers=WORKERS.value or 0,
    )
    listed, out = Path(LIST.value or ""), Path(OUT.value or "")
    if FEATURES.value:
        summary = selecting.select(listed, [Path(path) for path in FEATURES.value.split(",")], out, options)
    else:
        text = Path(TEXT.value) if TEXT.value else None
        summary = importing.import_features(listed, Path(ROOT.value or ""), out, options, text)
    for note in summary.notes:
        print(f"note: {note}")
    print(summary)
    return summary.status


if __name__ == "__main__":
    program.run(main)
