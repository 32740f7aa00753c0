"""The linear layer and the initialisation of every weight here: Xavier uniform, zero bias."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key


def xavier(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Uniform within sqrt(6 / ((in + out) * taps)) for a kernel [..., in, out]; taps are the leading axes together."""
    taps = math.prod(shape[:-2])
    bound = math.sqrt(6 / ((shape[-2] + shape[-1]) * taps))
    return jax.random.uniform(key, shape, jnp.float32, -bound, bound)


class Linear(nnx.Module):
    """x @ kernel + bias."""

    def __init__(self, width: int, out: int, *, rngs: nnx.Rngs):
        """Draw the kernel [width, out] from `rngs.params`."""
        self.kernel = nnx.Param(xavier(rngs.params(), (width, out)))
        self.bias = nnx.Param(jnp.zeros(out, jnp.float32))

    def __call__(self, x: Float[Array, "*batch width"]) -> Float[Array, "*batch out"]:
        """Map the last axis."""
        return x @ self.kernel[...] + self.bias[...]
