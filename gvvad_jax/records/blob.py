"""One record as bytes: a safetensors blob, arrays as its tensors and everything else as one JSON string beside them.

Layout (safetensors): 8 bytes little-endian length n of the header, n bytes of JSON, then the tensors' bytes. The header
names each tensor's dtype, shape and place; under `__metadata__` it has the one entry `record`, our JSON.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import numpy as safetensors_numpy

from gvvad_jax.records import files

DTYPES = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "U8": np.dtype("u1"), "I64": np.dtype("<i8")}
HEADER_LIMIT = 100_000_000  # safetensors' own


def pack(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], what: str) -> bytes:
    """The blob of a record; the same values give the same bytes."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors_numpy.save(contiguous, {"record": files.dump(meta, what)})


def unpack(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays (read-only views into `data`, no copy) and the JSON object; bytes that are no blob: ValueError."""
    header, start = read_header(data)
    meta = header_record(header)
    arrays = {}
    for name, entry in header.items():
        try:
            dtype, shape, (begin, end) = DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
            count = math.prod(shape)
            if min(shape, default=0) < 0 or begin < 0 or end - begin != count * dtype.itemsize:
                raise ValueError(f"shape {shape} does not fill its bytes {begin} to {end}")
            arrays[name] = np.frombuffer(data, dtype, count, start + begin).reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"tensor '{name}' cannot be read ({error})") from None
    return arrays, meta


def read_header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header of a blob, or of its first bytes where they hold all of it, and where the tensors' bytes start."""
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data) or start > HEADER_LIMIT:
        raise ValueError(f"not a safetensors blob (a header of {start - 8:,} bytes in {len(data):,})")
    header = json.loads(data[8:start])
    if not isinstance(header, dict):
        raise ValueError("not a safetensors blob (its header is no JSON object)")
    return header, start


def header_record(header: dict[str, Any]) -> dict[str, Any]:
    """Takes our JSON object out of a header and leaves the tensors' entries."""
    try:
        meta = json.loads(header.pop("__metadata__")["record"])
    except (KeyError, TypeError):
        raise ValueError("a safetensors blob without the metadata entry 'record'") from None
    if not isinstance(meta, dict):
        raise ValueError("the metadata entry 'record' is no JSON object")
    return meta
