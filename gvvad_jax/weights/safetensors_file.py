"""Reads one safetensors file a tensor at a time: the header first, with every size checked, the numbers when asked for.

The library's own NumPy reader lacks bfloat16, in which most published weights of this size are stored.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
LONGEST = 100_000_000  # bytes of a header, as the format has it


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies: `start` counts bytes from the beginning of the file."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    def read(self) -> np.ndarray:
        """The tensor, in memory of its own."""
        count = math.prod(self.shape)
        found = np.fromfile(self.path, self.dtype, count, offset=self.start)
        if found.size != count:
            raise ValueError(f"{self.path} has become shorter since it was opened; fetch it again.")
        return found.reshape(self.shape)


def entries(path: str | Path) -> dict[str, Entry]:
    """Every tensor of the file by name; a truncated or damaged file, or another dtype, is a ValueError."""
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST):
            raise ValueError(
                f"{path} is damaged or not a safetensors file: header of {length:,} bytes in {size:,}; fetch it again."
            )
        head = file.read(length)
    try:
        header = json.loads(head)
        header.pop("__metadata__", None)
        places = {name: _place(name, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged in its header or not for this version ({error}); fetch it again."
        ) from None
    end = 0
    for start, stop in sorted((start, stop) for _, _, start, stop in places.values()):
        if start != end:
            raise ValueError(f"{path} is damaged: its tensors overlap or leave gaps at byte {start:,}; fetch it again.")
        end = stop
    if 8 + length + end != size:
        raise ValueError(
            f"{path} is damaged: it has {size:,} bytes, but its header promises {8 + length + end:,}; fetch it again."
        )
    return {name: Entry(path, dtype, shape, 8 + length + start) for name, (dtype, shape, start, _) in places.items()}


def _place(name: str, entry: dict) -> tuple[np.dtype, tuple[int, ...], int, int]:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"{name} is of dtype {entry['dtype']}, not one of {', '.join(DTYPES)}")
    dtype, shape, (start, stop) = DTYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
    if any(type(n) is not int or n < 0 for n in (*shape, start, stop)):
        raise ValueError(f"{name} has no shape or place")
    if stop - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} takes {stop - start:,} bytes, but shape {shape} needs others")
    return dtype, shape, start, stop
