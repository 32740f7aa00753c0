"""Where CogVideoX's tokens stand: the 3-D sin-cos table that is added, and the angles that turn queries and keys.

Grids are frames x rows x columns of patches, in this order of tokens. On the host, once a size.
"""

import numpy as np
from jaxtyping import Float32, Float64

THETA = 10000.0


def sin_cos(
    width: int, frames: int, rows: int, columns: int, spatial_scale: float, temporal_scale: float
) -> Float64[np.ndarray, "tokens width"]:
    """[temporal, column, row] channels, a quarter and twice three eighths of the width; positions over their scale.

    ValueError where the width does not divide by 16.
    """
    if width % 16:
        raise ValueError(f"a width of {width} does not divide into the channels of frame, column and row; use 16·n.")
    frame, row, column = _grid(np.arange(frames), np.arange(rows), np.arange(columns))
    quarter, eighths = width // 4, 3 * width // 8
    parts = ((frame, temporal_scale, quarter), (column, spatial_scale, eighths), (row, spatial_scale, eighths))
    return np.concatenate([_waves(at, scale, size) for at, scale, size in parts], 1)


def _waves(at: np.ndarray, scale: float, size: int) -> np.ndarray:
    scaled = at.astype(np.float32) / np.float32(scale)  # single, as the reference divides; all else is double
    angles = scaled.astype(np.float64)[:, None] * THETA ** (-np.arange(size // 2) / (size / 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def crop_region(rows: int, columns: int, base_rows: int, base_columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The part of the base grid, ((top, left), (bottom, right)), that a grid of this aspect is laid over.

    Rounded half to even, as published.
    """
    if rows / columns > base_rows / base_columns:
        height, width = base_rows, int(round(base_rows / rows * columns))
    else:
        height, width = int(round(base_columns / columns * rows)), base_columns
    top, left = int(round((base_rows - height) / 2)), int(round((base_columns - width) / 2))
    return (top, left), (top + height, left + width)


def cropped_angles(
    width: int, frames: int, rows: int, columns: int, base_rows: int, base_columns: int
) -> Float32[np.ndarray, "tokens half"]:
    """One angle a pair of channels, positions in the base grid's cropped region (version 1.0).

    The last position is the region's end, its start included, times (n - 1)/n: not the start plus a part of its size.
    """
    (top, left), (bottom, right) = crop_region(rows, columns, base_rows, base_columns)
    row = np.linspace(top, bottom * (rows - 1) / rows, rows)
    column = np.linspace(left, right * (columns - 1) / columns, columns)
    return _angles(width, np.arange(frames), row, column)


def sliced_angles(width: int, frames: int, rows: int, columns: int) -> Float32[np.ndarray, "tokens half"]:
    """One angle a pair of channels, positions whole from 0 (version 1.5)."""
    return _angles(width, np.arange(frames), np.arange(rows), np.arange(columns))


def _angles(width: int, frames: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    sizes = (width // 4, 3 * width // 8, 3 * width // 8)
    parts = []
    for at, size in zip(_grid(frames, rows, columns), sizes, strict=True):
        speeds = (1 / THETA ** (np.arange(0, size, 2) / size)).astype(np.float32)
        parts.append(at.astype(np.float32)[:, None] * speeds)
    return np.concatenate(parts, 1)


def _grid(frames: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    return [axis.reshape(-1) for axis in np.meshgrid(frames, rows, columns, indexing="ij")]
