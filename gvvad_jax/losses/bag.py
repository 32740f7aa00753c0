"""Bag cross-entropy from logarithms: BCE of a score that is itself a mean of sigmoids, stable at both ends.

A mean of probabilities rounds to 1 in float32 long before its logarithm's complement vanishes; the mean is therefore
taken among logarithms, of the score and of one minus the score.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def log_mean(
    logs: Float[Array, "*batch n"], weights: Float[Array, "*#batch n"] | None = None
) -> Float[Array, "*batch"]:
    """Log of the weighted mean of exp(logs) over the last axis; weights sum to 1, None: equal; 0 where all are 0."""
    if weights is None:
        weights = jnp.full(logs.shape[-1], 1 / logs.shape[-1], logs.dtype)
    counts = weights > 0
    highest = jax.lax.stop_gradient(jnp.max(jnp.where(counts, logs, -jnp.inf), -1))
    highest = jnp.where(jnp.isfinite(highest), highest, 0)
    # where before exp: what has no weight may hold anything, and must not reach the gradient as 0 * inf.
    total = jnp.sum(weights * jnp.exp(jnp.where(counts, logs - highest[..., None], 0)), -1)
    return jnp.where(total > 0, jnp.log(jnp.where(total > 0, total, 1)) + highest, 0)


def log_scores(
    logits: Float[Array, "*batch"],
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """log s and log(1 - s) of s = sigmoid(logits)."""
    return jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)


def cross_entropy(
    log_score: Float[Array, "*videos"], log_complement: Float[Array, "*videos"], label: Int[Array, "*videos"]
) -> Float[Array, "*videos"]:
    """-(y log ŷ + (1 - y) log(1 - ŷ)) of each video (GV-VAD, Eq. 8), unreduced.

    As torch's BCELoss each logarithm is cut at -100 in value, while the gradient is that of the uncut one (torch's
    saturates only where s(1 - s) < 1e-12), so that a score stuck at the wrong end still learns.
    """
    y = label.astype(log_score.dtype)
    return -(y * _cut(log_score) + (1 - y) * _cut(log_complement))


def _cut(log: Array) -> Array:
    return log + jax.lax.stop_gradient(jnp.maximum(log, -100) - log)
