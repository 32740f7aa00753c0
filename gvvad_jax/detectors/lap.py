"""LAP (arXiv 2403.01169), GV-VAD's first detector: TEVAD's network and two losses from anomaly prompts.

Two variants: `paper` is GV-VAD's Eq. 8-9, where the papers leave the prompt losses open: our reading of them.
`official` and `gvvad` are one program, GV-VAD's, for LAP's own release is inference only.
"""

from collections.abc import Iterable
from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from gvvad_jax.batch import Batch
from gvvad_jax.detectors import terms
from gvvad_jax.detectors.inputs import Inputs
from gvvad_jax.detectors.network import Network, Outputs
from gvvad_jax.detectors.switches import choice, flag, integer, number
from gvvad_jax.losses import prompts, ssls
from gvvad_jax.nn import alignment, norm
from gvvad_jax.nn.inputs import Fitted

TERMS = ("pseudo_anomaly", "multi_prompt")  # beside those that RTFM and TEVAD have


@flax.struct.dataclass
class Switches:
    """One field a documented difference; the defaults are the paper's."""

    fusion: str = choice("concat", "add", "product", "add_up")  # published: UCF concat, XD add
    # Paper (Eq. 8): ŷ is the mean of the k highest scores. Released programs: of the scores at the k largest feature
    # magnitudes, after a dropout of the magnitudes in training (masked_topk_by_magnitude).
    top_k_by: str = choice("score", "dropped_magnitude")
    k: int = integer(3, 0)  # paper: not given; every released program: 3 (TAD: 2), whatever the segments; 0: a tenth
    classification: float = number(1.0)
    magnitude: float = number(0.0)  # Eq. 9 does not mention it; released program: 1e-4
    margin: float = number(100.0)
    smoothness: float = number(0.0)  # Eq. 9 does not mention it; released program: 8e-4 on the whole half
    sparsity: float = number(0.0)  # Eq. 9 does not mention it; released program: 8e-3 on the whole half
    # Papers: smoothness and sparsity of a video. Released programs: of the anomalous half viewed as 32 rows a video.
    regularised: str = choice("video", "reshape_2048x2")
    pseudo_anomaly: float = number(1e-3)  # β
    inverted_pal: bool = flag(False)  # paper: BCE(score, flag); released program: BCE(1 - score, flag)
    multi_prompt: float = number(0.1)  # γ
    mpl_weight_twice: bool = flag(False)  # paper: γ once; released program: in the model and in the trainer, γ²
    # Our reading of the paper: one triplet of set means, the far set chosen by similarity to the prompts. Released
    # program: triplets of single segments joined by rank, the far one chosen by score among the flagged.
    multi_prompt_by: str = choice("set_means", "rank_paired_triplets")
    dropout: float = number(0.7, 0.0, 1.0)
    crop_aggregation: str = choice("mean", "max")  # published: mean
    # Ours, off in every published form: see nn/inputs.py, and a moving average of the scores over `smooth` snippets.
    root: bool = flag(False)
    components: int = integer(0, 0)
    normalise: str = choice("none", "standardise")
    clip: float = number(0.0)
    noise: float = number(0.0)
    smooth: int = integer(1, 1)
    causal: bool = flag(False)


_RELEASED = Switches(
    top_k_by="dropped_magnitude",
    magnitude=1e-4,
    smoothness=8e-4,
    sparsity=8e-3,
    regularised="reshape_2048x2",
    inverted_pal=True,
    mpl_weight_twice=True,
    multi_prompt_by="rank_paired_triplets",
)
VARIANTS = {"paper": Switches(), "gvvad": _RELEASED, "official": _RELEASED}
SSLS = {"paper": "per_sample", "gvvad": "official_batch_scalar", "official": "official_batch_scalar"}
STATUS = (
    "network and losses rebuilt from line-by-line facts of the released programs, checked against a rebuild in torch"
)


