"""Pre-norm transformer blocks as CLIP's towers have them: one scan over parameters stacked by layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float

from gvvad_jax.nn.attention import attention

Activation = Callable[[Array], Array]
ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
}


def matmul(x: Float[Array, "*places inputs"], kernel: Float[Array, "inputs outputs"]) -> Array:
    """Full float32 where x is (accelerators' own default is less), else the dtype's own product."""
    return jnp.matmul(x, kernel, precision=lax.Precision.HIGHEST if x.dtype == jnp.float32 else None)


def normalise(
    x: Float[Array, "*places width"], scale: Float[Array, " width"], bias: Float[Array, " width"], epsilon: float
) -> Float[Array, "*places width"]:
    """Layer normalisation with the biased variance; statistics in float32, two passes."""
    wide = x.astype(jnp.float32)
    centred = wide - wide.mean(-1, keepdims=True)
    found = centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon)
    return (found * scale.astype(jnp.float32) + bias.astype(jnp.float32)).astype(x.dtype)


class Norm(nnx.Module):
    """Layer normalisation over the last axis."""

    def __init__(self, width: int, epsilon: float, dtype: Any):
        self.scale, self.bias = (nnx.Param(jnp.zeros(width, dtype)) for _ in range(2))
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "*places width"]) -> Float[Array, "*places width"]:
        """Statistics in float32."""
        return normalise(x, self.scale[...], self.bias[...], self.epsilon)


class Dense(nnx.Module):
    """x W + b over the last axis."""

    def __init__(self, inputs: int, outputs: int, dtype: Any):
        self.kernel, self.bias = (nnx.Param(jnp.zeros(shape, dtype)) for shape in ((inputs, outputs), (outputs,)))

    def __call__(self, x: Float[Array, "*places inputs"]) -> Float[Array, "*places outputs"]:
        """Not activated."""
        return matmul(x, self.kernel[...]) + self.bias[...]


class Blocks(nnx.Module):
    """x += out(attention(norm1 x)); x += fc2(act(fc1(norm2 x))), layer after layer.

    `platform`: what it is compiled for, where that is not this process's own.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        inner: int,
        heads: int,
        epsilon: float,
        activation: str,
        dtype: Any,
        platform: str | None = None,
    ):
        def zeros(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros((layers, *shape), dtype))

        self.norm1_scale, self.norm1_bias = zeros(width), zeros(width)
        self.qkv_kernel, self.qkv_bias = zeros(width, 3 * width), zeros(3 * width)
        self.out_kernel, self.out_bias = zeros(width, width), zeros(width)
        self.norm2_scale, self.norm2_bias = zeros(width), zeros(width)
        self.fc1_kernel, self.fc1_bias = zeros(width, inner), zeros(inner)
        self.fc2_kernel, self.fc2_bias = zeros(inner, width), zeros(width)
        self.heads, self.epsilon, self.activation, self.platform = heads, epsilon, activation, platform

    def __call__(
        self, x: Float[Array, "n tokens width"], visible: Bool[Array, "#n tokens tokens"] | None = None
    ) -> Float[Array, "n tokens width"]:
        """The last block's output."""
        return self._scan(x, visible, keep=False)[0]

    def states(
        self, x: Float[Array, "n tokens width"], visible: Bool[Array, "#n tokens tokens"] | None = None
    ) -> Float[Array, "layers n tokens width"]:
        """Every block's output."""
        return self._scan(x, visible, keep=True)[1]

    def _scan(self, x: Array, visible: Array | None, keep: bool) -> tuple[Array, Any]:
        parameters = {name: value[...] for name, value in vars(self).items() if isinstance(value, nnx.Param)}
        act = ACTIVATIONS[self.activation]

        def block(x: Array, p: dict[str, Array]) -> tuple[Array, Any]:
            h = normalise(x, p["norm1_scale"], p["norm1_bias"], self.epsilon)
            joined = (matmul(h, p["qkv_kernel"]) + p["qkv_bias"]).reshape(
                *x.shape[:2], 3, self.heads, x.shape[2] // self.heads
            )
            mixed = attention(joined[:, :, 0], joined[:, :, 1], joined[:, :, 2], visible, platform=self.platform)
            x = x + matmul(mixed.reshape(x.shape), p["out_kernel"]) + p["out_bias"]
            h = normalise(x, p["norm2_scale"], p["norm2_bias"], self.epsilon)
            h = act(matmul(h, p["fc1_kernel"]) + p["fc1_bias"])
            x = x + matmul(h, p["fc2_kernel"]) + p["fc2_bias"]
            return x, x if keep else None

        return lax.scan(block, x, parameters)
