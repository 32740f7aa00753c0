"""Small pictures with soft edges, put over a frame: rounded limbs, flat faces, round clouds.

A sprite keeps its colour times its opacity and what is left of the picture below, in 256ths, so that putting it is one
multiplication and one addition of 16-bit integers on rows of columns × 3 numbers: NumPy is slow where the last axis is
three long.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

LOW, HIGH = 20, 235  # grain is added to frames of 8 bits without clipping, so colours stay away from the ends
TOGETHER = 100_000  # pixels times limbs drawn at once: what stays in the processor's cache


@dataclasses.dataclass(frozen=True, eq=False)
class Sprite:
    """`left`, `top`: of the picture relative to the anchor's pixel."""

    colour: np.ndarray  # [rows, columns * 3] uint16, 256 times colour times opacity
    keep: np.ndarray  # the same, 256 where the picture below stays
    left: int
    top: int

    def lit(self, light: Float[np.ndarray, " 3"]) -> "Sprite":
        """The same under a light that its colours are multiplied with; none leaves LOW to HIGH."""
        colour = self.colour * np.tile(light.astype(np.float32), self.keep.shape[1] // 3)
        return dataclasses.replace(self, colour=_bounded(colour, self.keep))


def _whole(colour: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is left and colour times opacity, given as parts of one in float32, in 256ths; both are used up."""
    keep *= 256
    kept = np.rint(keep, out=keep).astype(np.uint16)
    colour *= 256
    return kept, _bounded(colour, kept)


def _sprite(colour: np.ndarray, keep: np.ndarray, left: int, top: int) -> Sprite:
    kept, colour = _whole(colour, keep)
    return Sprite(colour, kept, int(left), int(top))


def _bounded(colour: np.ndarray, keep: np.ndarray) -> np.ndarray:
    hidden = 256 - keep
    np.maximum(colour, hidden * np.uint16(LOW), out=colour)
    np.minimum(colour, hidden * np.uint16(HIGH), out=colour)
    return colour.astype(np.uint16)


def put(frame: np.ndarray, sprite: Sprite, column: float | int, row: float | int) -> None:
    """Puts a sprite's anchor at a pixel of a frame, uint8 [h, w, 3]."""
    height, width = frame.shape[:2]
    x0, y0 = round(column) + sprite.left, round(row) + sprite.top
    rows, columns = sprite.keep.shape
    columns //= 3
    a, b, c, d = max(x0, 0), min(x0 + columns, width), max(y0, 0), min(y0 + rows, height)
    if a >= b or c >= d:
        return
    part = frame.reshape(height, 3 * width)[c:d, 3 * a : 3 * b]
    mixed = part.astype(np.uint16)
    if d - c == rows and b - a == columns:
        mixed *= sprite.keep
        mixed += sprite.colour
    else:
        inside = (slice(c - y0, d - y0), slice(3 * (a - x0), 3 * (b - x0)))
        mixed *= sprite.keep[inside]
        mixed += sprite.colour[inside]
    mixed >>= 8
    part[...] = mixed


def limbs(
    ends: Float[np.ndarray, "sprites n 2 2"],
    radii: Float[np.ndarray, "sprites n"],
    colours: Float[np.ndarray, "sprites n 3"],
    anchors: Float[np.ndarray, "sprites 2"],
    opacity: float | int = 1.0,
    shade: float | int = 0.3,
) -> list[Sprite]:
    """Capsules (column, row of both ends; radius in pixels), the later over the earlier, darker towards their edges.

    Sprites of about one size are drawn together: of small ones NumPy's calls take longer than their pixels.
    """
    base = np.round(anchors)
    ends = ends - base[:, None, None]
    low = np.floor((ends.min(2) - radii[..., None]).min(1) - 1).astype(int)
    high = np.ceil((ends.max(2) + radii[..., None]).max(1) + 2).astype(int)
    low, high = np.maximum(low, -500), np.minimum(high, 500)
    high = np.maximum(high, low + 1)
    size = (high - low).max(0)
    each = max(1, TOGETHER // int(ends.shape[1] * size.prod()))
    made: list[Sprite] = []
    for i in range(0, len(ends), each):
        part = slice(i, i + each)
        made += _capsules(ends[part], radii[part], colours[part] * opacity, low[part], high[part], opacity, shade)
    return made


def _capsules(ends, radii, colours, low, high, opacity: float | int, shade: float | int) -> list[Sprite]:
    """Sprites whose boxes, from `low` to `high`, begin at their own corner and are cut to size at the end."""
    wide, tall = (high - low).max(0).tolist()
    along = (ends[:, :, 1] - ends[:, :, 0]).astype(np.float32) + np.array([1e-3, 0], np.float32)  # points too
    length = np.sqrt((along * along).sum(-1))
    start = (low[:, None] - ends.mean(2)).astype(np.float32)
    u, v, half = (number[..., None, None] for number in (along[..., 0] / length, along[..., 1] / length, length / 2))
    x = start[..., 0, None, None] + np.arange(wide, dtype=np.float32)
    y = start[..., 1, None, None] + np.arange(tall, dtype=np.float32)[:, None]
    square = (
        x * u + y * v
    )  # [sprites, limbs, rows, columns]: along the limb from its middle; then, in place, past its end
    np.abs(square, out=square)
    np.maximum(square, half, out=square)
    square -= half
    square *= square
    shown = y * u - x * v  # across the limb
    shown *= shown
    square += shown  # of the distance from the limb
    r = radii.astype(np.float32)[..., None, None]
    np.sqrt(square, out=shown)
    np.subtract(r + 0.5, shown, out=shown)
    np.maximum(shown, np.zeros_like(r), out=shown)  # twice as fast as with a plain 0
    np.minimum(shown, np.minimum(r / 0.6, 1), out=shown)
    left = np.ones((len(ends), tall, wide), np.float32)
    for i in range(shown.shape[1] - 1, -1, -1):
        shown[:, i] *= left
        left -= shown[:, i]
    if shade:
        square *= -shade / (r * r)
        square += 1
        np.maximum(square, np.full_like(r, 1 - shade), out=square)
        shown *= square
    flat = shown.reshape(*shown.shape[:2], -1).swapaxes(1, 2)
    colour = (flat @ colours.astype(np.float32)).reshape(len(ends), tall, 3 * wide)
    kept, painted = _whole(colour, (1 - opacity * (1 - left)).repeat(3, 2))
    cut = (high - low).tolist()
    return [
        Sprite(painted[i, :h, : 3 * w], kept[i, :h, : 3 * w], x, y)
        for i, ((w, h), (x, y)) in enumerate(zip(cut, low.tolist(), strict=True))
    ]


def faces(
    corners: Float[np.ndarray, "n k 2"], colours: Float[np.ndarray, "n 3"], anchor: Sequence[float] | np.ndarray
) -> Sprite | None:
    """Flat convex faces, the later over the earlier; corners run clockwise as seen in the picture."""
    low = np.maximum(np.floor(corners.min(1)).astype(int) - 1, (-60, -60))
    high = np.minimum(np.ceil(corners.max(1)).astype(int) + 2, (380, 300))
    (x0, y0), (x1, y1) = low.min(0).tolist(), high.max(0).tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    corners = corners.astype(np.float32)
    edge = np.roll(corners, -1, 1) - corners
    length = np.hypot(edge[..., 0], edge[..., 1])
    true = length > 0.01  # corners written twice bound nothing
    normal = np.stack([-edge[..., 1], edge[..., 0]], -1) / np.maximum(length, 0.01)[..., None]
    offset = (corners * normal).sum(-1) - 0.5
    across, down = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    colour = np.zeros((3, y1 - y0, x1 - x0), np.float32)
    left = np.ones((y1 - y0, x1 - x0), np.float32)
    paints = colours.astype(np.float32)[:, :, None, None]
    spans = (np.concatenate([low, high], 1) - (x0, y0, x0, y0)).tolist()
    for i in range(len(corners) - 1, -1, -1):  # from the front
        a, b, c, d = spans[i]
        if c <= a or d <= b or not true[i].any():
            continue
        nx, ny = normal[i, true[i]].T[:, :, None, None]
        shown = (across[a:c] * nx + (down[b:d] * ny - offset[i, true[i], None, None])).min(0)
        np.maximum(shown, 0, out=shown)
        np.minimum(shown, 1, out=shown)
        below = left[b:d, a:c]
        shown *= below
        below -= shown
        colour[:, b:d, a:c] += shown * paints[i]
    colour = np.ascontiguousarray(np.moveaxis(colour, 0, -1)).reshape(y1 - y0, -1)
    return _sprite(colour, left.repeat(3, 1), x0 - round(anchor[0]), y0 - round(anchor[1]))


@functools.lru_cache(4096)
def cloud(radius: float | int, colour: tuple, opacity: float | int, flat: float | int = 1.0) -> Sprite:
    """A soft disc, `flat` times as high as wide, thinning towards its edge; give rounded numbers, the same are kept."""
    w, h = int(np.ceil(radius)) + 1, int(np.ceil(radius * flat)) + 1
    x, y = np.arange(-w, w + 1, dtype=np.float32)[None], np.arange(-h, h + 1, dtype=np.float32)[:, None]
    square = (x / radius) ** 2 + (y / (radius * flat)) ** 2
    cover = (opacity * np.clip(1 - square, 0, 1)).astype(np.float32).repeat(3, 1)
    return _sprite(cover * np.tile(np.asarray(colour, np.float32), 2 * w + 1), 1 - cover, -w, -h)


def glow(
    frame: UInt8[np.ndarray, "h w 3"],
    column: float | int,
    row: float | int,
    radius: float | int,
    colour,
    flat: float | int = 1.0,
) -> None:
    """Adds light to a frame around a pixel, up to the brightest colour."""
    height, width = frame.shape[:2]
    a, b = max(int(column - radius), 0), min(int(column + radius) + 1, width)
    c, d = max(int(row - radius * flat), 0), min(int(row + radius * flat) + 1, height)
    if a >= b or c >= d:
        return
    x, y = np.arange(a, b, dtype=np.float32)[None] - column, np.arange(c, d, dtype=np.float32)[:, None] - row
    near = np.clip(1 - (x / radius) ** 2 - (y / (radius * flat)) ** 2, 0, 1) ** 2
    part = frame.reshape(height, 3 * width)[c:d, 3 * a : 3 * b]
    part[...] = np.minimum(part + near.repeat(3, 1) * np.tile(np.asarray(colour, np.float32), b - a), HIGH)
