"""What a still encoder cannot see: how much and how fast a snippet's pixels change, crop by crop.

Channels by name, each a function of a snippet's resized frames and of the frame before them:
differences: high percentiles of |grey - grey of the frame before| in each part (a grid of 2 x 2) of each crop, averaged
  over the snippet's frames; the logarithm of that, since it matters what is twice as much, not so many levels more.
flow: percentiles of the speed of Lucas-Kanade flow in each crop, over all its pixels and over those that move, averaged
  over the frames; the logarithm again. Directions are left out: what is fast is so whichever way it goes.
image: the snippet's difference image, for the encoder to look at.
Both measure frames at half the plan's size: an enlarged frame holds nothing more, and another loses noise.

Frame i of a snippet is compared with frame i - 1, its first with the last of the snippet before. A video's first frame
has none before it: the first pair counts twice, and a video of one frame stands still.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8, UInt16

from gvvad_jax.features import flow
from gvvad_jax.video import crops

GRID = 2  # parts of a crop along each side
DIFFERENCES = (90.0, 97.0, 99.5)  # percentiles of a part's pixels
SPEEDS = (90.0, 95.0, 98.0, 99.5)  # percentiles of a crop's pixels
MOVING_SPEEDS = (50.0, 75.0, 90.0)  # of the pixels that move
LEVELS = 4 * 255 + 1  # what 2 x 2 grey pixels can sum to
STEPS = 32  # of speed a pixel: percentiles are read off a histogram
FASTEST = 32  # pixels a frame; anything faster counts as that
LEAST = STEPS // 4  # steps (a quarter of a pixel a frame); what is slower does not move
PAIRS = 8  # frame pairs in one call of the compiled flow

Frames = UInt8[np.ndarray, "n height width 3"]
Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class Channel:
    """A motion channel for the crops of one plan; `width` columns a crop (None: the encoder's, it gives images)."""

    name: str
    width: int | None
    columns: tuple[str, ...]
    measure: Callable[[Frames, Frame | None], tuple[np.ndarray, dict[str, float]]]

    def __call__(self, resized: Frames, previous: Frame | None) -> tuple[np.ndarray, dict[str, float]]:
        """Measures a snippet: float32 [C, width] (or uint8 [C, size, size, 3]) and baselines that fall out.

        `resized`: all frames of the snippet at the plan's size; `previous`: the last of the snippet before, or None.
        """
        return self.measure(resized, previous)


def names() -> tuple[str, ...]:
    """The channels that `create` knows."""
    return tuple(CHANNELS)


def create(name: str, plan: crops.Plan) -> Channel:
    """The channel called `name` for frames cut by `plan`; it keeps no state and may be called from any thread."""
    if name not in CHANNELS:
        raise ValueError(f"motion={name!r} is not known; choose among {', '.join(CHANNELS)}.")
    return CHANNELS[name](plan)


def baselines(frames: Frames, previous: Frame | None, plan: crops.Plan) -> dict[str, float]:
    """Untrained scores of a snippet from its frames as they were decoded.

    frame_difference: mean over frames of the 99.9th percentile of the whole frame's difference. tile_difference, where
    there are several crops: over the snippet the largest difference at each pixel, its 95th percentile in each crop,
    the largest of those.
    """
    difference = np.abs(np.diff(_with_previous(_grey(frames), previous, _grey).astype(np.int16), axis=0))
    height, width = difference.shape[1:]
    whole = np.array([[0, 0, width, height]])
    found = {"frame_difference": float(_mean(_percentiles(difference, whole, (99.9,), 256), len(frames)).item())}
    if len(plan.boxes) > 1:
        boxes = np.rint(plan.fractions * np.array([width, height, width, height])).astype(np.int64)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        found["tile_difference"] = float(_percentiles(difference.max(0)[None], boxes, (95.0,), 256).max())
    return found


def difference_image(resized: Frames, previous: Frame | None) -> Frame:
    """The largest difference at each pixel and colour over the snippet: what moved, bright on black."""
    frames = _with_previous(resized, previous, lambda frame: frame)
    result = np.zeros(frames.shape[1:], np.uint8)
    for before, after in zip(frames[:-1], frames[1:], strict=True):
        np.maximum(result, np.maximum(before, after) - np.minimum(before, after), out=result)
    return result


def _differences(plan: crops.Plan) -> Channel:
    boxes = _parts(plan, GRID)
    columns = tuple(f"part {part} p{percent:g}" for part in range(GRID**2) for percent in DIFFERENCES)

    def measure(resized: Frames, previous: Frame | None) -> tuple[np.ndarray, dict[str, float]]:
        frames = _with_previous(_half(resized), previous, _half).astype(np.int16)
        values = _percentiles(np.abs(np.diff(frames, axis=0)), boxes, DIFFERENCES, LEVELS)
        return np.log1p(_mean(values, len(resized)) / 4).reshape(len(plan.boxes), -1).astype(np.float32), {}

    return Channel("differences", len(columns), columns, measure)


def _flow(plan: crops.Plan) -> Channel:
    boxes = _parts(plan, 1)
    columns = tuple(f"p{p:g}" for p in SPEEDS) + tuple(f"moving p{p:g}" for p in MOVING_SPEEDS)

    def measure(resized: Frames, previous: Frame | None) -> tuple[np.ndarray, dict[str, float]]:
        speeds = _speeds(_with_previous(_half(resized), previous, _half))
        steps = np.minimum(speeds * STEPS, STEPS * FASTEST).astype(np.int16)
        top = STEPS * FASTEST + 1
        parts = [_percentiles(steps, boxes, SPEEDS, top), _percentiles(steps, boxes, MOVING_SPEEDS, top, LEAST)]
        values = _mean(np.concatenate(parts, axis=2), len(resized)) / STEPS
        return np.log1p(values).astype(np.float32), {"flow_speed": float(values[:, SPEEDS.index(98.0)].max())}

    return Channel("flow", len(columns), columns, measure)


def _image(plan: crops.Plan) -> Channel:
    def measure(resized: Frames, previous: Frame | None) -> tuple[np.ndarray, dict[str, float]]:
        return crops.cut(difference_image(resized, previous)[None], plan)[0], {}

    return Channel("image", None, (), measure)


CHANNELS: dict[str, Callable[[crops.Plan], Channel]] = {"differences": _differences, "flow": _flow, "image": _image}


def _grey(frames: UInt8[np.ndarray, "*n height width 3"]) -> UInt8[np.ndarray, "*n height width"]:
    """Luma (Rec. 601) in 256ths, which keeps a frame that is grey already."""
    red, green, blue = (frames[..., i].astype(np.uint16) for i in range(3))
    return ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)


