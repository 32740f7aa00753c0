"""Scores of 290 videos of mixed length: evaluation.score_set beside one video at a time under jit.

    python benchmarks/evaluation.py [--videos=290] [--width=64] [--crops=1] [--rounds=5]

Both sides read the same set and give the same scores (checked to 1e-6), in turns within each round. "First" is what a
user meets in a fresh process: every new shape is compiled (compiled programs are dropped before each round). "Again" is
an evaluation during training, when all shapes have been seen; one at a time, that needs each length to have been seen.
Lengths are drawn as UCF-Crime's test videos are, median 120 snippets, without its few hours-long ones.
"""

import argparse
import functools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gvvad_jax import detectors, evaluation, records
from gvvad_jax.evaluation import scoring


def make(folder: Path, count: int, crops: int, width: int) -> records.Reader:
    """A test set of mixed lengths."""
    rng = np.random.default_rng(0)
    with records.writer(folder / "set", kind="feature") as writer:
        for number in range(count):
            snippets = int(np.clip(rng.lognormal(4.8, 0.8), 6, 900))
            visual = rng.normal(size=(snippets, crops, width)).astype(np.float16)
            writer.add(
                records.Feature(
                    id=f"video{number:04d}",
                    dataset="made",
                    split="test",
                    label=number % 2,
                    synthetic=0,
                    num_frames=16 * snippets,
                    snippet_frames=16,
                    visual=visual,
                )
            )
    return records.reader(folder / "set")


@functools.partial(jax.jit, static_argnums=0)
def _one(graphdef, state, visual):
    mask = jnp.ones((1, 1, visual.shape[3]), bool)
    return nnx.merge(graphdef, state)(visual.astype(jnp.float32), None, mask).scores[0, 0]


def one_at_a_time(detector, reader: records.Reader) -> dict[str, np.ndarray]:
    """The field's way: a video, its own length, no padding."""
    graphdef, state = nnx.split(detector)
    return {r.id: np.asarray(_one(graphdef, state, np.swapaxes(r.visual, 0, 1)[None, None])) for r in reader}


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time of one call; the second hardly depends on what else the machine does."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Prints first and repeated evaluation of both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("videos", 290), ("width", 64), ("crops", 1), ("rounds", 5), ("batch", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("jax", "flax", "numpy"))
    device = jax.devices()[0]
    print(f"{device.device_kind} x {jax.device_count()}, {platform.machine()}, {os.cpu_count()} cores, {versions}")
    with tempfile.TemporaryDirectory() as folder:
        reader = make(Path(folder), options.videos, options.crops, options.width)
        detector = detectors.create("rtfm", detectors.Inputs(visual=options.width))
        lengths = [row["num_snippets"] for row in reader.rows]
        shapes = len({scoring.padded_length(n) for n in lengths})
        padding = sum(scoring.padded_length(n) for n in lengths) / sum(lengths)
        print(
            f"{len(lengths)} videos of {min(lengths)} to {max(lengths)} snippets ({len(set(lengths))} lengths), "
            f"{options.crops} crops of {options.width} columns; {shapes} padded lengths, {padding:.2f} x the snippets"
        )

        def ours():
            return evaluation.score_set(detector, reader, batch=options.batch)

        def plain():
            return one_at_a_time(detector, reader)

        first, again = {"ours": [], "plain": []}, {"ours": [], "plain": []}
        for number in range(options.rounds):
            for name, call in (("ours", ours), ("plain", plain)):
                jax.clear_caches()
                first[name].append(seconds(call))
                again[name].append(seconds(call))
            print(f"round {number + 1} of {options.rounds}", flush=True)
        a, b = ours(), plain()
        print(f"largest difference of a score: {max(np.abs(a[id].scores - b[id]).max() for id in a):.1e}")
        for title, taken in (("first evaluation, compilations included", first), ("again, all shapes seen", again)):
            told, middle = {}, {}
            for name, pairs in taken.items():
                wall, processor = ([pair[k] for pair in pairs] for k in (0, 1))
                middle[name] = statistics.median(processor)
                told[name] = (
                    f"{statistics.median(wall):.2f} s ({min(wall):.2f} – {max(wall):.2f}), "
                    f"processor {middle[name]:.2f} s"
                )
            print(f"{title}, median of {options.rounds} (lowest – highest):")
            print(f"  score_set       {told['ours']}")
            print(f"  one at a time   {told['plain']}, {middle['plain'] / middle['ours']:.1f} times score_set's")


if __name__ == "__main__":
    main()
