"""A text encoder's vectors of prompts on disk, a file a prompt: what it cost to make them is not paid twice."""

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gvvad_jax import records


class Vectors:
    """A folder of them, made when the first one comes; `identity` says which encoder, in which dtype, made them."""

    def __init__(self, folder: Path, identity: str, dtype: Any, shape: tuple[int, int]):
        self.folder, self._identity, self._dtype, self._shape = folder, identity, np.dtype(dtype), shape

    def get(self, ids: Int[np.ndarray, " tokens"]) -> Float[np.ndarray, "tokens width"] | None:
        """The vectors of a prompt's token ids; None where there are none, or their file is damaged."""
        try:
            with np.load(self._path(ids)) as file:
                found = file["vectors"].view(self._dtype)
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        return found if found.shape == self._shape else None

    def put(self, ids: Int[np.ndarray, " tokens"], vectors: Float[np.ndarray, "tokens width"]) -> None:
        """Keeps them, on disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with records.atomic_write(self._path(ids)) as file:
            # As bytes: NumPy's format has no bfloat16. The archive around them has a checksum.
            np.savez(file, vectors=np.ascontiguousarray(vectors, self._dtype).view(np.uint8))

    def _path(self, ids: np.ndarray) -> Path:
        key = f"{self._identity} {self._dtype.name} {ids.tolist()}"
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
