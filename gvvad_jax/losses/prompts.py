"""LAP's losses from text (arXiv 2403.01169): snippets whose text resembles anomaly prompts, as pseudo labels and as the
far set of a triplet. The papers leave much open; what is our reading and what the released program does is said at
each function.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gvvad_jax.losses import bag, magnitude, top_k

EXACT = jax.lax.Precision.HIGHEST  # a similarity rounded to bfloat16 would flag other snippets


def similarities(
    text: Float[Array, "*videos segments width"], bank: Float[Array, "prompts width"]
) -> Float[Array, "*videos segments"]:
    """Cosine with the nearest prompt, each length clamped at 1e-8 (torch's rule)."""
    text, bank = (x / jnp.maximum(magnitude.norm(x), 1e-8)[..., None] for x in (text, bank))
    return jax.lax.stop_gradient(jnp.max(jnp.matmul(text, bank.T, precision=EXACT), -1))


def flags(
    similarity: Float[Array, "videos segments"], counts: Bool[Array, "videos segments"]
) -> Bool[Array, "videos segments"]:
    """Above mean + 1 standard deviation (unbiased) over all that count: a video's flags depend on its batch mates."""
    number = jnp.sum(counts, dtype=jnp.float32)
    mean = jnp.sum(jnp.where(counts, similarity, 0)) / jnp.maximum(number, 1)
    square = jnp.sum(jnp.where(counts, jnp.square(similarity - mean), 0))
    return counts & (similarity > mean + jnp.sqrt(square / jnp.maximum(number - 1, 1)))


def pseudo_anomaly(
    log_score: Float[Array, "videos segments"],
    log_complement: Float[Array, "videos segments"],
    flagged: Bool[Array, "videos segments"],
    mask: Bool[Array, "videos segments"],
) -> Float[Array, " videos"]:
    """BCE of each segment's score and its flag, mean over a video's segments.

    The released program compares 1 - score (`inverted_pal`), which pushes flagged segments to score 0: give it the two
    logarithms exchanged.
    """
    each = bag.cross_entropy(log_score, log_complement, flagged.astype(jnp.int32))
    return jnp.sum(jnp.where(mask, each, 0), -1) / jnp.maximum(jnp.sum(mask, -1), 1)


def set_triplet(
    normal: Float[Array, "videos crops segments width"],
    anomalous: Float[Array, "videos crops segments width"],
    ranking: Float[Array, "2 videos segments"],
    similarity: Float[Array, "videos segments"],
    flagged: Bool[Array, "videos segments"],
    counts: Bool[Array, "2 videos segments"],
    weight: Float[Array, "2 videos"],
    rows: int,
) -> Float[Array, ""]:
    """max(0, ‖a - p‖ - ‖a - n‖ + 1) of three set means, our reading of LAP's multi-prompt loss.

    a: the `rows` lowest of `ranking` (scores) among normal segments that count, p: among anomalous ones, n: the `rows`
    flagged segments most similar to the bank, or fewer where fewer are flagged. Means over crops, weighted by the
    video's `weight`; 0 where a set is empty.
    """

    def mean(z: Array, order: Array, legal: Array, weight: Array) -> tuple[Array, Array]:
        chosen = top_k.top_k_weights(order.ravel(), legal.ravel(), rows).reshape(order.shape) > 0
        share = jnp.where(chosen, weight[:, None], 0)
        total = jnp.sum(share)
        share = share / jnp.where(total > 0, total, 1)
        return jnp.einsum("bcld,bl->d", z, share, precision=EXACT) / z.shape[1], total > 0

    a, has_a = mean(normal, -ranking[0], counts[0], weight[0])
    p, has_p = mean(anomalous, -ranking[1], counts[1], weight[1])
    n, has_n = mean(anomalous, similarity, flagged & counts[1], weight[1])
    distance = magnitude.norm(a - p) - magnitude.norm(a - n) + 1
    return jnp.where(has_a & has_p & has_n, jax.nn.relu(distance), 0)


def rank_triplets(
    normal: Float[Array, "videos crops segments width"],
    anomalous: Float[Array, "videos crops segments width"],
    ranking: Float[Array, "2 videos segments"],
    flagged: Bool[Array, "videos segments"],
    counts: Bool[Array, "2 videos segments"],
    rows: int,
) -> tuple[Float[Array, " triplets"], Int[Array, "triplets 3"]]:
    """max(0, d(a, p) - d(a, n) + 1) of single segments joined by rank, and each row's videos: the released program's.

    a: the `rows` lowest-scoring normal segments of the batch, p: the lowest anomalous ones, both ascending, n: the
    highest flagged ones, descending (unflagged ones follow where fewer are flagged, their order undefined in torch and
    by place here). A segment joins its crops; d has torch's 1e-6 at every component. Segments that do not count are
    left out, and a row for which none are left is 0.
    """
    videos, _, segments, _ = normal.shape
    if videos * segments < rows:
        raise ValueError(
            f"the multi-prompt loss needs as many segments in a half as the bank has prompts, but {videos} videos of "
            f"{segments} segments are fewer than {rows}; make the batch larger or the bank smaller."
        )

    def take(z: Array, order: Array, counts: Array) -> tuple[Array, Array, Array]:
        order = jax.lax.stop_gradient(jnp.where(counts, order, -jnp.inf))
        highest, place = jax.lax.top_k(order.ravel(), rows)
        # A product instead of a gather: over devices it moves `rows` rows, not the features of the half.
        one = (place[:, None] == jnp.arange(order.size)).astype(z.dtype).reshape(rows, *order.shape)
        return jnp.einsum("kbl,bcld->kcd", one, z, precision=EXACT), place // segments, highest > -jnp.inf

    a, of_a, has_a = take(normal, -ranking[0], counts[0])
    p, of_p, has_p = take(anomalous, -ranking[1], counts[1])
    n, of_n, has_n = take(anomalous, jnp.where(flagged, ranking[1], jnp.finfo(ranking.dtype).min), counts[1])

    def distance(x: Array, y: Array) -> Array:
        return jnp.sqrt(jnp.sum(jnp.square(x - y + 1e-6), (1, 2)))

    row = jnp.where(has_a & has_p & has_n, jax.nn.relu(distance(a, p) - distance(a, n) + 1), 0)
    return row, jnp.stack([of_a, of_p + videos, of_n + videos], -1)
