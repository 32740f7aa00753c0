"""RTFM (Tian et al., ICCV 2021): a multi-scale temporal network whose feature magnitudes pick and separate snippets.

Three variants: `paper` is GV-VAD's Eq. 8 on RTFM's network, `gvvad` its released program in RTFM mode, `official`
RTFM's own program, whose smoothness and sparsity run across the borders of videos.
"""

from collections.abc import Iterable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from gvvad_jax.batch import Batch
from gvvad_jax.detectors.inputs import Inputs
from gvvad_jax.detectors.switches import choice, flag, integer, number
from gvvad_jax.losses import bag, magnitude, regularisers, ssls, top_k
from gvvad_jax.nn import dropout, inputs, linear, multiscale, norm, smoothing


@flax.struct.dataclass
class Switches:
    """One field a documented difference; the defaults are the paper's."""

    # Paper (Eq. 8): ŷ is the mean of the k highest scores. Released programs: of the scores at the k largest feature
    # magnitudes, after a dropout of the magnitudes in training.
    top_k_by: str = choice("score", "dropped_magnitude")
    k: int = integer(3, 1)  # paper: not given; every released program: 3, whatever the number of segments
    classification: float = number(1.0)
    magnitude: float = number(1e-4)  # Eq. 9 does not mention it; every released program: 1e-4
    margin: float = number(100.0)
    smoothness: float = number(0.0)  # RTFM's program: 8e-4, as its paper; GV-VAD's, RTFM mode: off
    sparsity: float = number(0.0)  # RTFM's program: 8e-3 (its paper: 8e-4); GV-VAD's, RTFM mode: off
    # Papers: smoothness and sparsity of a video. Released programs: of the anomalous half viewed as 32 rows a video.
    regularised: str = choice("video", "reshape_2048x2")
    dropout: float = number(0.7, 0.0, 1.0)
    crop_aggregation: str = choice("mean", "max")  # published: mean; max suits tiles, of which few see the event
    # Ours, off in every published form: see nn/inputs.py, and a moving average of the scores over `smooth` snippets.
    root: bool = flag(False)
    components: int = integer(0, 0)
    normalise: str = choice("none", "standardise")
    clip: float = number(0.0)
    noise: float = number(0.0)
    smooth: int = integer(1, 1)
    causal: bool = flag(False)


VARIANTS = {
    "paper": Switches(),
    "gvvad": Switches(top_k_by="dropped_magnitude"),
    "official": Switches(top_k_by="dropped_magnitude", smoothness=8e-4, sparsity=8e-3, regularised="reshape_2048x2"),
}
SSLS = {"paper": "per_sample", "gvvad": "official_batch_scalar", "official": "off"}
STATUS = "network and losses rebuilt from line-by-line facts of the released programs, not yet run against them"
HIDDEN = (512, 128)  # widths of the head in every program


@flax.struct.dataclass
class Outputs:
    """Scores, and what the loss needs; letters as in the batch."""

    scores: Any  # float32 [G, B, L] in [0, 1], smoothed where the switches say so; 0 in padding
    crop_scores: Any  # float32 [G, B, C, L], never smoothed
    log_score: Any  # float32 [G, B, L], log of the score before smoothing
    log_complement: Any  # float32 [G, B, L], log of one minus it
    features: Any  # float32 [G, B, C, L, width], after dropout
    magnitudes: Any  # float32 [G, B, L], mean over crops of the features' lengths
    ranking: Any  # float32 [G, B, L], magnitudes where the selection's own dropout kept them, else 0
    mask: Any  # bool [G, B, L]


