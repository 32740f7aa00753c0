"""Real fights found by a detector that has seen only drawn ones, beside one that has seen real ones.

    python benchmarks/fights.py --root=fights --out=DIR [--seeds=0,1,2]

--root holds clips.csv (clip, path, label, source, …) and the clips it names: real clips of surveillance cameras that
are fights or quiet from end to end. Every seed draws its own halves of the sources (never of the clips), so that no
camera is both trained and tested on. docs/fights.md says what is compared and has the figures. Run again it goes on
where it stopped.
"""

import csv
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from configs import filter as filters  # noqa: E402
from configs import folder as config  # noqa: E402
from gvvad_jax import datasets, main, program, records  # noqa: E402
from gvvad_jax.features import encoders, extraction, video  # noqa: E402
from gvvad_jax.synthesis import describe, scenes  # noqa: E402
from gvvad_jax.synthesis.filtering import rule, selecting  # noqa: E402

CLIPS = flags.DEFINE_string("root", None, "The folder of clips.csv.", required=True)
OUT = flags.DEFINE_string("out", None, "Where sets and runs are written.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of splits, weights and order.")
CATEGORY = "Fighting"  # of the descriptions that are drawn
DETECTORS = flags.DEFINE_list("detectors", ["linear"], "Some of linear, rtfm (a hundred times the time).")
FRAMES = 64  # of a drawn clip, about as many as a real one has
OPTIONS = video.Options(motion=("differences", "flow"))
STEPS = {"linear": 300, "rtfm": 60}  # of 8 pairs
# Which training videos: real quiet, real fights, drawn quiet, drawn fights.
ARMS = {
    "real": ("real normal", "real fight"),
    "drawn fights": ("real normal", "drawn fight"),
    "drawn fights and drawn quiet": ("real normal", "drawn normal", "drawn fight"),
}


def sources(root: Path) -> dict[str, str]:
    """The source of every clip."""
    return {row["clip"]: row["source"] for row in csv.DictReader((root / "clips.csv").open())}


def real(root: Path, out: Path) -> records.Reader:
    """Features of the real clips; a clip is one interval or none."""
    entries = [
        datasets.Entry(
            id=row["clip"],
            dataset="fights",
            split="train",
            label=int(row["label"]),
            category="Fighting" if row["label"] == "1" else "Normal",
            intervals=((0, int(row["frames"])),) if row["label"] == "1" else (),
            path=root / row["path"],
            num_frames=int(row["frames"]),
        )
        for row in csv.DictReader((root / "clips.csv").open())
    ]
    return _extracted(entries, out / "real")


def drawn(out: Path) -> records.Reader:
    """Features of drawn fights and their quiet twins, those that the filter keeps."""
    path = out / "drawn_clips"
    if not (path / "manifest.json").exists():
        describe.describe(out / "descriptions.jsonl", count=650)
        asked = records.read_descriptions(out / "descriptions.jsonl")
        pairs = {description.pair_id for description in asked if description.category == CATEGORY}
        with records.writer(path, kind="video", shards=4) as writer:
            for description in asked:
                if description.pair_id in pairs and description.id not in writer:
                    writer.add(scenes.make(description, num_frames=FRAMES))
    clips = records.reader(path)
    if not (out / "selection.jsonl").exists():
        limits = filters.get_config().filter.limits.to_dict()
        print("\n".join(selecting.select(clips, out / "selection.jsonl", rule.Rule(limits=limits)).lines))
    return _extracted(clips, out / "drawn").select(records.read_selection(out / "selection.jsonl"))


def _extracted(videos: Sequence[datasets.Entry] | records.Reader, path: Path) -> records.Reader:
    if not (path / "manifest.json").exists():
        summary = extraction.extract(videos, encoders.create("efficientnet_lite0", None), OPTIONS, path)
        print(summary)
    return records.reader(path)


def halves(clips: records.Reader, of: dict[str, str], seed: int) -> set[str]:
    """The ids of the clips to train on: those of a random half of the sources."""
    names = sorted(set(of.values()))
    trained = set(np.random.default_rng(seed).permutation(names)[: len(names) // 2].tolist())
    return {id for id in clips.ids if of[id] in trained}


def sets(folder: Path, clips: records.Reader, generated: records.Reader, trained: set[str]) -> None:
    """A feature set of each kind of training video, and one of the test clips."""
    kinds = {"test": [record for record in clips if record.id not in trained]}
    for label, name in enumerate(("normal", "fight")):
        kinds[f"real {name}"] = [record for record in clips if record.id in trained and record.label == label]
        kinds[f"drawn {name}"] = [record for record in generated if record.label == label]
    for name, own in kinds.items():
        if not (folder / name / "manifest.json").exists():
            with records.writer(folder / name, kind="feature", shards=1) as writer:
                for record in own:
                    writer.add(dataclasses.replace(record, split="test" if name == "test" else "train"))


def trained(folder: Path, detector: str, arm: str, seed: int) -> dict:
    """The summary of one run."""
    c = config.get_config()
    c.detector, c.steps, c.seed, c.data_seed = detector, STEPS[detector], seed, seed
    c.eval.every = 0
    c.data.features = ",".join(str(folder / name) for name in ARMS[arm])
    c.data.test = str(folder / "test")
    path = folder / f"{detector} {arm}"
    if not (path / "summary.json").exists():
        main.run(c, path)
    return json.loads((path / "summary.json").read_text())


def run(argv: list[str]) -> int:
    """Makes what is missing and prints the table."""
    root, out = Path(CLIPS.value or ""), Path(OUT.value or "")
    out.mkdir(parents=True, exist_ok=True)
    clips, of = real(root, out), sources(root)
    generated = drawn(out)
    found: dict[str, list[float]] = {}
    for seed in map(int, SEEDS.value or ()):
        folder = out / f"seed-{seed}"
        chosen = halves(clips, of, seed)
        sets(folder, clips, generated, chosen)
        fights = sum(row["label"] for row in clips.rows if row["id"] in chosen)
        print(f"seed {seed}: {len(chosen)} clips to train on, {fights} fights; {len(clips) - len(chosen)} to test on")
        for detector in DETECTORS.value or ():
            for arm in ARMS:
                summary = trained(folder, detector, arm, seed)
                found.setdefault(f"{detector}: {arm}", []).append(summary["metrics"]["last"]["auc"])
        for name, figures in summary["baselines"].items():
            found.setdefault(f"untrained: {name}", []).append(figures["auc"] if figures else float("nan"))
    print("| score | seeds | mean |\n| --- | --- | --- |")
    for name, values in found.items():
        print(f"| {name} | {', '.join(f'{value:.3f}' for value in values)} | {np.mean(values):.3f} |")
    return 0


if __name__ == "__main__":
    program.run(run)
