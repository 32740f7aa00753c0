"""Dropout: an element is kept with probability 1 - rate and then multiplied by 1 / (1 - rate), as torch's."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from gvvad_jax.nn import counter


def keep(key: Key[Array, ""], shape: tuple[int, ...], rate: float | Array) -> Bool[Array, "*shape"]:
    """True with probability 1 - rate, each element on its own."""
    return counter.uniform(key, shape) >= rate


def dropout(x: Float[Array, "*shape"], key: Key[Array, ""] | None, rate: float | Array) -> Float[Array, "*shape"]:
    """Drop elements of `x`; without a key nothing is dropped or scaled."""
    if key is None:
        return x
    # A rate of 1 keeps nothing, and 0 / 0 must not follow from it.
    scale = 1 / jnp.maximum(1 - jnp.asarray(rate, jnp.float32), jnp.finfo(jnp.float32).eps)
    return jnp.where(keep(key, x.shape, rate), x * scale, 0)


def split(key: Key[Array, ""] | None, number: int) -> list[Key[Array, ""] | None]:
    """`number` keys, or as many Nones where there is no key (evaluation)."""
    return [None] * number if key is None else list(jax.random.split(key, number))