class RTFM(nnx.Module):
    """Features of any width and crop count -> a score for each segment."""

    def __init__(self, given: Inputs, variant: str, switches: Switches, *, rng: np.random.Generator):
        """Build the network for `given.visual` columns; text is not used."""
        self.name, self.variant, self.switches, self.inputs = "rtfm", variant, switches, given
        self.transform = inputs.InputTransform(
            given.visual,
            given.blocks,
            root=switches.root,
            components=switches.components,
            normalise=switches.normalise,
            clip=switches.clip,
            noise=switches.noise,
        )
        width = self.transform.width
        self.temporal = multiscale.MultiScale(width, rng=rng)
        self.fc1 = linear.Linear(width, HIDDEN[0], rng=rng)
        self.fc2 = linear.Linear(HIDDEN[0], HIDDEN[1], rng=rng)
        self.fc3 = linear.Linear(HIDDEN[1], 1, rng=rng)

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
        """Score every segment; a key turns on dropout and noise, "batch" normalises by (and learns) the batch's."""
        rate = self.switches.dropout
        for_noise, for_z, for_fc1, for_fc2, for_ranking = dropout.split(key, 5)
        crop_mask = mask[:, :, None]
        x = self.transform(visual, crop_mask, for_noise)
        z = dropout.dropout(self.temporal(x, crop_mask, statistics), for_z, rate)
        hidden = dropout.dropout(jax.nn.relu(self.fc1(z)), for_fc1, rate)
        hidden = dropout.dropout(jax.nn.relu(self.fc2(hidden)), for_fc2, rate)
        logits = self.fc3(hidden)[..., 0]
        crop_scores = jnp.where(crop_mask, jax.nn.sigmoid(logits), 0)
        if self.switches.crop_aggregation == "max":
            scores = jnp.max(crop_scores, 2)
            log_score, log_complement = bag.log_scores(jnp.max(logits, 2))
        else:
            scores = jnp.mean(crop_scores, 2)
            log_score, log_complement = (bag.log_mean(jnp.moveaxis(p, 2, -1)) for p in bag.log_scores(logits))
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

    def coefficients(self) -> dict[str, float]:
        """The variant's terms and what each is multiplied by."""
        every = {
            name: getattr(self.switches, name) for name in ("classification", "magnitude", "smoothness", "sparsity")
        }
        return {name: value for name, value in every.items() if value != 0}

    def terms(
        self, outputs: Outputs, batch: Batch, step: Any, coefficients: dict[str, Any] | None = None
    ) -> dict[str, ssls.Term]:
        """Each loss term as rows; `coefficients` replace the variant's own by name (numbers or traced scalars)."""
        if batch.label.shape[0] != 2:
            raise ValueError("RTFM pairs normal with anomalous videos and needs data.sampler=paired.")
        factors = self.coefficients() | (coefficients or {})
        return {name: TERMS[name](self, outputs, batch, factor) for name, factor in factors.items()}


def _classification(detector: RTFM, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
    """BCE of the video's score: one row a video."""
    by_score = detector.switches.top_k_by == "score"
    # The logarithm ranks as the score does, and still does where scores round to 1.
    ranking = outputs.log_score if by_score else outputs.ranking
    chosen = top_k.top_k_weights(ranking, batch.mask, detector.switches.k)
    log_score, log_complement = (bag.log_mean(p, chosen) for p in (outputs.log_score, outputs.log_complement))
    rows = factor * bag.cross_entropy(log_score, log_complement, batch.label)
    return ssls.Term(rows, ssls.flat_numbers(batch.label.shape)[..., None], rows.size)


def _magnitude(detector: RTFM, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
    """Row i joins the i-th normal with the i-th anomalous video."""
    by_score = detector.switches.top_k_by == "score"
    ranking = outputs.magnitudes if by_score else outputs.ranking
    chosen = top_k.top_k_weights(ranking, batch.mask, detector.switches.k)
    features = jnp.einsum("gbcld,gbl->gbcd", outputs.features, chosen)
    rows = factor * magnitude.magnitude_pairs(features[0], features[1], detector.switches.margin)
    return ssls.Term(rows, jnp.moveaxis(ssls.flat_numbers(batch.label.shape), 0, -1), rows.size)


def _regulariser(name: str) -> Any:
    """Smoothness or sparsity of the anomalous half."""
    by_video = {"smoothness": regularisers.smoothness, "sparsity": regularisers.sparsity}[name]

    def term(detector: RTFM, outputs: Outputs, batch: Batch, factor: Any) -> ssls.Term:
        scores = jnp.exp(outputs.log_score[1])
        if detector.switches.regularised == "video":
            rows = factor * by_video(scores, batch.mask[1])
            return ssls.Term(rows, ssls.flat_numbers(batch.label.shape)[1][:, None], rows.size)
        view = regularisers.official_view(scores, batch.mask[1])
        if name == "smoothness":
            return ssls.Term(factor * regularisers.official_smoothness(view), None, 1, whole_batch=True)
        rows = factor * regularisers.official_sparsity(view)
        return ssls.Term(rows, None, rows.size, whole_batch=True)

    return term


TERMS = {
    "classification": _classification,
    "magnitude": _magnitude,
    "smoothness": _regulariser("smoothness"),
    "sparsity": _regulariser("sparsity"),
}
