"""What callers give a pretrained network, checked where it enters: token ids, masks, pixels, the name of a dtype."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

DTYPES = ("float32", "bfloat16", "float16")


def dtype(wanted: Any) -> np.dtype:
    """Of parameters, by its name or type; ValueError where it is none of DTYPES."""
    try:
        found = jnp.dtype(wanted)
    except TypeError:
        found = None
    if found is None or found.name not in DTYPES:
        raise ValueError(f"dtype={wanted!r}; a network is in one of {', '.join(DTYPES)}.")
    return found


def token_ids(ids: Any, vocabulary: int, positions: int, what: str) -> Int[Array, "n tokens"]:
    """ValueError where they are not [sentences, tokens], too many, or of another vocabulary (of arrays on the host)."""
    found = _array(ids)
    if found.ndim != 2 or not jnp.issubdtype(found.dtype, jnp.integer):
        raise ValueError(
            f"token ids are {found.dtype} of shape {list(found.shape)}, but {what} takes whole numbers "
            "[sentences, tokens]."
        )
    if not 1 <= found.shape[1] <= positions:
        raise ValueError(
            f"sentences of {found.shape[1]} tokens, but this {what} has {positions} positions; cut or fill them."
        )
    if isinstance(found, np.ndarray) and found.size and not 0 <= found.min() <= found.max() < vocabulary:
        raise ValueError(
            f"token ids from {found.min()} to {found.max()}, but this {what} knows 0 to {vocabulary - 1}; they are of "
            "another tokenizer."
        )
    return jnp.asarray(found)


def token_mask(mask: Any, shape: tuple[int, ...]) -> Bool[Array, "n tokens"]:
    """True at tokens, False at padding; ValueError where there is not one for each token."""
    found = _array(mask)
    if found.shape != shape:
        raise ValueError(f"a mask of shape {list(found.shape)} for token ids of shape {list(shape)}; give one of each.")
    return jnp.asarray(found).astype(bool)


def pixels(images: Any, shape: tuple[int, ...], what: str) -> Float[Array, "n ..."]:
    """ValueError where they are not `shape` each, or still bytes."""
    found = _array(images)
    if found.shape[1:] != shape:
        given, wanted = (", ".join(["n", *map(str, sides)]) for sides in (found.shape[1:], shape))
        raise ValueError(f"pixels of shape [{given}], but {what} takes [{wanted}].")
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise ValueError(f"pixels are {found.dtype}, but {what} takes preprocessed ones; see clip.preprocess.")
    return jnp.asarray(found)


def _array(given: Any) -> np.ndarray | Array:
    return given if isinstance(given, jax.Array) else np.asarray(given)
