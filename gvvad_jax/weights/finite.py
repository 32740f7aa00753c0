"""Weights that are numbers: a NaN among them makes every picture and sentence look alike, or like nothing."""

from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx


def require(model: nnx.Module, origin: str | Path) -> None:
    """ValueError that names `origin`, the folder, where a parameter is NaN or infinite."""
    if not _are_finite(jax.tree.leaves(nnx.state(model))):
        raise ValueError(f"{origin}: its weights hold NaN or infinite values; fetch them again.")


@jax.jit
def _are_finite(arrays: list[jax.Array]) -> jax.Array:
    return jnp.stack([jnp.isfinite(array).all() for array in arrays]).all()
