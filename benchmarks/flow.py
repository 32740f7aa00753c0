"""Frame pairs a second of dense Lucas-Kanade flow: ours beside the same formula in plain NumPy, in one run.

  python benchmarks/flow.py [--height=224] [--width=336] [--pairs=8] [--repeats=5]

The default size is what extraction measures: half of the 672 x 448 frame that 5 x 3 tiles are cut from.
"""

import statistics
import time
from collections.abc import Callable
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from gvvad_jax import program
from gvvad_jax.features import flow

HEIGHT = flags.DEFINE_integer("height", 224, "Of a frame.")
WIDTH = flags.DEFINE_integer("width", 336, "Of a frame.")
PAIRS = flags.DEFINE_integer("pairs", 8, "A repeat.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed repeats after one to warm up.")


def main(argv: list[str]) -> int:
    """Prints a table."""
    del argv
    frames = _frames(PAIRS.value + 1, HEIGHT.value, WIDTH.value)
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "ours, jitted": lambda x: np.asarray(flow.lucas_kanade(jnp.asarray(x[:-1]), jnp.asarray(x[1:]))),
        "plain NumPy": lambda x: np.stack([_plain(*pair) for pair in zip(x[:-1], x[1:], strict=True)]),
    }
    # A threshold decides in either way by its own rounding, so a handful of pixels may differ.
    ours, plain = (way(frames) for way in ways.values())
    assert (np.abs(ours - plain).max(-1) > 0.01).mean() < 1e-3
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS.value):
        for name, way in ways.items():  # in turn, so that a busy machine is unfair to none
            wall, process = time.perf_counter(), time.process_time()
            way(frames)
            seconds[name].append(time.perf_counter() - wall)
            cpu[name].append(time.process_time() - process)
    print(f"{f'{WIDTH.value} x {HEIGHT.value}':20}{'pairs/s':>9}{'(slowest to fastest)':>22}{'cpu ms/pair':>13}")
    for name in ways:
        rates = [PAIRS.value / s for s in seconds[name]]
        spread = f"({min(rates):.1f} to {max(rates):.1f})"
        each = 1e3 * statistics.median(cpu[name]) / PAIRS.value
        print(f"{name:20}{statistics.median(rates):9.1f}{spread:>22}{each:13.1f}")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "numpy"))
    print(f"median of {REPEATS.value}; {jax.devices()[0].device_kind}, {jax.local_device_count()} devices; {versions}")
    return 0


def _frames(count: int, height: int, width: int) -> np.ndarray:
    """A pattern of waves of 5 to 30 pixels that moves by 2 pixels to the right and half a pixel down a frame."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = [(*rng.uniform(0, 2 * np.pi, 2), rng.uniform(5, 30)) for _ in range(20)]
    frames = [
        sum(
            np.sin(2 * np.pi * (np.cos(a) * (x - 2 * t) + np.sin(a) * (y - t / 2)) / length + p)
            for a, p, length in waves
        )
        for t in range(count)
    ]
    return (128 + 12 * np.array(frames)).astype(np.float32)


def _plain(first: np.ndarray, second: np.ndarray, levels: int = flow.LEVELS) -> np.ndarray:
    """The formula of features/flow.py with whole-array NumPy, for sizes that halve evenly."""
    pyramid = [(first, second)]
    for _ in range(levels - 1):
        pyramid.append(tuple(_halve(frame) for frame in pyramid[-1]))
    found = np.zeros((2, *pyramid[-1][0].shape), np.float32)
    for level in range(levels)[::-1]:
        if level < levels - 1:
            found = 2 * found.repeat(2, 1).repeat(2, 2)
        found, smallest = _refine(*pyramid[level], found)
    return np.moveaxis(np.where(smallest < flow.TEXTURE, 0, found), 0, -1)


def _refine(first: np.ndarray, second: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    padded = np.pad(first, 1, mode="edge")
    right, down = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    count = _sums(np.ones_like(first))
    mr, md, rr, rd, dd = (_sums(p) / count for p in (right, down, right * right, right * down, down * down))
    rr, rd, dd = rr - mr * mr, rd - mr * md, dd - md * md
    smallest = (rr + dd) / 2 - np.sqrt(((rr - dd) / 2) ** 2 + rd**2)
    keep = flow.TEXTURE / 4
    rr, dd = rr + keep, dd + keep
    determinant = rr * dd - rd**2
    for _ in range(flow.ITERATIONS):
        rest = first - _warp(second, found) + right * found[0] + down * found[1]
        br, bd, m = (_sums(p) / count for p in (right * rest, down * rest, rest))
        br, bd = br - mr * m + keep * found[0], bd - md * m + keep * found[1]
        new = np.stack([dd * br - rd * bd, rr * bd - rd * br]) / determinant
        found = found + np.clip(new - found, -flow.RADIUS, flow.RADIUS)
    return found, smallest


def _halve(frame: np.ndarray) -> np.ndarray:
    p = np.pad(frame, 1, mode="edge")
    p = (p[:-3:2] + 3 * p[1:-2:2] + 3 * p[2:-1:2] + p[3::2]) / 8
    return (p[:, :-3:2] + 3 * p[:, 1:-2:2] + 3 * p[:, 2:-1:2] + p[:, 3::2]) / 8


def _sums(plane: np.ndarray) -> np.ndarray:
    """Window sums by shifted adds, as ours: differences of running sums lose too many digits in float32."""
    size, (height, width) = 2 * flow.RADIUS + 1, plane.shape
    padded = np.pad(plane, flow.RADIUS)
    rows = sum(padded[i : i + height] for i in range(size))
    return sum(rows[:, i : i + width] for i in range(size))


def _warp(frame: np.ndarray, found: np.ndarray) -> np.ndarray:
    height, width = frame.shape
    x = np.clip(np.arange(width, dtype=np.float32) + found[0], 0, width - 1)
    y = np.clip(np.arange(height, dtype=np.float32)[:, None] + found[1], 0, height - 1)
    i, j = np.minimum(y.astype(np.int32), height - 2), np.minimum(x.astype(np.int32), width - 2)
    v, u = y - i, x - j
    upper = (1 - u) * frame[i, j] + u * frame[i, j + 1]
    return (1 - v) * upper + v * ((1 - u) * frame[i + 1, j] + u * frame[i + 1, j + 1])


if __name__ == "__main__":
    program.run(main)
