"""Temporal smoothness and sparsity of the anomalous half's scores, by video and as the released programs view them."""

import jax.numpy as jnp
from jax import core
from jaxtyping import Array, Bool, Float

from gvvad_jax.losses import magnitude


def smoothness(
    scores: Float[Array, "*videos segments"], mask: Bool[Array, "*videos segments"]
) -> Float[Array, "*videos"]:
    """Σ_t (s_{t+1} - s_t)² of each video, over neighbours that are both valid."""
    both = mask[..., 1:] & mask[..., :-1]
    return jnp.sum(jnp.where(both, jnp.square(scores[..., 1:] - scores[..., :-1]), 0), -1)


def sparsity(
    scores: Float[Array, "*videos segments"], mask: Bool[Array, "*videos segments"]
) -> Float[Array, "*videos"]:
    """‖s‖₂ of each video's valid segments."""
    return magnitude.norm(jnp.where(mask, scores, 0))


def official_view(
    scores: Float[Array, "videos segments"], mask: Bool[Array, "videos segments"]
) -> Float[Array, "rows columns"]:
    """The view all four released trainers take of the anomalous half: 32 rows a video, whatever its segments.

    At 64 segments a row holds two neighbours: smoothness compares t with t + 2, also across the borders of videos
    (reference name: reshape_2048x2).
    """
    videos, segments = scores.shape
    if segments % 32:
        raise ValueError(
            f"the released program's smoothness and sparsity need segments in multiples of 32, not {segments}; "
            "set data.segments to 32 or 64, or take another variant."
        )
    # Under jit the mask has no values yet: training refuses data.short=mask beforehand.
    if not isinstance(mask, core.Tracer) and not bool(mask.all()):
        raise ValueError(
            f"the released program's smoothness and sparsity know no padding, but {int((~mask.all(-1)).sum())} of "
            f"{videos} videos have some; set data.short to repeat, or take another variant."
        )
    return scores.reshape(videos * 32, segments // 32)


def official_smoothness(view: Float[Array, "rows columns"]) -> Float[Array, "differences columns"]:
    """(v[i+1] - v[i])² down the rows; the program sums them all (its last difference is 0)."""
    return jnp.square(view[1:] - view[:-1])


def official_sparsity(view: Float[Array, "rows columns"]) -> Float[Array, " columns"]:
    """‖v‖₂ down each column; the program takes the mean over columns."""
    return magnitude.norm(view.T)
