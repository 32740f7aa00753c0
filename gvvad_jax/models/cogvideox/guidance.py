"""Classifier-free guidance (Ho and Salimans, 2022): the scale at each step, and the two answers joined by it."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Float64, Int

DYNAMIC = ("off", "published", "ramp")


def scales(
    guidance: float, steps: int, timesteps: Int[np.ndarray, " steps"], dynamic: str = "off"
) -> Float64[np.ndarray, " steps"]:
    """1 + G·(1 − cos(π·s⁵))/2 at each step, or G throughout.

    `ramp`: s = i/n, which rises slowly from 1, as the formula was meant. `published`: s = (n − t)/n with the timestep t
    itself, as released samplers compute it: t is far above n, and the scale jumps between 1 and 1 + G.
    """
    if dynamic not in DYNAMIC:
        raise ValueError(f"dynamic guidance {dynamic!r}; it is one of {', '.join(DYNAMIC)}.")
    if dynamic == "off":
        return np.full(steps, guidance, np.float64)
    shares = [(steps - int(t)) / steps if dynamic == "published" else i / steps for i, t in enumerate(timesteps)]
    # Python's own power and cosine: at arguments of 1e11 another last bit of the power would be another scale.
    return np.array([1 + guidance * ((1 - math.cos(math.pi * share**5.0)) / 2) for share in shares])


def joined(
    negative: Float[Array, "*shape"], positive: Float[Array, "*shape"], scale: float | Float32[Array, ""]
) -> Float32[Array, "*shape"]:
    """u + g·(c − u) in float32, of the network's answers to the negative prompt and to the prompt."""
    negative, positive = negative.astype(jnp.float32), positive.astype(jnp.float32)
    return negative + scale * (positive - negative)
