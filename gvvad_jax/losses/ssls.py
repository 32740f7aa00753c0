"""Synthetic sample loss scaling: L'_i = λ^{s_i} L_i, L = Σ L'_i (GV-VAD, Eq. 6-7), divided by N unless a sum is asked.

Loss terms arrive as rows, and λ multiplies here alone. A term's weighted rows are summed and divided by its number of
rows: dividing by Σ w_i instead would cancel λ where all rows are synthetic, and half cancel it elsewhere.
"""

from typing import Any, Literal

import flax.struct
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num, Real

Mode = Literal["per_sample", "official_batch_scalar", "off"]
MODES = ("per_sample", "official_batch_scalar", "off")
Reduction = Literal["mean", "sum"]
REDUCTIONS = ("mean", "sum")
LEAST = 1e-3  # the least learnt λ under a root, whose slope at 0 is infinite


@flax.struct.dataclass
class Term:
    """A loss term before its sum: rows with their coefficient inside, and whose rows they are."""

    rows: Any  # float32 [*rows], unreduced
    videos: Any  # int [*rows, k], flat numbers of the k videos that a row joins; None: nobody's, weight 1
    denominator: Any  # what the sum of rows is divided by
    whole_batch: bool = flax.struct.field(pytree_node=False, default=False)  # a row joins videos that cannot be told


def flat_numbers(shape: tuple[int, ...]) -> Int[Array, "groups videos"]:
    """The flat number g * B + b of each video of a batch [G, B]."""
    groups, videos = shape
    return jnp.arange(groups * videos).reshape(groups, videos)


def weights(
    synthetic: Num[Array, "*n"] | Num[np.ndarray, "*n"] | list[int],
    synthetic_weight: float | Real[Array, ""],
    learnable: bool = False,
) -> Float[Array, "*n"]:
    """λ^s: 1 for real videos (s = 0), λ for synthetic ones (s = 1), the geometric mean for shares between (λ ≥ 0).

    At λ = 0 the powers and their gradients are taken as their limits for whole s (0**0 is 1) and as 0 for shares.
    `learnable`: λ is a parameter that may pass 0: shares take max(λ, 1e-3)**s, whole s still follow λ below 0.
    """
    share = jnp.asarray(synthetic, jnp.float32)
    weight = jnp.asarray(synthetic_weight, jnp.float32)
    if learnable:
        power = jnp.maximum(weight, LEAST) ** share
    else:
        power = jnp.where(weight > 0, jnp.where(weight > 0, weight, 1.0) ** share, 0.0)
    return jnp.where(share == 0, 1.0, jnp.where(share == 1, weight, power))


def combine(
    terms: dict[str, Term],
    synthetic: Int[Array, " n"],
    synthetic_weight: float | Real[Array, ""],
    mode: Mode = "per_sample",
    reduction: Reduction = "mean",
    learnable: bool = False,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss, and each term as it enters it (they sum to the loss).

    per_sample: each row by λ^(synthetic share of its videos). official_batch_scalar: the released program's
    cost (1 - q (1 - λ)), q the synthetic fraction of the second, anomalous half alone. off: no λ. `reduction` sum:
    N times the mean, N the number of videos; Adam all but cancels the factor, but then the L2 term is N times weaker.
    """
    if mode not in MODES:
        raise ValueError(f"SSLS mode {mode!r} does not exist; choose one of {', '.join(MODES)}.")
    values = {}
    for name, term in terms.items():
        rows = term.rows
        if mode == "per_sample":
            if term.whole_batch:
                raise ValueError(
                    f"the term {name} runs across the borders of videos, so no row has a λ of its own: "
                    "choose official_batch_scalar or off for SSLS, or another variant of the detector."
                )
            if term.videos is not None:
                share = jnp.mean(synthetic[term.videos].astype(jnp.float32), -1)
                rows = rows * weights(share, synthetic_weight, learnable)
        values[name] = jnp.sum(rows) / term.denominator
    if mode == "official_batch_scalar":
        if len(synthetic) % 2:
            raise ValueError(
                f"official_batch_scalar needs a normal and an anomalous half, not {len(synthetic)} videos."
            )
        fraction = jnp.mean(synthetic[len(synthetic) // 2 :].astype(jnp.float32))
        values = {name: value * (1 - fraction * (1 - synthetic_weight)) for name, value in values.items()}
    if reduction == "sum":
        values = {name: value * len(synthetic) for name, value in values.items()}
    return sum(values.values(), jnp.zeros((), jnp.float32)), values
