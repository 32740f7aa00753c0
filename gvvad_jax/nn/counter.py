"""Random arrays from a hash of the element's number: as random as dropout needs, at a small part of the price.

threefry takes 116 ms of CPU for a mask of 5 million elements, this hash 3. An element's value depends on the key and on
its place in the whole array alone, so one device and eight draw the same.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32


def bits(key: Key[Array, ""], shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """32 random bits an element; arrays of more than 2**32 elements repeat themselves."""
    first, second = jax.random.bits(key, (2,), jnp.uint32)
    # One iota a dimension instead of a reshaped flat one: a reshape would move data between devices.
    number = jnp.zeros(shape, jnp.uint32)
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :]) % 2**32
        number = number + jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
    # The second word enters between the two multiplications: added outside, two keys would give one sequence, shifted.
    x = number ^ first
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = x + second
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Float32 numbers in [0, 1), multiples of 2**-24."""
    return (bits(key, shape) >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Float32 numbers of mean 0 and variance 1 (inverse of the error function; within 5.4 of 0)."""
    # Odd multiples of 2**-25 inside (0, 1): symmetric about one half and never at either end.
    inside = (bits(key, shape) >> 9).astype(jnp.float32) * jnp.float32(2.0**-23) + jnp.float32(2.0**-24)
    return jnp.float32(math.sqrt(2)) * jax.scipy.special.erfinv(2 * inside - 1)
