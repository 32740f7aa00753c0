"""Moving average over time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def moving_average(
    x: Float[Array, "*batch time"], mask: Bool[Array, "*#batch time"], length: int, causal: bool
) -> Float[Array, "*batch time"]:
    """Average `length` neighbours, those beyond the video left out; causal: this one and those before it, else centred.

    A centred window of even length takes one more from the past than from the future.
    """
    if length <= 1:
        return x
    ahead = 0 if causal else (length - 1) // 2
    valid = jnp.broadcast_to(mask, x.shape).astype(x.dtype)
    window = (1,) * (x.ndim - 1) + (length,)
    padding = [(0, 0)] * (x.ndim - 1) + [(length - 1 - ahead, ahead)]

    def total(rows: Array) -> Array:
        return jax.lax.reduce_window(rows, 0.0, jax.lax.add, window, (1,) * x.ndim, padding)

    return jnp.where(mask, total(jnp.where(mask, x, 0)) / jnp.maximum(total(valid), 1), 0)
