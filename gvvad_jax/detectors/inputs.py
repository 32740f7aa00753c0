"""What a detector is given: feature widths, the prompt bank, the blocks of the visual columns; and their transform."""

import dataclasses
from typing import Any

import numpy as np

from gvvad_jax.nn.inputs import Columns, InputTransform


@dataclasses.dataclass(frozen=True, kw_only=False)
class Inputs:
    """Widths of visual and text features, prompt vectors [P, E] and blocks (name, start, stop) of the visual columns.

    Blocks must follow one another from 0 to the visual width; none: one block.
    """

    visual: int
    text: int | None = None
    prompts: Any = dataclasses.field(default=None, compare=False)
    blocks: tuple[Any, ...] = ()

    def __post_init__(self):
        """Check widths and blocks."""
        for name, width in (("visual", self.visual), ("text", self.text)):
            if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
                raise ValueError(f"the {name} width is {width!r}; give the number of feature columns, at least 1.")
        blocks = tuple(Columns(b.name, int(b.start), int(b.stop)) for b in self.blocks)
        end = 0
        for block in blocks:
            if block.start != end or block.stop <= block.start:
                raise ValueError(
                    f"block {block.name} covers columns {block.start} to {block.stop}, but should begin at {end} "
                    "and not be empty; blocks follow one another over the visual width."
                )
            end = block.stop
        if blocks and end != self.visual:
            raise ValueError(f"the blocks end at column {end}, but the visual width is {self.visual}.")
        if len({b.name for b in blocks}) < len(blocks):
            raise ValueError(f"two blocks share a name among {', '.join(b.name for b in blocks)}; rename one.")
        object.__setattr__(self, "blocks", blocks)
        if self.prompts is not None:
            try:
                prompts = np.asarray(self.prompts, np.float32)
            except (ValueError, TypeError):
                raise ValueError("the prompt bank is no array of numbers; give its vectors [P, E].") from None
            if prompts.ndim != 2 or not prompts.size or not np.isfinite(prompts).all():
                raise ValueError(
                    f"the prompt bank has shape {prompts.shape}; give finite vectors [P, E], P at least 1."
                )
            if self.text is not None and prompts.shape[1] != self.text:
                raise ValueError(
                    f"the prompt bank is {prompts.shape[1]} columns wide, but the text {self.text}; "
                    "make both with one sentence encoder."
                )
            object.__setattr__(self, "prompts", prompts)


def transform(given: Inputs, switches: Any) -> InputTransform:
    """The transform of the visual columns that a detector's switches ask for."""
    return InputTransform(
        given.visual,
        given.blocks,
        root=switches.root,
        components=switches.components,
        normalise=switches.normalise,
        clip=switches.clip,
        noise=switches.noise,
    )
