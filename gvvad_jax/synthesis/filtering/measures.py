"""Numbers of one clip from its pixels alone: motion, sharpness, exposure, and what stands still in its corners.

Luminance runs from 0 to 255 at the working size of clips.py. One jitted function looks at all frames of a clip at once;
what it gives a frame or pair of frames becomes one number a clip here, in NumPy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from gvvad_jax.synthesis.filtering import clips

BLOCK = 8  # pixels a side; means over a block are free of camera noise and of a palette's dots
UNCHANGED = 1.5  # luminance: two frames are one picture, coded twice, where no block's mean differs by more
MOVING = 2.5  # luminance: a block has changed where its mean differs by more
DARK, BRIGHT = 40.0, 250.0  # a frame whose brightest block is below the first is black; a pixel above the second, burnt
CORNER = (36, 112)  # rows and columns of the window searched at each corner
CORNERS = ("top left", "top right", "bottom left", "bottom right")
STROKES = 40.0  # luminance: a stroke's contrast counts up to here, so that one bright edge does not outweigh a text
BINS = 8  # moments of a clip that its signature holds


@dataclass(frozen=True, eq=False)
class Measures:
    """One clip's numbers by name, and what is compared between clips."""

    numbers: Mapping[str, float]
    still: Float[np.ndarray, " blocks"]  # the picture without what moves, zero mean, unit length
    moving: Float[np.ndarray, " moments_blocks"]  # what moves, at BINS moments; zero where nothing does
    corners: Float[np.ndarray, "4 rows columns"]  # strokes that stay for the whole clip, signed


def measure(clip: clips.Clip) -> Measures:
    """Measures one clip; a clip of one frame has no motion: frozen 1, activity 0."""
    num_frames = len(clip.luma)
    padded = np.pad(clip.luma, ((0, -num_frames % 32), (0, 0), (0, 0)), mode="edge")  # few shapes, few compilations
    found = {name: np.asarray(value) for name, value in jax.device_get(_frames(padded)).items()}
    frame = {name: value[:num_frames] for name, value in found.items()}
    pair = {name: value[: num_frames - 1][clip.joins] for name, value in found.items()}
    lit = frame["peak"] >= DARK  # nothing to see moves nowhere: a black picture's noise has no shift
    shift = np.diff(pair["shift"][(lit[:-1] & lit[1:])[clip.joins]], axis=0)
    light = np.diff(frame["mean"])[clip.joins]
    numbers = {
        "frozen": _longest_run(pair["change"] < UNCHANGED) / max(1, len(pair["change"])) if len(clip.joins) else 1.0,
        "activity": _mean(pair["moving"]),
        # The median: a crowd that fills the picture misleads single pairs, a shaking camera moves them all.
        "jitter": float(np.median(np.hypot(*shift.T))) if len(shift) else 0.0,
        "flicker": _mean(np.abs(np.diff(light))),
        "sharpness": float(np.median(frame["sharpness"])),
        "brightness": _mean(frame["mean"]),
        "contrast": _mean(frame["spread"]),
        "dark": _mean(frame["peak"] < DARK),
        "burnt": _mean(frame["burnt"]),
    }
    moments = np.linspace(0, num_frames - 1, BINS).round().astype(int)
    strokes = _strokes(clip.luma[moments])
    corners = np.stack([strokes[place] for place in _places()])
    numbers["overlay_alone"] = _stands_out(strokes, corners)
    pooled = frame["pooled"]
    # A block that is usually the same for the whole clip is background; the median forgets who walks by.
    still = np.median(pooled, 0)
    moving = pooled[moments] - still
    moving[np.abs(moving) < MOVING] = 0
    return Measures(numbers, _unit(still - still.mean()), _unit(moving), corners)


def _mean(values: Any) -> float:
    return float(np.mean(values)) if np.size(values) else 0.0


def _unit(values: np.ndarray) -> np.ndarray:
    flat = values.astype(np.float32).ravel()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)


