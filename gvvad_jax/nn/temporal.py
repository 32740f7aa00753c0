"""Convolution over time by matrix products, safe inside scan and under vmap over weights.

XLA:CPU's own convolution is a fifth faster alone, but sixty times slower where its gradient is taken inside a scan, and
three times under vmap over weights. One wide product for all taps, then shifted additions, is the best form that is
never slow.

Precision: products follow `jax.default_matmul_precision`. Accelerators round float32 products to TF32 or bfloat16
(about 1e-3) unless it is "highest"; comparisons with a released program need "highest" there.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gvvad_jax.nn import linear


def convolve(
    x: Float[Array, "*batch time width"], kernel: Float[Array, "taps width out"], dilation: int = 1
) -> Float[Array, "*batch time out"]:
    """Cross-correlate over time, stride 1, zeros beyond both ends, as torch's Conv1d with padding dilation*(taps-1)/2.

    Rows of `x` that are no part of the video must be zero: then a padded video sees the zeros it would see alone.
    """
    taps, width, out = kernel.shape
    if taps % 2 == 0:
        raise ValueError(f"a convolution over time needs an odd number of taps to keep the length, not {taps}.")
    if taps == 1:
        return x @ kernel[0]
    length = x.shape[-2]
    wide = x @ kernel.transpose(1, 0, 2).reshape(width, taps * out)
    result = wide[..., (taps // 2) * out : (taps // 2 + 1) * out]
    for tap in range(taps):
        shift = (tap - taps // 2) * dilation  # output t reads input t + shift
        if shift == 0 or abs(shift) >= length:
            continue
        part = wide[..., tap * out : (tap + 1) * out]
        edges = [(0, 0, 0)] * (x.ndim - 2) + [(-shift, shift, 0), (0, 0, 0)]
        result = result + jax.lax.pad(part, jnp.zeros((), part.dtype), edges)
    return result


class Convolution(nnx.Module):
    """Convolution over time with weights of its own (Xavier uniform, zero bias)."""

    def __init__(
        self, width: int, out: int, taps: int, *, dilation: int = 1, bias: bool = True, rng: np.random.Generator
    ):
        """Draw the kernel [taps, width, out] from `rng`."""
        self.kernel = nnx.Param(linear.xavier(rng, (taps, width, out)))
        self.bias = nnx.Param(jnp.asarray(np.zeros(out, np.float32))) if bias else None
        self.dilation = dilation

    def __call__(self, x: Float[Array, "*batch time width"]) -> Float[Array, "*batch time out"]:
        """Filter `x`, whose rows outside the video must be zero; such rows of the result mean nothing."""
        y = convolve(x, self.kernel[...], self.dilation)
        return y if self.bias is None else y + self.bias[...]
