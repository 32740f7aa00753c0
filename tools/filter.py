"""Says which clips of a video set to keep, with every number and reason, and shows them on a page.

  python tools/filter.py --videos=sets/generated --out=selection.jsonl
  python tools/filter.py --videos=sets/generated --features=sets/real,sets/generated_features --scores=scores.npz \\
      --config.filter.rule=rate --out=selection.jsonl

The selection is used as --config.data.selection; selection.html lies next to it. Exit status 0: every clip was read;
1: some were not (errors.jsonl next to the selection); 2: it could not run.
"""

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from gvvad_jax import main as command
from gvvad_jax import program, records

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # config files import each other as `configs`
VIDEOS = flags.DEFINE_string("videos", None, "The video set whose clips are judged.")
FEATURES = flags.DEFINE_list("features", [], "Feature sets of real videos and of these clips: the domain gap.")
SCORES = flags.DEFINE_string("scores", None, "scores.npz of a detector trained on real videos, over these clips.")
WEIGHTS = flags.DEFINE_string("weights", None, "CLIP's folder or hub name, to compare clips with their descriptions.")
WORKERS = flags.DEFINE_integer("workers", 2, "Threads that decode, each with a process.", 1)
OUT = flags.DEFINE_string("out", None, "The selection that is made (.jsonl).")
# A default here would read the command line before mistakes in it can be told in a sentence; see below.
CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Rule and limits; its keys: --config.filter.NAME=VALUE. Default: configs/filter.py.",
    lock_config=True,
)
flags.FLAGS["config"].parser = command.ConfigFile(flags.FLAGS["config"].parser)


def main(argv: list[str]) -> int:
    """Filters, prints what was kept and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if not VIDEOS.value or not OUT.value:
        raise ValueError("--videos and --out are needed: a video set and the selection.jsonl to make.")
    out = Path(OUT.value)
    if out.suffix != ".jsonl":
        raise ValueError(f"--out={out}: name a file that ends in .jsonl.")

    from gvvad_jax.models import text_image
    from gvvad_jax.synthesis.filtering import rule, selecting

    asked = CONFIG.value.filter
    chosen = rule.Rule(asked.rule, asked.limits.to_dict(), asked.rates.to_dict(), asked.weights.to_dict())
    summary = selecting.select(
        records.reader(VIDEOS.value),
        out,
        chosen,
        features=FEATURES.value or (),
        scores=Path(SCORES.value) if SCORES.value else None,
        model=text_image.TextImage(WEIGHTS.value) if WEIGHTS.value else None,
        still=asked.duplicates.still,
        moving=asked.duplicates.moving,
        workers=WORKERS.value or 1,
    )
    errors = program.Errors(out.parent / "errors.jsonl")
    errors.clear()
    for id, reason in summary.failed:
        errors.add(id, reason)
    print("\n".join(summary.lines))
    return errors.status


if __name__ == "__main__":
    if not any(argument.lstrip("-").partition("=")[0] == "config" for argument in sys.argv[1:]):
        sys.argv.insert(1, f"--config={ROOT / 'configs' / 'filter.py'}")
    program.run(main)
