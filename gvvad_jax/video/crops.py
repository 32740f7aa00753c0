"""Views of a frame: centre, five, ten crops, or overlapping tiles; every view is `size` x `size` pixels.

centre, five and ten: the shorter side is resized to size * 256 / 224 (256 for 224), aspect kept, then square crops are
cut. For the centre this equals EfficientNet's evaluation crop, 0.875 of the shorter side. The order is VadCLIP's: 0
centre, 1 top left, 2 top right, 3 bottom left, 4 bottom right, 5-9 the same five mirrored. RTFM's I3D features squash
the frame to 256 x 256 instead, and I3D extractors put the centre last: published features may lie in another order.
tiles: the frame is resized, aspect not kept, to (columns + 1) x (rows + 1) half tiles, so that neighbouring tiles
overlap by half; 5x3 tiles of 224 are 672 x 448 pixels. Row by row from the top left.
The number of views never depends on the frame's size, so it is constant in a set.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

KINDS = ("centre", "five", "ten", "tiles")
MAX_ASPECT = 20


@dataclass(frozen=True, eq=False)
class Plan:
    """How a frame becomes its views: resize to `resize` (height, width), cut `boxes` (x0, y0, x1, y1), mirror some.

    `order` is what records store as crop_order; `fractions` are the boxes as fractions of the upright frame.
    """

    resize: tuple[int, int]
    boxes: Int[np.ndarray, "crops 4"]
    flips: Bool[np.ndarray, " crops"]
    size: int
    order: str
    fractions: Float[np.ndarray, "crops 4"]


def plan(kind: str, height: int, width: int, tiles: tuple[int, int] = (5, 3), size: int = 224) -> Plan:
    """Plans the views of frames of height x width; `tiles` is (columns, rows)."""
    if height < 1 or width < 1 or size < 1:
        raise ValueError(f"frames of {width}x{height} and crops of {size}: all three must be at least 1.")
    if kind == "tiles":
        return _tile_plan(height, width, *tiles, size)
    if kind not in KINDS:
        raise ValueError(f"crops={kind!r} is not known; choose one of {', '.join(KINDS)}.")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"a frame of {width}x{height}: one side is over {MAX_ASPECT} times the other; choose crops=tiles."
        )
    short = round(size * 256 / 224)
    new_height = max(short, round(short * height / min(height, width)))
    new_width = max(short, round(short * width / min(height, width)))
    right, bottom = new_width - size, new_height - size
    corners = [(right // 2, bottom // 2), (0, 0), (right, 0), (0, bottom), (right, bottom)]
    corners = corners[: 1 if kind == "centre" else 5]
    flips = [False] * len(corners)
    if kind == "ten":
        corners, flips = corners * 2, flips + [True] * 5
    return _finish((new_height, new_width), corners, flips, size, kind)


def _tile_plan(height: int, width: int, columns: int, rows: int, size: int) -> Plan:
    if columns < 1 or rows < 1 or size % 2:
        raise ValueError(f"tiles={columns}x{rows} of {size} pixels: give at least 1x1 tiles of an even size.")
    half = size // 2
    corners = [(column * half, row * half) for row in range(rows) for column in range(columns)]
    resize = (half * (rows + 1), half * (columns + 1))
    return _finish(resize, corners, [False] * len(corners), size, f"tiles {columns}x{rows}")


def _finish(resize: tuple[int, int], corners: list, flips: list, size: int, order: str) -> Plan:
    boxes = np.array([(x, y, x + size, y + size) for x, y in corners], dtype=np.int64)
    height, width = resize
    fractions = (boxes / np.array([width, height, width, height])).astype(np.float32)
    return Plan(resize, boxes, np.array(flips, dtype=bool), size, order, fractions)


def resize(frames: UInt8[np.ndarray, "n height width 3"], plan: Plan) -> UInt8[np.ndarray, "n new_height new_width 3"]:
    """Resizes frames to the plan's size by Pillow's bicubic filter, which widens when it shrinks (antialiased)."""
    height, width = plan.resize
    if frames.shape[1:3] == (height, width):
        return frames
    resized = np.empty((len(frames), height, width, 3), np.uint8)
    for i, frame in enumerate(frames):
        resized[i] = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))
    return resized


def cut(resized: UInt8[np.ndarray, "n height width 3"], plan: Plan) -> UInt8[np.ndarray, "n crops size size 3"]:
    """Cuts the plan's views out of resized frames."""
    if resized.shape[1:3] != plan.resize:
        raise ValueError(f"frames of {resized.shape[1:3]} but the plan is for {plan.resize}; call crops.resize first.")
    views = np.empty((len(resized), len(plan.boxes), plan.size, plan.size, 3), np.uint8)
    for i, ((x0, y0, x1, y1), flip) in enumerate(zip(plan.boxes, plan.flips, strict=True)):
        view = resized[:, y0:y1, x0:x1]
        views[:, i] = view[:, :, ::-1] if flip else view
    return views
