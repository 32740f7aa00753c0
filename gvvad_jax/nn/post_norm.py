"""Post-norm transformer layers, as BERT's: over a sequence, or over text behind a prefix that sees itself alone.

Such a prefix's keys and values never change: `prefix` computes them once, `text` runs new tokens against them and a
text cache of fixed size. One scan over parameters stacked by layer, each way.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gvvad_jax.nn.attention import attention
from gvvad_jax.nn.blocks import ACTIVATIONS, matmul, normalise


class Cache(NamedTuple):
    """Every layer's keys and values, heads before tokens as the products read them."""

    keys: Float[Array, "layers n heads tokens width"]
    values: Float[Array, "layers n heads tokens width"]


class Layers(nnx.Module):
    """x = norm1(x + out(attention x)); x = norm2(x + fc2(act(fc1 x))), layer after layer."""

    def __init__(self, layers: int, width: int, inner: int, heads: int, epsilon: float, activation: str, dtype: Any):
        def zeros(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros((layers, *shape), dtype))

        self.qkv_kernel, self.qkv_bias = zeros(width, 3 * width), zeros(3 * width)
        self.out_kernel, self.out_bias = zeros(width, width), zeros(width)
        self.norm1_scale, self.norm1_bias = zeros(width), zeros(width)
        self.fc1_kernel, self.fc1_bias = zeros(width, inner), zeros(inner)
        self.fc2_kernel, self.fc2_bias = zeros(inner, width), zeros(width)
        self.norm2_scale, self.norm2_bias = zeros(width), zeros(width)
        self.layers, self.heads, self.epsilon, self.activation = layers, heads, epsilon, activation

    def empty(self, n: int, tokens: int) -> Cache:
        """A cache for so many tokens of text, of which none is there yet."""
        width = self.out_bias.shape[-1] // self.heads
        zeros = jnp.zeros((self.layers, n, self.heads, tokens, width), self.out_bias.dtype)
        return Cache(zeros, zeros)

    def __call__(
        self, x: Float[Array, "n tokens width"], visible: Bool[Array, "#n #tokens tokens"] | None = None
    ) -> Float[Array, "n tokens width"]:
        """The last layer's output; `visible` says which tokens each token sees."""
        return lax.scan(lambda x, p: (self._over(p, x, visible)[0], None), x, self._parameters())[0]

    def states(
        self, x: Float[Array, "n tokens width"], visible: Bool[Array, "#n #tokens tokens"] | None = None
    ) -> Float[Array, "layers n tokens width"]:
        """Every layer's output."""

        def layer(x: Array, p: dict[str, Array]) -> tuple[Array, Array]:
            x, _ = self._over(p, x, visible)
            return x, x

        return lax.scan(layer, x, self._parameters())[1]

    def prefix(self, x: Float[Array, "n tokens width"]) -> Cache:
        """The keys and values that a prefix has in every layer."""
        return lax.scan(lambda x, p: self._over(p, x, None), x, self._parameters())[1]

    def text(
        self,
        x: Float[Array, "n new width"],
        start: Int[Array, ""] | int,
        prefix: Cache,
        cache: Cache,
        visible: Bool[Array, "#n new tokens"],
    ) -> tuple[Cache, Float[Array, "layers n new width"]]:
        """Runs new tokens, the first of which is number `start` of the text: the cache with them, and their states.

        `visible`: which tokens of the cache each new one sees; of the prefix it sees all.
        """

        def layer(x: Array, given: tuple[dict[str, Array], Cache, Cache]) -> tuple[Array, Any]:
            p, image, text = given
            query, key, value = (jnp.moveaxis(part, 1, 2) for part in self._split(p, x))
            text = Cache(
                lax.dynamic_update_slice_in_dim(text.keys, key, start, 2),
                lax.dynamic_update_slice_in_dim(text.values, value, start, 2),
            )
            x = self._rest(p, x, jnp.moveaxis(_over_both(query, image, text, visible[:, None]), 1, 2))
            return x, (text, x)

        return lax.scan(layer, x, (self._parameters(), prefix, cache))[1]

    def _over(self, p: dict[str, Array], x: Array, visible: Array | None) -> tuple[Array, Cache]:
        query, key, value = self._split(p, x)
        x = self._rest(p, x, attention(query, key, value, visible))
        return x, Cache(jnp.moveaxis(key, 1, 2), jnp.moveaxis(value, 1, 2))

    def _parameters(self) -> dict[str, Array]:
        return {name: value[...] for name, value in vars(self).items() if isinstance(value, nnx.Param)}

    def _split(self, p: dict[str, Array], x: Array) -> tuple[Array, Array, Array]:
        joined = (matmul(x, p["qkv_kernel"]) + p["qkv_bias"]).reshape(
            *x.shape[:2], 3, self.heads, x.shape[2] // self.heads
        )
        return joined[:, :, 0], joined[:, :, 1], joined[:, :, 2]

    def _rest(self, p: dict[str, Array], x: Array, mixed: Array) -> Array:
        x = x + matmul(mixed.reshape(x.shape), p["out_kernel"]) + p["out_bias"]
        x = normalise(x, p["norm1_scale"], p["norm1_bias"], self.epsilon)
        h = ACTIVATIONS[self.activation](matmul(x, p["fc1_kernel"]) + p["fc1_bias"])
        x = x + matmul(h, p["fc2_kernel"]) + p["fc2_bias"]
        return normalise(x, p["norm2_scale"], p["norm2_bias"], self.epsilon)


def _over_both(query: Array, prefix: Cache, text: Cache, visible: Array) -> Array:
    """Attention over two sets of keys. Joining them would copy the prefix, 40 times the text, at every token."""
    precise = lax.Precision.HIGHEST if query.dtype == jnp.float32 else None
    products = {"precision": precise, "preferred_element_type": jnp.float32}
    scores = [jnp.einsum("nhqd,nhkd->nhqk", query, part.keys, **products) for part in (prefix, text)]
    before, own = (score / query.shape[-1] ** 0.5 for score in scores)
    own = jnp.where(visible, own, jnp.finfo(own.dtype).min)
    highest = jnp.maximum(before.max(-1, keepdims=True), own.max(-1, keepdims=True))
    before, own = jnp.exp(before - highest), jnp.exp(own - highest)
    mixed, more = (
        jnp.einsum("nhqk,nhkd->nhqd", weights.astype(query.dtype), part.values, **products)
        for weights, part in ((before, prefix), (own, text))
    )
    return ((mixed + more) / (before.sum(-1, keepdims=True) + own.sum(-1, keepdims=True))).astype(query.dtype)
