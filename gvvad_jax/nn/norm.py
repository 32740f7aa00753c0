"""Batch normalisation over the valid rows alone, with torch's statistics.

Normalises with the biased variance and stores the unbiased one; flax's own stores the biased one, and its `momentum` is
the share kept (0.9), torch's the share of the new value (0.1).
"""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

Statistics = Literal["running", "batch"]


class BatchNorm(nnx.Module):
    """Batch normalisation of the last axis; statistics over all others, of the rows in the mask."""

    def __init__(self, width: int, *, momentum: float = 0.1, epsilon: float = 1e-5, scale: float = 1.0):
        """Start at mean 0, variance 1; `scale=0` makes the layer give zeros until it has learnt something."""
        self.scale = nnx.Param(jnp.asarray(np.full(width, scale, np.float32)))
        self.bias = nnx.Param(jnp.asarray(np.zeros(width, np.float32)))
        self.mean = nnx.BatchStat(jnp.asarray(np.zeros(width, np.float32)))
        self.var = nnx.BatchStat(jnp.asarray(np.ones(width, np.float32)))
        self.batches = nnx.BatchStat(jnp.asarray(np.zeros((), np.int32)))  # counted, as torch's, and read by nobody
        self.momentum = momentum
        self.epsilon = epsilon

    def __call__(
        self, x: Float[Array, "*batch width"], mask: Bool[Array, "*#batch"], statistics: Statistics, copies: int = 1
    ) -> Float[Array, "*batch width"]:
        """Normalise; "batch" also moves the running statistics. Rows outside the mask come back as the bias or so.

        `copies`: how many equal copies of `x` the running variance counts, where a released program made them.
        """
        if statistics == "running":
            mean, var = self.mean[...], self.var[...]
        else:
            mean, var, count = self._batch_statistics(x, mask)
            # Nothing valid, nothing learnt; one valid row has no unbiased variance (torch refuses it).
            unbiased = var * count * copies / jnp.maximum(count * copies - 1, 1)
            rate = jnp.where(count > 0, self.momentum, 0.0)
            self.mean[...] = self.mean[...] + rate * (mean - self.mean[...])
            self.var[...] = self.var[...] + rate * (unbiased - self.var[...])
            self.batches[...] = self.batches[...] + jnp.int32(1)
        return (x - mean) * (self.scale[...] / jnp.sqrt(var + self.epsilon)) + self.bias[...]

    def _batch_statistics(self, x: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Mean and biased variance in float32, in two passes: E[x²] - E[x]² loses digits where the mean is large."""
        x = x.astype(jnp.float32)
        valid = jnp.broadcast_to(mask, x.shape[:-1])
        axes = tuple(range(x.ndim - 1))
        count = jnp.sum(valid, dtype=jnp.float32)
        divisor = jnp.maximum(count, 1)
        mean = jnp.sum(jnp.where(valid[..., None], x, 0), axes) / divisor
        var = jnp.sum(jnp.where(valid[..., None], jnp.square(x - mean), 0), axes) / divisor
        return mean, var, count
