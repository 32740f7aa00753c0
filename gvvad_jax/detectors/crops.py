"""From each crop's logit to the video's score."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gvvad_jax.losses import bag

Scores = Float[Array, "groups videos segments"]


def aggregate(
    logits: Float[Array, "groups videos crops segments"], mask: Bool[Array, "groups videos segments"], how: str
) -> tuple[Float[Array, "groups videos crops segments"], Scores, Scores, Scores]:
    """Scores of each crop, of the video (`how`: mean or max over crops), log of the score, log of one minus it.

    Scores are 0 outside the mask; the logarithms there mean nothing.
    """
    crop_scores = jnp.where(mask[:, :, None], jax.nn.sigmoid(logits), 0)
    if how == "max":
        return crop_scores, jnp.max(crop_scores, 2), *bag.log_scores(jnp.max(logits, 2))
    log_score, log_complement = (bag.log_mean(jnp.moveaxis(p, 2, -1)) for p in bag.log_scores(logits))
    return crop_scores, jnp.mean(crop_scores, 2), log_score, log_complement
