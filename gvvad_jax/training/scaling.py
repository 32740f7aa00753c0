"""λ of synthetic sample loss scaling over a run: constant, times a schedule, or a parameter that is learnt.

Where λ is learnt it is one entry of the state's parameters, so checkpoints, Adam's moments and resuming know it; the
detector does not.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gvvad_jax.losses import ssls
from gvvad_jax.training import state as states

FORMS = ("plain", "bounded")
SCHEDULES = ("cosine", "official_cosine", "official_step")
BOUND = 2.0  # the bounded form's λ is between 0 and this


def check(
    *,
    mode: str,
    weight: float,
    reduction: str,
    schedule: str | None,
    learnable: str | None,
    origin: str = "ssls.weight",
) -> None:
    """Refuse what cannot be trained with before anything is written; `origin`: where `weight` comes from."""
    if reduction not in ssls.REDUCTIONS:
        raise ValueError(f"ssls.reduction is {reduction!r}; choose one of {', '.join(ssls.REDUCTIONS)}.")
    factor(schedule, jnp.ones((), jnp.int32), 1)
    if learnable:
        initial(learnable, weight, origin)
        if mode == "off":
            raise ValueError(
                f"ssls.learnable is {learnable!r}, but with ssls.mode=off λ is in no loss and has no gradient; "
                "set ssls.mode to per_sample or official_batch_scalar, or ssls.learnable to None."
            )
    elif not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"ssls.weight is {weight}; give a constant λ of 0 or more.")


def initial(learnable: str, weight: float, origin: str = "ssls.weight") -> float:
    """The parameter's start: λ itself (plain, as the released program's), or s of λ = 2 sigmoid(s) (bounded)."""
    if learnable not in FORMS:
        raise ValueError(f"ssls.learnable is {learnable!r}; choose one of {', '.join(FORMS)}, or None.")
    if not math.isfinite(weight):
        raise ValueError(f"{origin} is {weight}; give a finite number for λ to start from.")
    if learnable == "plain":
        return weight
    if not 0 < weight < BOUND:
        raise ValueError(
            f"{origin} is {weight}, but a bounded λ starts strictly between 0 and {BOUND:g}; change it, or set "
            "ssls.learnable to plain."
        )
    return math.log(weight / (BOUND - weight))


def current(params: states.Arrays, numbers: states.Arrays, learnable: str | None) -> Any:
    """λ before its schedule."""
    if learnable is None:
        return numbers["synthetic_weight"]
    parameter = params[states.LAMBDA]
    return parameter if learnable == "plain" else BOUND * jax.nn.sigmoid(parameter)


def factor(schedule: str | None, number: Any, steps: int) -> Any:
    """What a schedule multiplies λ by at step `number` (from 1) of `steps`.

    cosine: 0 to 1 over the first tenth of the steps, then down to 0 at the last. The others are the released
    program's, whose warm-up of 100 steps never runs (it passes step + 100): official_cosine reaches 0 at 9/10 of the
    steps and rises again, official_step falls to a tenth every 200 steps.
    """
    match schedule:
        case None | "":
            return 1.0
        case "cosine":
            return optax.warmup_cosine_decay_schedule(0.0, 1.0, steps // 10, steps)(number)
        case "official_cosine":
            return 0.5 * (1 + jnp.cos(jnp.pi * number / (0.9 * steps)))
        case "official_step":
            return 0.1 ** (number // 200).astype(jnp.float32)
    raise ValueError(f"ssls.schedule is {schedule!r}; choose one of {', '.join(SCHEDULES)}, or None.")
