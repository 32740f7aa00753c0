"""A linear score on every crop of every snippet, for fixed cameras seen through tiles: the highest tile is the score.

Not from a paper: the smallest detector that multiple instance learning can train. What it needs it gets from its input
(features reduced and standardised on normal training videos), so that a handful of weights suffices.
"""

from collections.abc import Iterable
from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from gvvad_jax.batch import Batch
from gvvad_jax.detectors import crops
from gvvad_jax.detectors.inputs import Inputs, transform
from gvvad_jax.detectors.switches import choice, flag, integer, number
from gvvad_jax.losses import bag, ssls, top_k
from gvvad_jax.nn import inputs, linear, norm, smoothing


@flax.struct.dataclass
class Switches:
    """Nothing here is published; see nn/inputs.py for the input's switches."""

    root: bool = flag(True)
    components: int = integer(16, 0)
    normalise: str = choice("standardise", "none")
    clip: float = number(0.0)
    noise: float = number(1.0)
    k: int = integer(4, 1)  # snippets of an anomalous video that count as anomalous
    crop_aggregation: str = choice("max", "mean")
    smooth: int = integer(5, 1)  # snippets in the moving average of the scores
    causal: bool = flag(False)
    classification: float = number(1.0)


VARIANTS = {"plain": Switches()}
SSLS = {"plain": "per_sample"}
STATUS = "this project's own, after no paper"


@flax.struct.dataclass
class Outputs:
    """Scores, and what the loss needs; letters as in the batch."""

    scores: Any  # float32 [G, B, L] in [0, 1], smoothed where the switches say so; 0 in padding
    crop_scores: Any  # float32 [G, B, C, L], never smoothed
    log_score: Any  # float32 [G, B, L], log of the score before smoothing
    log_complement: Any  # float32 [G, B, L], log of one minus it


class LinearDetector(nnx.Module):
    """Features of any width and crop count -> a score for each snippet."""

    def __init__(self, given: Inputs, variant: str, switches: Switches, *, rng: np.random.Generator):
        """Build the layer for `given.visual` columns; text is not used."""
        self.name, self.variant, self.switches, self.inputs = "linear", variant, switches, given
        self.transform = transform(given, switches)
        self.fc = linear.Linear(self.transform.width, 1, rng=rng)
        self.fc.kernel[...] = _start(self.transform)

    def fit_inputs(self, rows: Iterable[np.ndarray]) -> None:
        """Fit the input statistics to rows [n, F] of the normal training videos."""
        self.transform.fit(rows)

    def __call__(
        self,
        visual: Float[Array, "groups videos crops segments width"],
        text: Any,
        mask: Bool[Array, "groups videos segments"],
        text_mask: Any = None,
        *,
        key: Key[Array, ""] | None = None,
        statistics: norm.Statistics = "running",
    ) -> Outputs:
        """Score every snippet; a key adds the training noise."""
        logits = self.fc(self.transform(visual, mask[:, :, None], key))[..., 0]
        crop_scores, scores, log_score, log_complement = crops.aggregate(logits, mask, self.switches.crop_aggregation)
        return Outputs(
            scores=smoothing.moving_average(scores, mask, self.switches.smooth, self.switches.causal),
            crop_scores=crop_scores,
            log_score=log_score,
            log_complement=log_complement,
        )

    def coefficients(self) -> dict[str, float]:
        """The one term and what it is multiplied by."""
        return {"classification": self.switches.classification}

    def terms(
        self, outputs: Outputs, batch: Batch, step: Any, coefficients: dict[str, Any] | None = None
    ) -> dict[str, ssls.Term]:
        """BCE a video: mean over its k highest snippets if it is anomalous, over all of them if it is normal."""
        factor = (self.coefficients() | (coefficients or {}))["classification"]
        highest = top_k.top_k_weights(outputs.log_score, batch.mask, self.switches.k)
        every = batch.mask / jnp.maximum(jnp.sum(batch.mask, -1, keepdims=True), 1)
        chosen = jnp.where(batch.label[..., None] == 1, highest, every)
        labels = jnp.broadcast_to(batch.label[..., None], batch.mask.shape)
        each = bag.cross_entropy(outputs.log_score, outputs.log_complement, labels)
        rows = factor * jnp.sum(chosen * each, -1)
        return {"classification": ssls.Term(rows, ssls.flat_numbers(batch.label.shape)[..., None], rows.size)}


def _start(transform: inputs.InputTransform) -> Float[Array, "width 1"]:
    """Equal positive weights on measured columns (those of blocks that are not reduced), zero on principal components.

    More motion than normal is the one thing known before training. From zero or random weights the first steps choose
    tiles by chance and may lock to what tells two videos apart, not two moments: on Ped2's training videos, three
    anomalous and two normal ones held out at a time, the worst fold had an AUC of 0.13 from zero and 0.95 from here.
    """
    weights = []
    for block in transform.blocks:
        size = block.stop - block.start
        is_reduced = block.name in transform.basis
        weights += [0.0] * transform.components if is_reduced else [1.0] * size
    start = np.asarray(weights, np.float32)[:, None]
    return jnp.asarray(start / max(start.sum(), 1.0))