def _longest_run(flags: Bool[np.ndarray, " pairs"]) -> int:
    """How many True stand in a row at most."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return int(max(np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0), default=0))


@jax.jit
def _frames(luma: UInt8[Array | np.ndarray, "frames height width"]) -> dict[str, Array]:
    """What each frame, and each pair of a frame and the next, shows (the last pair is the last frame with itself)."""
    x = luma.astype(jnp.float32)
    num_frames, height, width = x.shape
    pooled = x.reshape(num_frames, height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((2, 4))
    following = jnp.concatenate([pooled[1:], pooled[-1:]])
    change = jnp.abs(following - pooled)
    inner = x[:, 1:-1, 1:-1]
    laplacian = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * inner
    spread = x.std((1, 2))
    return {
        "pooled": pooled,
        "change": change.max((1, 2)),
        "moving": (change > MOVING).mean((1, 2)),
        "shift": _shifts(x.reshape(num_frames, height // 4, 4, width // 4, 4).mean((2, 4))) * 4,
        "sharpness": laplacian.std((1, 2)) / (spread + 4),  # 4: the noise of a black picture is no detail
        "mean": x.mean((1, 2)),
        "spread": spread,
        "peak": pooled.max((1, 2)),
        "burnt": (x > BRIGHT).mean((1, 2)),
    }


def _shifts(x: Float[Array, "frames rows columns"]) -> Float[Array, "frames 2"]:
    """By how many cells each frame's picture as a whole lies beside the one before: the peak of phase correlation."""
    _, rows, columns = x.shape
    window = jnp.hanning(rows)[:, None] * jnp.hanning(columns)
    spectrum = jnp.fft.rfft2((x - x.mean((1, 2), keepdims=True)) * window)
    cross = jnp.concatenate([spectrum[1:], spectrum[-1:]]) * jnp.conj(spectrum)
    surface = jnp.fft.irfft2(cross / (jnp.abs(cross) + 1e-3 * jnp.abs(cross).mean((1, 2), keepdims=True) + 1e-6))
    flat = surface.reshape(len(x), -1)
    best = flat.argmax(1)
    r, c = best // columns, best % columns

    def finer(before: Array, at: Array, after: Array) -> Array:
        bend = before - 2 * at + after  # a parabola through three points; a flat one has no peak
        return jnp.where(bend < -1e-6, jnp.clip(0.5 * (before - after) / jnp.minimum(bend, -1e-6), -0.5, 0.5), 0.0)

    each = jnp.arange(len(x))
    at = flat[each, best]
    down = finer(surface[each, (r - 1) % rows, c], at, surface[each, (r + 1) % rows, c])
    right = finer(surface[each, r, (c - 1) % columns], at, surface[each, r, (c + 1) % columns])
    r, c = jnp.where(r > rows // 2, r - rows, r), jnp.where(c > columns // 2, c - columns, c)
    return jnp.stack([r + down, c + right], 1)


def _places() -> list[tuple[slice, slice]]:
    """The four corner windows, in the order of CORNERS."""
    rows, columns = CORNER
    return [
        (vertical, horizontal)
        for vertical in (slice(0, rows), slice(clips.HEIGHT - rows, None))
        for horizontal in (slice(0, columns), slice(clips.WIDTH - columns, None))
    ]


def _strokes(luma: UInt8[np.ndarray, "moments height width"]) -> Float[np.ndarray, "height width"]:
    """Thin detail that keeps its sign at every moment, by its smallest contrast, up to ±STROKES."""
    x = luma.astype(np.float32)
    fine = _blurred(x, 1)  # a palette's dots alternate from pixel to pixel
    detail = fine - _blurred(fine, 5)
    return np.clip(np.maximum(detail.min(0), 0) + np.minimum(detail.max(0), 0), -STROKES, STROKES)


def _blurred(x: np.ndarray, radius: int) -> np.ndarray:
    """Means over squares of 2·radius + 1 pixels, the last two axes."""
    for axis in (-2, -1):
        pads = [(0, 0)] * x.ndim
        pads[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(x, pads, mode="edge"), axis, dtype=np.float64)
        size, index = x.shape[axis], np.arange(x.shape[axis])
        x = ((total.take(index + 2 * radius + 1, axis) - total.take(index, axis)) / (2 * radius + 1)).astype(np.float32)
        assert x.shape[axis] == size
    return x


def _stands_out(strokes: Float[np.ndarray, "height width"], corners: Float[np.ndarray, "4 rows columns"]) -> float:
    """How many times more lasting detail a corner's densest window holds than the picture's middle does."""
    dense = _blurred(np.abs(strokes), 8)
    middle = dense[CORNER[0] : -CORNER[0]]
    best = max(float(dense[place].max()) for place in _places())
    return best / (float(np.quantile(middle, 0.98)) + 1.0)
