"""Loss terms that RTFM, TEVAD and LAP share, each as rows from a detector's switches, outputs and batch."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gvvad_jax.batch import Batch
from gvvad_jax.detectors.network import Outputs
from gvvad_jax.losses import bag, magnitude, regularisers, ssls, top_k

SHARED = ("classification", "magnitude", "smoothness", "sparsity")
Make = Callable[[Any, Outputs, Batch, Any], ssls.Term]


def classification(switches: Any, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
    """BCE of the video's score, the mean of its chosen segments' (Eq. 8): one row a video."""
    # The logarithm ranks as the score does, and still does where scores round to 1.
    chosen = _chosen(switches, outputs.log_score, outputs, batch)
    log_score, log_complement = (bag.log_mean(p, chosen) for p in (outputs.log_score, outputs.log_complement))
    rows = factor * bag.cross_entropy(log_score, log_complement, batch.label)
    return ssls.Term(rows, ssls.flat_numbers(batch.label.shape)[..., None], rows.size)


def magnitude_pairs(switches: Any, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
    """Row i joins the i-th normal with the i-th anomalous video."""
    chosen = _chosen(switches, outputs.magnitudes, outputs, batch)
    features = jnp.einsum("gbcld,gbl->gbcd", outputs.features, chosen)
    rows = factor * magnitude.magnitude_pairs(features[0], features[1], switches.margin)
    return ssls.Term(rows, jnp.moveaxis(ssls.flat_numbers(batch.label.shape), 0, -1), rows.size)


def smoothness(switches: Any, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
    """Of the anomalous half: one row a video, or the released programs' sum over all of them as one row."""
    scores = jnp.exp(outputs.log_score[1])
    if switches.regularised == "video":
        return _of_half(factor * regularisers.smoothness(scores, batch.mask[1]), batch)
    view = regularisers.official_view(scores, batch.mask[1])
    return ssls.Term(factor * regularisers.official_smoothness(view), None, 1, whole_batch=True)


def sparsity(switches: Any, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
    """Of the anomalous half: one row a video, or one a column of the released programs' view."""
    scores = jnp.exp(outputs.log_score[1])
    if switches.regularised == "video":
        return _of_half(factor * regularisers.sparsity(scores, batch.mask[1]), batch)
    rows = factor * regularisers.official_sparsity(regularisers.official_view(scores, batch.mask[1]))
    return ssls.Term(rows, None, rows.size, whole_batch=True)


TERMS: dict[str, Make] = {
    "classification": classification,
    "magnitude": magnitude_pairs,
    "smoothness": smoothness,
    "sparsity": sparsity,
}


def coefficients(switches: Any, names: tuple[str, ...]) -> dict[str, float]:
    """The terms that a variant has and what each is multiplied by."""
    return {name: getattr(switches, name) for name in names if getattr(switches, name) != 0}


def require_pairs(batch: Batch, name: str) -> None:
    """Refuse a batch without a normal and an anomalous half."""
    if batch.label.shape[0] != 2:
        raise ValueError(f"{name} pairs normal with anomalous videos and needs data.sampler=paired.")


def _chosen(switches: Any, whole: Any, outputs: Outputs, batch: Batch) -> Float[Array, "groups videos segments"]:
    """Weights of the k segments that stand for a video: the highest of `whole`, or of dropped-out magnitudes."""
    ranking = whole if switches.top_k_by == "score" else outputs.ranking
    segments = batch.mask.shape[-1]
    return top_k.top_k_weights(ranking, batch.mask, switches.k or max(1, segments // 10))


def _of_half(rows: Any, batch: Batch) -> ssls.Term:
    return ssls.Term(rows, ssls.flat_numbers(batch.label.shape)[1][:, None], rows.size)