def _half(frames: UInt8[np.ndarray, "*n height width 3"]) -> UInt16[np.ndarray, "*n half_height half_width"]:
    """Sums of 2 x 2 grey pixels: a frame of half the size in quarter levels. An odd last row or column is left out."""
    grey = _grey(frames).astype(np.uint16)
    grey = grey[..., : grey.shape[-2] // 2 * 2, : grey.shape[-1] // 2 * 2]
    rows = grey[..., ::2, :] + grey[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def _with_previous(frames: np.ndarray, previous: Frame | None, convert: Callable) -> np.ndarray:
    """The frames with the one before them in front, if there is one; a single frame has itself before it."""
    if previous is not None:
        return np.concatenate([convert(previous)[None], frames])
    return frames if len(frames) > 1 else np.concatenate([frames, frames])


def _mean(pairs: Float[np.ndarray, "m boxes percents"], num_frames: int) -> Float[np.ndarray, "boxes percents"]:
    """Mean over the snippet's frames; where the first has none before it, the first pair counts twice."""
    return (pairs.sum(0) + (num_frames - len(pairs)) * pairs[0]) / num_frames


def _speeds(frames: UInt16[np.ndarray, "m height width"]) -> Float[np.ndarray, "n height width"]:
    """Speed at each pixel of each frame but the last, in pixels a frame, from frames in quarter levels."""
    count = len(frames) - 1
    found = []
    for start in range(0, count, PAIRS):
        # The last call is filled with pairs of one frame, so that one shape is compiled.
        rows = np.minimum(np.arange(start, start + PAIRS + 1), count)
        part = jnp.asarray(frames[rows].astype(np.float32) / 4)
        found.append(flow.speeds(part[:-1], part[1:]))
    return np.concatenate([np.asarray(part) for part in found])[:count]


def _parts(plan: crops.Plan, grid: int) -> Int[np.ndarray, "boxes 4"]:
    """Boxes of a grid x grid split of each crop, crop by crop, in half-size pixels; mirrored where the crop is."""
    boxes = []
    for (x0, y0, x1, y1), flip in zip(plan.boxes, plan.flips, strict=True):
        xs = [(x0 + (x1 - x0) * i // grid) // 2 for i in range(grid + 1)]
        ys = [(y0 + (y1 - y0) * i // grid) // 2 for i in range(grid + 1)]
        cells = list(zip(xs[:-1], xs[1:], strict=True))
        boxes += [
            (a, top, b, bottom)
            for top, bottom in zip(ys[:-1], ys[1:], strict=True)
            for a, b in cells[:: -1 if flip else 1]
        ]
    return np.array(boxes, np.int64)


def _percentiles(
    values: Int[np.ndarray, "n height width"],
    boxes: Int[np.ndarray, "boxes 4"],
    percents: Sequence[float],
    levels: int,
    least: int = 0,
) -> Float[np.ndarray, "n boxes percents"]:
    """Percentiles (linear between neighbours, as NumPy's) of integers below `levels` in each box of each frame.

    Counted from histograms, in one pass a box. Values under `least` do not count; 0 where none is left.
    """
    n = len(values)
    found: dict[tuple[int, ...], np.ndarray] = {}
    offsets = levels * np.arange(n, dtype=np.int64)[:, None, None]
    for box in map(tuple, boxes.tolist()):
        if box in found:  # overlapping crops share parts
            continue
        x0, y0, x1, y1 = box
        inside = (values[:, y0:y1, x0:x1] + offsets).ravel()
        counts = np.bincount(inside, minlength=n * levels).reshape(n, levels)
        counts[:, :least] = 0
        below = np.cumsum(counts, axis=1)
        total = below[:, -1:]
        place = np.asarray(percents) / 100 * np.maximum(total - 1, 0)
        low = np.floor(place)
        first, second = (
            np.stack([np.searchsorted(b, r, side="right") for b, r in zip(below, ranks, strict=True)])
            for ranks in (low, np.minimum(low + 1, total - 1))
        )
        found[box] = np.where(total > 0, first + (place - low) * (second - first), 0)
    return np.stack([found[box] for box in map(tuple, boxes.tolist())], axis=1)
