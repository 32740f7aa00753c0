"""Training steps a second: the package's stream, placement and step beside a plain loop over .npy files.

    python benchmarks/training.py [--width=768] [--crops=10] [--segments=32] [--batch=4] [--videos=24] [--detector=rtfm]

The plain loop does what the released programs do: np.load of each video of the batch, means of its segments in Python,
a stack, one jitted step on one device, its loss read before the next batch is made. Both run the same step on the same
videos in the same order (the losses are compared), in turns within each round. "Read" reads every record again, as a
set too large for memory does; "kept" has the segmented set in memory (sets up to 1 GiB). The data part alone stands
below, for a large network hides it.
"""

import argparse
import dataclasses
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvvad_jax import bags, detectors, records
from gvvad_jax.bags import batches
from gvvad_jax.batch import Batch
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import state as states
from gvvad_jax.training import step as steps


def make(folder: Path, options: argparse.Namespace) -> records.Reader:
    """The same random videos as a set and as .npy files, as long as UCF-Crime's training videos mostly are."""
    rng = np.random.default_rng(0)
    with records.writer(folder / "set", kind="feature") as writer:
        for number in range(options.videos):
            snippets = int(np.clip(rng.lognormal(4.8, 0.8), 6, 900))
            visual = rng.normal(size=(snippets, options.crops, options.width)).astype(np.float16)
            np.save(folder / f"video{number:04d}.npy", visual)
            writer.add(
                records.Feature(
                    id=f"video{number:04d}",
                    dataset="made",
                    split="train",
                    label=number % 2,
                    synthetic=0,
                    num_frames=16 * snippets,
                    snippet_frames=16,
                    visual=visual,
                )
            )
    return records.reader(folder / "set")


def plain_segments(features: np.ndarray, length: int) -> np.ndarray:
    """The released loaders' loop."""
    segmented = np.zeros((length, *features.shape[1:]), np.float32)
    borders = np.linspace(0, len(features), length + 1, dtype=int)
    for i in range(length):
        if borders[i] != borders[i + 1]:
            segmented[i] = np.mean(features[borders[i] : borders[i + 1]], axis=0)
        else:
            segmented[i] = features[borders[i]]
    return segmented


def plain_batches(folder: Path, stream: bags.Stream, count: int, segments: int) -> Iterator[Batch]:
    """Batches of the stream's own order, read from .npy files one after another."""
    for number in range(count):
        ids = stream.ids(number)
        videos = [plain_segments(np.load(folder / f"{id}.npy").astype(np.float32), segments) for id in ids]
        visual = np.stack(videos).transpose(0, 2, 1, 3)
        shape = (2, len(ids) // 2)
        zeros = np.zeros(shape, np.int32)
        yield Batch(
            visual=visual.reshape(*shape, *visual.shape[1:]),
            text=None,
            mask=np.ones((*shape, segments), bool),
            text_mask=None,
            label=np.repeat(np.arange(2, dtype=np.int32)[:, None], shape[1], 1),
            category=zeros,
            synthetic=zeros,
            index=zeros,
        )


def train(step: Callable[..., Any], state: Any, found: Iterator[Batch], mesh: Any, key: Any) -> list[float]:
    """The package's loop without log and checkpoints: the next step is dispatched before the last loss is read."""
    losses, waiting = [], None
    for batch in found:
        state, metrics = step(state, bags.place(batch, mesh), key)
        if waiting is not None:
            losses.append(float(jax.device_get(waiting)["loss"]))
        waiting = metrics
    return [*losses, float(jax.device_get(waiting)["loss"])]


def plain_train(step: Callable[..., Any], state: Any, found: Iterator[Batch], key: Any) -> list[float]:
    """Read, step, wait."""
    losses = []
    for batch in found:
        state, metrics = step(state, batch, key)
        losses.append(float(metrics["loss"]))
    return losses


def show(name: str, rates: list[float]) -> None:
    """Median and range."""
    print(f"{name:34s} {statistics.median(rates):8.2f} a second   ({min(rates):.2f} to {max(rates):.2f})")


def main() -> None:
    """Prints steps a second of each way, and batches a second of its data part alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = {"width": 768, "crops": 10, "segments": 32, "batch": 4, "videos": 24, "steps": 8, "rounds": 5}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--detector", default="rtfm", choices=[*detectors.names()])
    options = parser.parse_args()
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("jax", "flax", "grain", "numpy"))
    device = jax.devices()[0]
    print(f"{device.device_kind} x {jax.device_count()}, {platform.machine()}, {os.cpu_count()} cores, {versions}")
    print(
        f"{options.detector}, {options.batch} pairs, {options.crops} crops, {options.segments} segments, "
        f"{options.width} columns; {options.videos} videos; {options.rounds} rounds of {options.steps} steps: "
        "median (range)"
    )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader = make(folder, options)
        shape = {"segments": options.segments, "batch": options.batch}
        kept = bags.training_stream([reader], **shape)
        batches.KEPT_BYTES = 0
        read = bags.training_stream([reader], **shape)

        detector = detectors.create(options.detector, detectors.Inputs(options.width))
        detector.fit_inputs(kept.normal_rows())
        structure, start = states.create(detector, synthetic_weight=0.5, learning_rate=1e-3, weight_decay=5e-3)
        mesh = meshes.make(options.batch)
        ours = steps.compiled(structure, mesh, "per_sample")
        plain = jax.jit(steps.pure(structure, "per_sample"), donate_argnums=0)

        def fresh() -> states.State:
            return jax.tree.map(lambda x: x.copy(), start)

        ways: dict[str, Callable[[int], list[float]]] = {
            "ours, kept": lambda n: train(
                ours, meshes.replicate(fresh(), mesh), kept.batches(0, n), mesh, meshes.key(0, mesh)
            ),
            "ours, read": lambda n: train(
                ours, meshes.replicate(fresh(), mesh), read.batches(0, n), mesh, meshes.key(0, mesh)
            ),
            "plain loop, np.load": lambda n: plain_train(
                plain, fresh(), plain_batches(folder, kept, n, options.segments), jax.random.key(0)
            ),
        }
        losses = {name: way(2) for name, way in ways.items()}
        for name in losses:
            np.testing.assert_allclose(losses[name], losses["plain loop, np.load"], rtol=1e-5, err_msg=name)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                begun = time.perf_counter()
                way(options.steps)
                rates[name].append(options.steps / (time.perf_counter() - begun))
        for name, found in rates.items():
            show(f"steps: {name}", found)

        many = 4 * options.steps
        sources: dict[str, Callable[[], Iterator[Batch]]] = {
            "ours, kept": lambda: kept.batches(0, many),
            "ours, read": lambda: read.batches(0, many),
            "plain loop, np.load": lambda: plain_batches(folder, kept, many, options.segments),
        }
        rates = {name: [] for name in sources}
        for _ in range(options.rounds):
            for name, source in sources.items():
                begun = time.perf_counter()
                for batch in source():
                    dataclasses.fields(batch)
                rates[name].append(many / (time.perf_counter() - begun))
        for name, found in rates.items():
            show(f"batches: {name}", found)


if __name__ == "__main__":
    main()
