"""The one training batch that bags make and detectors and losses read, and what every detector gives back."""

from typing import Protocol

import flax.struct
from jaxtyping import Array, Bool, Float, Int


@flax.struct.dataclass
class Batch:
    """Bags of `groups` x `batch` videos; paired sampling has two groups, normal then anomalous.

    The flat number of a video is g * B + b. `mask` and `text_mask` are True where a row is valid. `weight` is each
    video's SSLS weight (set by the training step; None means one everywhere): a video of weight 0 stays out of every
    selection and set mean.
    """

    visual: Float[Array, "groups batch crops segments width"]
    text: Float[Array, "groups batch segments text_width"] | None
    mask: Bool[Array, "groups batch segments"]
    text_mask: Bool[Array, "groups batch segments"] | None
    label: Int[Array, "groups batch"]
    category: Int[Array, "groups batch"]
    synthetic: Int[Array, "groups batch"]
    index: Int[Array, "groups batch"]
    weight: Float[Array, "groups batch"] | None = None

    @property
    def counts(self) -> Bool[Array, "groups batch"] | None:
        """Which videos count in selections and set means; None where all do."""
        return None if self.weight is None else self.weight > 0


class Outputs(Protocol):
    """What every detector returns at least: probabilities a segment, and a segment of each crop."""

    @property
    def scores(self) -> Float[Array, "groups batch segments"]: ...  # noqa: D102

    @property
    def crop_scores(self) -> Float[Array, "groups batch crops segments"]: ...  # noqa: D102
