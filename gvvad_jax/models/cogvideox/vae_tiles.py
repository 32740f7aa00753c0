"""Tiles that overlap and fade into each other, for videos whose pieces do not fit the device (other values by design).

Every tile is a video of its own: normalised alone, padded with zeros at its own edges.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32


@dataclass(frozen=True)
class Side:
    """One side of the tiles: `tile` of the input every `stride`; of the output `blend` fades in and `keep` is kept."""

    tile: int
    stride: int
    blend: int
    keep: int


@dataclass(frozen=True)
class Tiles:
    """Tiles of so many rows and columns of the video, overlapping by these shares of a tile."""

    rows: int
    columns: int
    overlap_rows: float = 1 / 6
    overlap_columns: float = 1 / 5

    def decoding(self, shrink: int) -> tuple[Side, Side]:
        """Rows and columns of the latents, each of which becomes `shrink` of the video."""
        return self._sides(lambda pixels: (pixels // shrink, pixels), float(shrink))

    def encoding(self, shrink: int) -> tuple[Side, Side]:
        """Rows and columns of the video."""
        return self._sides(lambda pixels: (pixels, pixels // shrink), 1 / shrink)

    def _sides(self, sizes: Callable[[int], tuple[int, int]], growth: float) -> tuple[Side, Side]:
        made = []
        for pixels, overlap in ((self.rows, self.overlap_rows), (self.columns, self.overlap_columns)):
            tile, out = sizes(pixels)
            stride, blend = int(tile * (1 - overlap)), int(out * overlap)
            if not 0 < overlap < 1 or stride < 1 or stride * growth != out - blend:
                raise ValueError(
                    f"tiles of {pixels} that overlap by {overlap:.4g} do not join ({stride * growth:g} apart, "
                    f"{out - blend} kept of each); take a size whose share of overlap is a whole number of latents."
                )
            made.append(Side(tile, stride, blend, out - blend))
        return made[0], made[1]


def tiled(
    run: Callable[[np.ndarray], np.ndarray], x: Float[np.ndarray, "n rows columns channels"], sides: tuple[Side, Side]
) -> Float32[np.ndarray, "m height width depth"]:
    """What `run` makes of one video's tiles, joined: rows fade first, into tiles that have themselves been faded."""
    down, across = sides
    above: list[np.ndarray] = []
    bands = []
    for top in range(0, x.shape[1], down.stride):
        row: list[np.ndarray] = []
        for i, left in enumerate(range(0, x.shape[2], across.stride)):
            tile = run(x[:, top : top + down.tile, left : left + across.tile])
            if above:
                tile = faded(above[i], tile, 1, down.blend)
            if row:
                tile = faded(row[-1], tile, 2, across.blend)
            row.append(tile)
        bands.append(np.concatenate([tile[:, : down.keep, : across.keep] for tile in row], 2))
        above = row
    return np.concatenate(bands, 1)


def faded(
    before: Float32[np.ndarray, "*shape"], after: Float32[np.ndarray, "*other"], axis: int, blend: int
) -> Float32[np.ndarray, "*other"]:
    """`after`, whose first `blend` places along `axis` begin as the last of `before`: a (1 - i/n) + b i/n."""
    blend = min(blend, before.shape[axis], after.shape[axis])
    weight = (np.arange(blend, dtype=np.float32) / max(blend, 1)).reshape([-1] + [1] * (after.ndim - axis - 1))
    tail = np.take(before, range(before.shape[axis] - blend, before.shape[axis]), axis)
    head, rest = np.split(after, [blend], axis)
    return np.concatenate([tail * (1 - weight) + head * weight, rest], axis)
