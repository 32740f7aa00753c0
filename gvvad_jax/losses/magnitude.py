"""RTFM's feature magnitude term: anomalous videos' chosen features long, normal ones' short."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def norm(x: Float[Array, "*batch width"]) -> Float[Array, "*batch"]:
    """Euclidean length with gradient 0 at the zero vector (torch's; the plain root's is NaN)."""
    square = jnp.sum(jnp.square(x), -1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def magnitude_pairs(
    normal: Float[Array, "*pairs crops width"], anomalous: Float[Array, "*pairs crops width"], margin: float | Array
) -> Float[Array, "*pairs"]:
    """(|margin - ‖z_a‖| + ‖z_n‖)² of each pair, mean over crops; z: mean of a video's k chosen features in one crop.

    The absolute value is the released program's; RTFM's paper has a hinge, max(0, margin - ‖z_a‖).
    """
    return jnp.mean(jnp.square(jnp.abs(margin - norm(anomalous)) + norm(normal)), -1)
