"""How many clips with each planted defect the filter drops, and how many good ones, on rendered clips.

  python benchmarks/filter.py --seeds=5,6,7,8,9 --out=DIR

Prints a table, and the range of every measure over the good clips; the page of each style lies in --out.
"""

import sys
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from configs import filter as config  # noqa: E402
from gvvad_jax import program  # noqa: E402
from gvvad_jax.synthesis.filtering import rule, selecting  # noqa: E402
from tests.synthesis.filtering import planted  # noqa: E402

SEEDS = flags.DEFINE_list("seeds", ["5", "6", "7", "8", "9"], "Seeds of the clips.")
COUNT = flags.DEFINE_integer("count", 8, "Good clips of each class and seed; every fourth gets each defect, too.")
FRAMES = flags.DEFINE_integer("frames", 48, "Frames of a clip.")
STYLE = flags.DEFINE_enum("style", "synthetic", ["synthetic", "real"], "How clips are drawn.")
OUT = flags.DEFINE_string("out", None, "Where the set, the selection and its page are written.", required=True)


def main(argv: list[str]) -> int:
    """Draws, filters and prints."""
    made = []
    for seed in map(int, SEEDS.value or ()):
        random = np.random.default_rng([seed, 1])
        good = list(planted.good(seed, COUNT.value, FRAMES.value, STYLE.value))
        made += [planted.wrong_event(clip) if number % 4 == 1 else clip for number, clip in enumerate(good)]
        made += planted.defects(good[::4], random)
    out = Path(OUT.value or "")
    asked = config.get_config().filter
    chosen = rule.Rule(asked.rule, asked.limits.to_dict(), asked.rates.to_dict(), asked.weights.to_dict())
    rows = selecting.select(planted.write(out / "set", made), out / "selection.jsonl", chosen).rows
    kinds: dict[str, list[dict]] = {}
    for row in rows:
        kinds.setdefault(row["id"].rpartition("-")[2] if "-" in row["id"] else "good", []).append(row)
    print("| kind | clips | dropped | by |\n| --- | --- | --- | --- |")
    for kind, own in kinds.items():
        failed = [name for row in own for name, state in row["checks"].items() if state == "failed"]
        failed += ["duplicate" for row in own if row["duplicate_of"]]
        by = ", ".join(f"{name} {failed.count(name)}" for name in sorted(set(failed)))
        dropped = sum(not row["keep"] for row in own)
        print(f"| {kind} | {len(own)} | {dropped} ({dropped / len(own):.1%}) | {by or 'none'} |")
    for kind, own in kinds.items():
        print(kind)
        for name in rule.CHECKS:
            values = [row["measures"][name] for row in own if row["measures"][name] is not None]
            if values:
                print(f"  {name}: " + ", ".join(f"{v:.4g}" for v in np.quantile(values, [0, 0.05, 0.5, 0.95, 1])))
    return 0


if __name__ == "__main__":
    program.run(main)
