"""Selection of a video's k highest segments, as weights over all of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def top_k_weights(
    ranking: Float[Array, "*videos segments"], mask: Bool[Array, "*videos segments"], k: int
) -> Float[Array, "*videos segments"]:
    """1/k at the k highest valid entries of each row, 0 elsewhere; k falls to the number of valid ones.

    Weights instead of indices: a mean at k places is then one product, without gather or scatter. Of equal entries the
    first are taken (torch's order is undefined). A row without valid entries has no weight. No gradient passes.
    """
    segments = ranking.shape[-1]
    k = min(k, segments)
    ranking = jnp.where(mask, jax.lax.stop_gradient(ranking), -jnp.inf)
    _, indices = jax.lax.top_k(ranking, k)
    available = jnp.minimum(jnp.sum(mask, -1), k)[..., None]
    counts = (jnp.arange(k) < available) / jnp.maximum(available, 1)
    chosen = indices[..., None] == jnp.arange(segments)
    return jnp.sum(chosen * counts[..., None], -2).astype(jnp.float32)
