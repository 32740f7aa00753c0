"""Small pictures with soft edges, put over a frame: rounded limbs, flat faces, round clouds.

A sprite keeps its colour times its opacity and what is left of the picture below, so that putting it is two operations,
on rows of columns × 3 numbers: NumPy is slow where the last axis is three long.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

LOW, HIGH = 20, 235  # grain is added to frames of 8 bits without clipping, so colours stay away from the ends


@dataclasses.dataclass(frozen=True)
class Sprite:
    """`left`, `top`: of the picture relative to the anchor's pixel."""

    colour: np.ndarray  # [rows, columns * 3] float32
    keep: np.ndarray  # the same
    left: int
    top: int


def put(frame: np.ndarray, sprite: Sprite, column: float | int, row: float | int, light=None) -> None:
    """Puts a sprite's anchor at a pixel of a frame, uint8 [h, w, 3], its colours times `light`."""
    height, width = frame.shape[:2]
    x0, y0 = round(column) + sprite.left, round(row) + sprite.top
    rows, columns = sprite.keep.shape
    columns //= 3
    a, b, c, d = max(x0, 0), min(x0 + columns, width), max(y0, 0), min(y0 + rows, height)
    if a >= b or c >= d:
        return
    part = frame.reshape(height, 3 * width)[c:d, 3 * a : 3 * b]
    inside = (slice(c - y0, d - y0), slice(3 * (a - x0), 3 * (b - x0)))
    mixed = part * sprite.keep[inside]
    if light is None:
        mixed += sprite.colour[inside]
    else:
        mixed += sprite.colour[inside] * np.tile(light, b - a)
        np.maximum(mixed, LOW, out=mixed)
    part[...] = mixed


def limbs(
    ends: Float[np.ndarray, "n 2 2"],
    radii: Float[np.ndarray, " n"],
    colours: Float[np.ndarray, "n 3"],
    anchor: Sequence[float] | np.ndarray,
    opacity: float | int = 1.0,
    shade: float | int = 0.3,
) -> Sprite:
    """Capsules (column, row of both ends; radius in pixels), the later over the earlier, darker towards their edges."""
    reach = radii.max() + 2
    x0, y0 = np.floor(ends.reshape(-1, 2).min(0) - reach).astype(int)
    x1, y1 = np.ceil(ends.reshape(-1, 2).max(0) + reach).astype(int)
    x0, y0, x1, y1 = max(x0, -400), max(y0, -400), min(x1, 720), min(y1, 640)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    first, along = ends[:, 0].astype(np.float32), (ends[:, 1] - ends[:, 0]).astype(np.float32)
    x = np.arange(x0, x1, dtype=np.float32)[None, None] - first[:, 0, None, None]
    y = np.arange(y0, y1, dtype=np.float32)[None, :, None] - first[:, 1, None, None]
    u, v = along[:, 0, None, None], along[:, 1, None, None]
    square = u * u + v * v + 1e-6
    part = x * (u / square) + y * (v / square)  # where along the limb; then, in place, the distance from it
    np.maximum(part, 0, out=part)
    np.minimum(part, 1, out=part)
    down = part * v
    np.subtract(y, down, out=down)
    part *= u
    np.subtract(x, part, out=part)
    part *= part
    down *= down
    part += down
    r = radii.astype(np.float32)[:, None, None]
    shown = np.sqrt(part, out=down)
    np.subtract(r + 0.5, shown, out=shown)
    np.maximum(shown, 0, out=shown)
    np.minimum(shown, np.minimum(r / 0.6, 1), out=shown)
    left = np.ones_like(shown[0])
    for i in range(len(shown) - 1, -1, -1):
        shown[i] *= left
        left -= shown[i]
    if shade:
        part *= -shade / (r * r)
        part += 1
        np.maximum(part, 1 - shade, out=part)
        shown *= part
    n, height, width = shown.shape
    colour = (shown.reshape(n, -1).T @ (colours * opacity).astype(np.float32)).reshape(height, 3 * width)
    keep = (1 - opacity * (1 - left)).repeat(3, 1)
    return Sprite(colour, keep.astype(np.float32), int(x0 - round(anchor[0])), int(y0 - round(anchor[1])))


def faces(
    corners: Float[np.ndarray, "n k 2"], colours: Float[np.ndarray, "n 3"], anchor: Sequence[float] | np.ndarray
) -> Sprite | None:
    """Flat convex faces, the later over the earlier; corners run clockwise as seen in the picture."""
    flat = corners.reshape(-1, 2)
    x0, y0 = np.maximum(np.floor(flat.min(0)).astype(int) - 1, (-60, -60))
    x1, y1 = np.minimum(np.ceil(flat.max(0)).astype(int) + 2, (380, 300))
    if x1 <= x0 or y1 <= y0:
        return None
    colour = np.zeros((3, y1 - y0, x1 - x0), np.float32)
    keep = np.ones((y1 - y0, x1 - x0), np.float32)
    for face, paint in zip(corners.astype(np.float32), colours.astype(np.float32), strict=True):
        a, b = np.maximum(np.floor(face.min(0)).astype(int) - 1, (x0, y0)), np.ceil(face.max(0)).astype(int) + 2
        b = np.minimum(b, (x1, y1))
        if (b <= a).any() or np.ptp(face, 0).max() < 0.01:
            continue
        x, y = (
            np.arange(a[0], b[0], dtype=np.float32)[None, None],
            np.arange(a[1], b[1], dtype=np.float32)[None, :, None],
        )
        edge = np.roll(face, -1, 0) - face
        length = np.hypot(edge[:, 0], edge[:, 1])
        true = length > 0.01  # corners written twice bound nothing
        face, nx, ny = face[true], -edge[true, 1] / length[true], edge[true, 0] / length[true]
        offset = face[:, 0] * nx + face[:, 1] * ny
        inside = (x * nx[:, None, None] + (y * ny[:, None, None] - offset[:, None, None])).min(0)
        cover = np.minimum(np.maximum(inside + 0.5, 0), 1)
        part = (slice(a[1] - y0, b[1] - y0), slice(a[0] - x0, b[0] - x0))
        own = colour[:, *part]
        own += (paint[:, None, None] - own) * cover
        keep[part] *= 1 - cover
    # A face over an empty part was mixed with black in proportion to its cover: that is colour times opacity.
    colour = np.ascontiguousarray(np.moveaxis(colour, 0, -1)).reshape(y1 - y0, -1)
    return Sprite(colour, keep.repeat(3, 1), int(x0 - round(anchor[0])), int(y0 - round(anchor[1])))


def cloud(radius: float | int, colour, opacity: float | int, flat: float | int = 1.0) -> Sprite:
    """A soft disc, `flat` times as high as wide, thinning towards its edge."""
    w, h = int(np.ceil(radius)) + 1, int(np.ceil(radius * flat)) + 1
    x, y = np.arange(-w, w + 1, dtype=np.float32)[None], np.arange(-h, h + 1, dtype=np.float32)[:, None]
    square = (x / radius) ** 2 + (y / (radius * flat)) ** 2
    cover = (opacity * np.clip(1 - square, 0, 1)).astype(np.float32).repeat(3, 1)
    return Sprite(cover * np.tile(np.asarray(colour, np.float32), 2 * w + 1), 1 - cover, -w, -h)


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
