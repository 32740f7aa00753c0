"""The one training batch that bags make and detectors and losses read, and what every detector gives back.

Fields are typed `Any` and their shapes stand beside them: jax rebuilds these classes with shapes, shardings or None as
leaves, which a checked annotation would refuse.
"""

from typing import Any, Protocol

import flax.struct


@flax.struct.dataclass
class Batch:
    """Bags of G x B videos; paired sampling has two groups, normal then anomalous.

    The flat number of a video is g * B + b. Masks are True where a row is valid. A video of weight 0 stays out of
    every selection and set mean of the losses.
    """

    visual: Any  # float [G, B, C, L, F]
    text: Any  # float [G, B, L, E] or None
    mask: Any  # bool [G, B, L]
    text_mask: Any  # bool [G, B, L] or None
    label: Any  # int32 [G, B]
    category: Any  # int32 [G, B]
    synthetic: Any  # int32 [G, B], 1 = generated
    index: Any  # int32 [G, B], row of the training set
    weight: Any = None  # float32 [G, B], the SSLS weight that the step sets; None: one everywhere

    @property
    def counts(self) -> Any:
        """Which videos count in selections and set means, bool [G, B]; None where all do."""
        return None if self.weight is None else self.weight > 0


class Outputs(Protocol):
    """What every detector returns at least."""

    @property
    def scores(self) -> Any:
        """Anomaly probability of each segment, float32 [G, B, L]."""

    @property
    def crop_scores(self) -> Any:
        """The same for each crop, float32 [G, B, C, L]."""
