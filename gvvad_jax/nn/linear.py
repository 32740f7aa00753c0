"""The linear layer and the initialisation of every weight here: Xavier uniform, zero bias.

Weights are drawn on the host: a detector is then made in milliseconds, where a compiled draw for each shape takes
seconds, and is the same on every kind of device.
"""

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Uniform within sqrt(6 / ((in + out) * taps)) for a kernel [..., in, out]; taps are the leading axes together."""
    taps = math.prod(shape[:-2])
    bound = math.sqrt(6 / ((shape[-2] + shape[-1]) * taps))
    return jnp.asarray(rng.uniform(-bound, bound, shape), jnp.float32)


class Linear(nnx.Module):
    """x @ kernel + bias."""

    def __init__(self, width: int, out: int, *, rng: np.random.Generator):
        """Draw the kernel [width, out] from `rng`."""
        self.kernel = nnx.Param(xavier(rng, (width, out)))
        self.bias = nnx.Param(jnp.asarray(np.zeros(out, np.float32)))

    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch out"]:
        """Map the last axis."""
        return x @ self.kernel[...] + self.bias[...]
