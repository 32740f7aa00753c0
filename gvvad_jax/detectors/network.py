"""The network that RTFM, TEVAD and LAP share: a multi-scale temporal network for vision, one for text where the
detector reads it, their fusion, and a head of three layers that scores every segment of every crop.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from gvvad_jax.detectors import crops
from gvvad_jax.detectors.inputs import Inputs, transform
from gvvad_jax.losses import magnitude
from gvvad_jax.nn import alignment, dropout, linear, multiscale, norm, smoothing

HIDDEN = (512, 128)  # widths of the head in every program


@flax.struct.dataclass
class Outputs:
    """Scores, and what the loss needs; letters as in the batch."""

    scores: Any  # float32 [G, B, L] in [0, 1], smoothed where the switches say so; 0 in padding
    crop_scores: Any  # float32 [G, B, C, L], never smoothed
    log_score: Any  # float32 [G, B, L], log of the score before smoothing
    log_complement: Any  # float32 [G, B, L], log of one minus it
    features: Any  # float32 [G, B, C, L, Z], after dropout
    magnitudes: Any  # float32 [G, B, L], mean over crops of the features' lengths
    ranking: Any  # float32 [G, B, L], magnitudes where the selection's own dropout kept them, else 0
    mask: Any  # bool [G, B, L]


class Network(nnx.Module):
    """Features of any width and crop count, and text where `fusion` is given -> scores and fused features z.

    `fusion` of the branches v (width F) and t (width E), each after dropout: concat [v, t]; add and product of
    dropout(relu(fc0 v)) with t; add_up of two such layers of width F + E. None: vision alone.
    """

    def __init__(self, given: Inputs, switches: Any, fusion: str | None, *, rng: np.random.Generator):
        """Draw the weights in the order of the fields."""
        self.fusion, self.switches = fusion, switches
        self.transform = transform(given, switches)
        width = joined = self.transform.width
        self.temporal = multiscale.MultiScale(width, rng=rng)
        if fusion is not None:
            assert given.text is not None
            self.text_temporal = multiscale.MultiScale(given.text, rng=rng)
            match fusion:
                case "concat":
                    joined = width + given.text
                case "add_up":
                    joined = width + given.text
                    self.fc_vis = linear.Linear(width, joined, rng=rng)
                    self.fc_text = linear.Linear(given.text, joined, rng=rng)
                case _:
                    joined = given.text
                    self.fc0 = linear.Linear(width, joined, rng=rng)
        self.fc1 = linear.Linear(joined, HIDDEN[0], rng=rng)
        self.fc2 = linear.Linear(HIDDEN[0], HIDDEN[1], rng=rng)
        self.fc3 = linear.Linear(HIDDEN[1], 1, rng=rng)

    def __call__(
        self,
        visual: Float[Array, "groups videos crops segments width"],
        text: Float[Array, "groups videos sentences text_width"] | None,
        mask: Bool[Array, "groups videos segments"],
        text_mask: Bool[Array, "groups videos sentences"] | None,
        *,
        key: Key[Array, ""] | None,
        statistics: norm.Statistics,
    ) -> Outputs:
        """Score every segment; a key turns on dropout and noise, "batch" normalises by (and learns) the batch's."""
        rate = self.switches.dropout
        for_noise, for_v, for_t, for_fusion, for_fc1, for_fc2, for_ranking = dropout.split(key, 7)
        crop_mask = mask[:, :, None]
        x = self.transform(visual, crop_mask, for_noise)
        z = dropout.dropout(self.temporal(x, crop_mask, statistics), for_v, rate)
        if self.fusion is not None:
            assert text is not None
            t = self._text(text, mask, text_mask, visual.shape[2], statistics)
            # Broadcast before dropout, as released: each crop drops its own part of the same text.
            t = jnp.broadcast_to(t[:, :, None], (*z.shape[:-1], t.shape[-1]))
            z = self._fused(z, dropout.dropout(t, for_t, rate), for_fusion)
        hidden = dropout.dropout(jax.nn.relu(self.fc1(z)), for_fc1, rate)
        hidden = dropout.dropout(jax.nn.relu(self.fc2(hidden)), for_fc2, rate)
        logits = self.fc3(hidden)[..., 0]
        crop_scores, scores, log_score, log_complement = crops.aggregate(logits, mask, self.switches.crop_aggregation)
        magnitudes = jnp.mean(magnitude.norm(z), 2)
        kept = jnp.ones_like(mask) if for_ranking is None else dropout.keep(for_ranking, mask.shape, rate)
        return Outputs(
            scores=smoothing.moving_average(scores, mask, self.switches.smooth, self.switches.causal),
            crop_scores=crop_scores,
            log_score=log_score,
            log_complement=log_complement,
            features=z,
            magnitudes=magnitudes,
            ranking=jnp.where(kept, magnitudes, 0),
            mask=mask,
        )

    def _text(self, text: Array, mask: Array, text_mask: Any, crops: int, statistics: norm.Statistics) -> Array:
        """Once a video; released programs run it once a crop on equal copies, which their running variance counts."""
        if text_mask is None:
            text_mask = jnp.ones(text.shape[:-1], bool)
        t = self.text_temporal(text.astype(jnp.float32), text_mask, statistics, copies=crops)
        return alignment.align(t, text_mask, mask)

    def _fused(self, v: Array, t: Array, key: Any) -> Array:
        rate = self.switches.dropout
        for_v, for_t = dropout.split(key, 2)
        match self.fusion:
            case "concat":
                return jnp.concatenate([v, t], -1)
            case "add":
                return dropout.dropout(jax.nn.relu(self.fc0(v)), for_v, rate) + t
            case "product":
                return dropout.dropout(jax.nn.relu(self.fc0(v)), for_v, rate) * t
            case _:
                v = dropout.dropout(jax.nn.relu(self.fc_vis(v)), for_v, rate)
                return v + dropout.dropout(jax.nn.relu(self.fc_text(t)), for_t, rate)
