"""What a detector does to features before its network: signed square root, principal components, standardisation.

The statistics are those of the normal training videos, fitted once on the host in float64 and kept as state of the
detector, so that training, a bundle and a stream cannot differ.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from gvvad_jax.nn import counter


class Fitted(nnx.Variable):
    """State that is fitted to the training set, never trained."""


class Columns(NamedTuple):
    """A named half-open range of feature columns (what records call a block)."""

    name: str
    start: int
    stop: int


class InputTransform(nnx.Module):
    """Features of `width` columns -> what the network sees, of `self.width` columns.

    Each block wider than `components` has its signed square root taken (`root`) and is reduced to its first
    `components` principal axes (0: none is reduced); then every column is standardised and clipped.
    """

    def __init__(
        self,
        width: int,
        blocks: Sequence[Columns] = (),
        *,
        root: bool = False,
        components: int = 0,
        normalise: str = "none",
        clip: float = 0.0,
        noise: float = 0.0,
    ):
        """Without blocks the whole width is one; `clip` 0: no clipping; `noise`: standard deviation in training."""
        self.blocks = tuple(blocks) or (Columns("visual", 0, width),)
        self.root, self.components, self.normalise, self.clip, self.noise = root, components, normalise, clip, noise
        out = 0
        bases = {}
        for block in self.blocks:
            size = block.stop - block.start
            if self._is_reduced(block):
                # Until it is fitted: the first columns as they are.
                bases[block.name] = Fitted(_array(np.eye(size, components)))
                out += components
            else:
                out += size
        self.basis = nnx.Dict(bases)
        self.mean = Fitted(_array(np.zeros(width if bases else 0)))
        self.shift = Fitted(_array(np.zeros(out if normalise == "standardise" else 0)))
        self.scale = Fitted(_array(np.ones(out if normalise == "standardise" else 0)))
        self.rows = Fitted(_array(np.zeros(())))  # how many rows it was fitted to
        self.width = out

    @property
    def needs_fit(self) -> bool:
        """Whether the switches ask for statistics of the training set."""
        return self.normalise == "standardise" or bool(self.basis)

    @property
    def is_fitted(self) -> bool:
        """Whether they are there (host only)."""
        return not self.needs_fit or float(self.rows[...]) > 0

    def __call__(
        self,
        x: Float[Array, "*batch width"],
        mask: Bool[Array, "*#batch"],
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "*batch out"]:
        """Transform the last axis; rows outside the mask come back zero; a key adds the training noise."""
        # Before all arithmetic: the root of padding, which may hold anything, would spoil gradients, not scores.
        x = self._rooted(jnp.where(mask[..., None], x.astype(jnp.float32), 0), jnp)
        if self.basis:
            x = x - self.mean[...]
            parts = [x[..., b.start : b.stop] for b in self.blocks]
            parts = [
                p @ self.basis[b.name][...] if b.name in self.basis else p
                for b, p in zip(self.blocks, parts, strict=True)
            ]
            x = jnp.concatenate(parts, -1)
        if self.normalise == "standardise":
            x = (x - self.shift[...]) * self.scale[...]
        if self.clip:
            x = jnp.clip(x, -self.clip, self.clip)
        if self.noise and key is not None:
            x = x + self.noise * counter.normal(key, x.shape)
        return jnp.where(mask[..., None], x, 0)

    def fit(self, rows: Iterable[np.ndarray]) -> None:
        """Set the statistics from arrays [n, width] of feature rows, in one pass and float64."""
        if not self.needs_fit:
            return
        count, origin, total, squares = 0, None, np.zeros(()), np.zeros(())
        tables: dict[str, Any] = {}
        for part in rows:
            part = self._rooted(np.asarray(part, np.float64), np)
            if not np.isfinite(part).all():
                raise ValueError("a row of the training features is NaN or infinite; tools/doctor.py names its video.")
            if len(part) == 0:
                continue
            if origin is None:
                # Sums of squares about a value near the mean keep their digits.
                origin = part.mean(0)
                total, squares = np.zeros_like(origin), np.zeros_like(origin)
            part = part - origin
            count += len(part)
            total, squares = total + part.sum(0), squares + np.square(part).sum(0)
            for block in filter(self._is_reduced, self.blocks):
                own = part[:, block.start : block.stop]
                tables[block.name] = tables.get(block.name, 0) + own.T @ own
        if origin is None or count < 2:
            raise ValueError(f"input statistics need at least two rows of normal training videos, not {count}.")
        self._set(count, origin, total / count, squares / count, {k: v / count for k, v in tables.items()})

    def _set(self, count: int, origin: Any, offset: Any, squares: Any, tables: dict[str, Any]) -> None:
        """Turn moments about `origin` into mean, axes, shift and scale."""
        mean = origin + offset
        variances, means = [], []
        for block in self.blocks:
            columns = slice(block.start, block.stop)
            if self._is_reduced(block):
                covariance = tables[block.name] - np.outer(offset[columns], offset[columns])
                values, axes = np.linalg.eigh(covariance)
                values, axes = values[::-1][: self.components], axes[:, ::-1][:, : self.components]
                # An axis has no sign of its own: let its largest entry be positive, so that two machines agree.
                largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
                self.basis[block.name][...] = _array(axes * np.sign(largest))
                variances.append(_floor(values, values.max(initial=0)))
                means.append(np.zeros(len(values)))
            else:
                variance = squares[columns] - np.square(offset[columns])
                variances.append(_floor(variance, np.square(origin[columns]) + np.square(offset[columns])))
                # With a basis every column has its mean taken off first.
                means.append(np.zeros(len(variance)) if self.basis else mean[columns])
        if self.basis:
            self.mean[...] = _array(mean)
        if self.normalise == "standardise":
            self.shift[...] = _array(np.concatenate(means))
            self.scale[...] = _array(1 / np.sqrt(np.concatenate(variances)))
        self.rows[...] = _array(np.asarray(count))

    def _is_reduced(self, block: Columns) -> bool:
        return 0 < self.components < block.stop - block.start

    def _rooted(self, x: Any, lib: Any) -> Any:
        """Signed square root of the blocks wider than `components`."""
        if not self.root:
            return x
        parts = []
        for block in self.blocks:
            part = x[..., block.start : block.stop]
            if block.stop - block.start > self.components:
                part = lib.sign(part) * lib.sqrt(lib.abs(part))
            parts.append(part)
        return lib.concatenate(parts, -1)


def _array(x: np.ndarray) -> Array:
    return jnp.asarray(x.astype(np.float32))


def _floor(variance: Any, reference: Any) -> Any:
    """A column that does not vary (to rounding) keeps its unit: dividing by its noise would blow up the test's."""
    return np.where(variance > 1e-12 * reference + 1e-30, variance, 1.0)
