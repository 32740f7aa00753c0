"""Records read a second, beside np.load of one .npy a video: in order, in random order, with two grain threads.

    python benchmarks/records.py [--count=256] [--rounds=9]

Both sides read the same features, float16 [T, 1, 1280] of mixed length, from a warm page cache, in turns within each
round. np.load gives the array alone; a record brings its label, intervals and the rest too, and its shard's checksum is
verified.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import grain
import numpy as np

from gvvad_jax import records


def make(folder: Path, count: int) -> tuple[records.Reader, list[Path]]:
    """The same features as a set and as one .npy a video."""
    rng = np.random.default_rng(0)
    paths = [folder / f"video{i:05d}.npy" for i in range(count)]
    with records.writer(folder / "set", "feature") as w:
        for path in paths:
            snippets = int(np.clip(rng.lognormal(3.6, 0.8), 4, 400))
            visual = rng.normal(size=(snippets, 1, 1280)).astype(np.float16)
            np.save(path, visual)
            w.add(
                records.Feature(
                    **{"id": path.stem, "dataset": "made", "split": "train", "label": 1, "synthetic": 0},
                    **{"num_frames": 16 * snippets, "snippet_frames": 16, "visual": visual, "intervals": [(0, 16)]},
                )
            )
    return records.reader(folder / "set"), paths


class Files:
    """A folder of .npy files as a source for grain."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.load(self.paths[index])


def threaded(source: object, order: np.ndarray) -> None:
    """Reads a source in the given order by two grain threads."""
    chosen = grain.MapDataset.source(order).map(lambda i: source[int(i)])  # type: ignore[index]
    for _ in chosen.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=32)):
        pass


def measure(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each call in each round, after one round that does not count."""
    seconds: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, taken in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            if number:
                taken.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Prints a line for each way of reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("array_record", "grain", "numpy", "safetensors"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    with tempfile.TemporaryDirectory() as folder:
        reader, paths = make(Path(folder), options.count)
        size = sum(path.stat().st_size for path in paths) / len(paths)
        print(f"{len(reader)} videos of {size / 1e3:.0f} kB on average; records/s, median of {options.rounds} rounds")
        order = np.random.default_rng(1).permutation(len(reader))
        files = Files(paths)
        ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "in order": (lambda: [r for r in reader], lambda: [np.load(path) for path in paths]),
            "random order": (lambda: [reader[i] for i in order], lambda: [np.load(paths[i]) for i in order]),
            "random, 2 grain threads": (lambda: threaded(reader, order), lambda: threaded(files, order)),
        }
        for name, calls in ways.items():
            ours, plain = ([len(reader) / s for s in taken] for taken in measure(calls, options.rounds))
            ratio = statistics.median(ours) / statistics.median(plain)
            told = [f"{statistics.median(x):7,.0f} ({min(x):,.0f} – {max(x):,.0f})" for x in (ours, plain)]
            print(f"{name:24s} records {told[0]:28s} np.load {told[1]:28s} {ratio:.2f} times np.load")


if __name__ == "__main__":
    main()
