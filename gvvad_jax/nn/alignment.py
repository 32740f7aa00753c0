"""Text rows beside visual rows where a video has a few more or fewer of one: the released programs' rule."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def align(
    text: Float[Array, "*videos sentences width"],
    text_mask: Bool[Array, "*videos sentences"],
    mask: Bool[Array, "*videos snippets"],
) -> Float[Array, "*videos snippets width"]:
    """As many rows as `mask` has: surplus ones are dropped; d missing ones are the last d again, as one block.

    Valid rows come first in both masks. A video with fewer sentences than half its snippets has no d last rows (the
    released programs fail there): callers refuse it.
    """
    have, want = (jnp.sum(m, -1, keepdims=True) for m in (text_mask, mask))
    row = jnp.arange(mask.shape[-1])
    source = jnp.where(row < have, row, row - (want - have))
    return jnp.take_along_axis(text, jnp.clip(source, 0, text.shape[-2] - 1)[..., None], -2)
