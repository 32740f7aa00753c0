"""How many clips with each planted defect the filter drops, and how many good ones, on rendered clips.

    python benchmarks/filter.py --seeds=0,1,2,3,4 --choose --out=DIR     # the limits that these seeds give
    python benchmarks/filter.py --seeds=5,6,7,8,9 --out=DIR              # the rates at the limits of configs/filter.py

A seed's clips are drawn once, into OUT/clips/; the selection and its page lie in OUT/seeds-…/. A table row is a kind of
defect: how many clips, how many dropped, how many by the check that is meant for it, and by what else.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from configs import filter as config  # noqa: E402
from gvvad_jax import program, records  # noqa: E402
from gvvad_jax.synthesis.filtering import rule, selecting  # noqa: E402
from tests.synthesis.filtering import planted  # noqa: E402

SEEDS = flags.DEFINE_list("seeds", ["5", "6", "7", "8", "9"], "Seeds of the clips.")
FRAMES = flags.DEFINE_integer("frames", 48, "Frames of a clip.")
STYLE = flags.DEFINE_enum("style", "synthetic", ["synthetic", "real"], "How clips are drawn.")
CHOOSE = flags.DEFINE_bool("choose", False, "Print the limits that these clips give.")
COPIES = flags.DEFINE_bool("copies", False, "Harder: the good clips also with every defect, all in one set.")
OUT = flags.DEFINE_string("out", None, "Where the clips, the selection and its page are written.", required=True)
MEANT = {  # kind of defect: the checks that are meant for it
    "frozen": ("frozen",),
    "black": ("dark",),
    "duplicate": ("duplicate",),
    "shaken": ("jitter",),
    "blurred": ("sharpness",),
    "burnt": ("burnt",),
    "still": ("activity",),
    "marked": ("overlay_alone", "overlay_shared"),
    "wrong": ("similarity", "margin", "zero_shot"),
}


def clips(seed: int) -> records.Reader:
    """The clips of a seed, drawn where they are not there."""
    path = Path(OUT.value or "") / "clips" / f"{STYLE.value}-{FRAMES.value}-{seed}{'-copies' * COPIES.value}"
    if not (path / "manifest.json").exists():
        if COPIES.value:
            good = list(planted.good(seed, 8, FRAMES.value, STYLE.value))
            made = [*good, *planted.defects(good[::4], np.random.default_rng([seed, 2]))]
            return planted.write(path, made)
        return planted.write(path, planted.seed_set(seed, num_frames=FRAMES.value, style=STYLE.value))
    return records.reader(path)


def kind_of(row: dict) -> str:
    """What was planted in a clip."""
    return row["id"].rpartition("-")[2] if "-" in row["id"] else "good"


def failed(row: dict) -> list[str]:
    """The checks that a clip fails."""
    return [name for name, state in row["checks"].items() if state == "failed"] + ["duplicate"] * bool(
        row["duplicate_of"]
    )


def limit(good: Sequence[float], bad: Sequence[float], higher_is_better: bool) -> tuple[float, int, int]:
    """The middle of the widest gap between values where the shares of good and of bad clips past it err least in sum.

    With it, how many good ones it drops and how many bad ones it misses.
    """
    sign = -1.0 if higher_is_better else 1.0
    x, y = sign * np.sort(good), sign * np.array(bad)
    values = np.unique(np.concatenate([x, y]))
    best = None
    for low, high in zip(values[:-1], values[1:], strict=True):
        at = (low + high) / 2
        drops, misses = int((x > at).sum()), int((y <= at).sum())
        merit = (drops / len(x) + misses / len(y), low - high)
        if best is None or merit < best[0]:
            best = merit, sign * at, drops, misses
    assert best is not None
    return best[1:]


def main(argv: list[str]) -> int:
    """Draws, filters and prints."""
    name = f"seeds-{'-'.join(SEEDS.value or ())}-{STYLE.value}-{FRAMES.value}{'-copies' * COPIES.value}"
    out = Path(OUT.value or "") / name
    made = [clip for seed in map(int, SEEDS.value or ()) for clip in clips(seed)]
    asked = config.get_config().filter
    chosen = rule.Rule(asked.rule, asked.limits.to_dict(), asked.rates.to_dict(), asked.weights.to_dict())
    path = out / "set"
    videos = records.reader(path) if (path / "manifest.json").exists() else planted.write(path, made)
    rows = selecting.select(videos, out / "selection.jsonl", chosen).rows
    kinds: dict[str, list[dict]] = {}
    for row in rows:
        kinds.setdefault(kind_of(row), []).append(row)
    print("| kind | clips | dropped | by its own check | by others |\n| --- | --- | --- | --- | --- |")
    for kind, own in kinds.items():
        meant = MEANT.get(kind, ())
        by_own = sum(any(name in meant for name in failed(row)) for row in own)
        others = [name for row in own for name in failed(row) if name not in meant]
        by = ", ".join(f"{name} {others.count(name)}" for name in sorted(set(others)))
        dropped = sum(not row["keep"] for row in own)
        mine = "" if kind == "good" else f"{by_own} ({by_own / len(own):.1%})"
        print(f"| {kind} | {len(own)} | {dropped} ({dropped / len(own):.1%}) | {mine} | {by or 'none'} |")
    good = kinds["good"] + kinds.get("wrong", [])  # a wrong event's pixels are sound
    print("\nvalues: least and most of good clips; of planted ones")
    for kind, names in MEANT.items():
        for name in names:
            values = [[row["measures"].get(name) for row in own] for own in (good, kinds.get(kind, []))]
            values = [[value for value in own if value is not None] for own in values]
            if not all(values):
                continue
            ends = "; ".join(f"{min(own):.4g} to {max(own):.4g}" for own in values)
            line = f"  {name}: {ends}"
            if CHOOSE.value:
                at, drops, misses = limit(values[0], values[1], rule.CHECKS[name].higher_is_better)
                line += f": limit {at:.4g} (drops {drops} of {len(values[0])}, misses {misses} of {len(values[1])})"
            print(line)
    return 0


if __name__ == "__main__":
    program.run(main)