class LAP(nnx.Module):
    """Features of any width and crop count, and sentence vectors -> a score for each segment; trains with a bank."""

    def __init__(self, given: Inputs, variant: str, switches: Switches, *, rng: np.random.Generator):
        """Build the network; `given.prompts` [P, E] is needed by the prompt losses alone."""
        self.name, self.variant, self.switches, self.inputs = "lap", variant, switches, given
        self.network = Network(given, switches, switches.fusion, rng=rng)
        bank = np.zeros((0, given.text or 0), np.float32) if given.prompts is None else given.prompts
        self.prompts = Fitted(jnp.asarray(bank, jnp.float32))

    @property
    def transform(self) -> Any:
        """What stands before the network (nn/inputs.py)."""
        return self.network.transform

    def fit_inputs(self, rows: Iterable[np.ndarray]) -> None:
        """Fit the input statistics to rows [n, F] of the normal training videos."""
        self.transform.fit(rows)

    def __call__(
        self,
        visual: Float[Array, "groups videos crops segments width"],
        text: Float[Array, "groups videos sentences text_width"],
        mask: Bool[Array, "groups videos segments"],
        text_mask: Bool[Array, "groups videos sentences"] | None = None,
        *,
        key: Key[Array, ""] | None = None,
        statistics: norm.Statistics = "running",
    ) -> Outputs:
        """Score every segment; a key turns on dropout and noise, "batch" normalises by (and learns) the batch's."""
        return self.network(visual, text, mask, text_mask, key=key, statistics=statistics)

    def coefficients(self) -> dict[str, float]:
        """The variant's terms and what each is multiplied by."""
        found = terms.coefficients(self.switches, (*terms.SHARED, *TERMS))
        if self.switches.mpl_weight_twice and "multi_prompt" in found:
            found["multi_prompt"] **= 2
        return found

    def terms(
        self, outputs: Outputs, batch: Batch, step: Any, coefficients: dict[str, Any] | None = None
    ) -> dict[str, ssls.Term]:
        """Each loss term as rows; `coefficients` replace the variant's own by name (numbers or traced scalars)."""
        terms.require_pairs(batch, "LAP")
        factors = self.coefficients() | (coefficients or {})
        made = {
            name: terms.TERMS[name](self.switches, outputs, batch, factor)
            for name, factor in factors.items()
            if name not in TERMS
        }
        if not factors.keys() & {*TERMS}:
            return made
        bank = self.prompts[...]
        if len(bank) == 0:
            raise ValueError(
                "LAP trains with a prompt bank; make one with tools/prompt_bank.py and name it by data.prompts."
            )
        # A masked video may have a row of text less than of vision, which is no row of zeros then.
        text = alignment.align(batch.text[1], batch.text_mask[1], batch.mask[1])
        similarity = prompts.similarities(text, bank)
        counts = batch.mask if batch.counts is None else batch.mask & batch.counts[..., None]
        flagged = prompts.flags(similarity, counts[1])
        if "pseudo_anomaly" in factors:
            made["pseudo_anomaly"] = self._pseudo_anomaly(outputs, batch, flagged, factors["pseudo_anomaly"])
        if "multi_prompt" in factors:
            factor = factors["multi_prompt"]
            made["multi_prompt"] = self._multi_prompt(outputs, batch, similarity, flagged, counts, len(bank), factor)
        return made

    def _pseudo_anomaly(self, outputs: Outputs, batch: Batch, flagged: Array, factor: Any) -> ssls.Term:
        """Of the anomalous half: one row a video."""
        score, complement = outputs.log_score[1], outputs.log_complement[1]
        if self.switches.inverted_pal:
            score, complement = complement, score
        rows = factor * prompts.pseudo_anomaly(score, complement, flagged, batch.mask[1])
        return ssls.Term(rows, ssls.flat_numbers(batch.label.shape)[1][:, None], rows.size)

    def _multi_prompt(
        self, outputs: Outputs, batch: Batch, similarity: Array, flagged: Array, counts: Array, size: int, factor: Any
    ) -> ssls.Term:
        """One row of set means, nobody's (λ acts inside the means), or a row a rank that joins three videos."""
        normal, anomalous = outputs.features
        if self.switches.multi_prompt_by == "rank_paired_triplets":
            rows, videos = prompts.rank_triplets(normal, anomalous, outputs.log_score, flagged, counts, size)
            return ssls.Term(factor * rows, videos, size)
        weight = jnp.ones(batch.label.shape) if batch.weight is None else jnp.maximum(batch.weight, 0)
        row = prompts.set_triplet(normal, anomalous, outputs.log_score, similarity, flagged, counts, weight, size)
        return ssls.Term((factor * row)[None], None, 1)
