"""The training step: one pure function of state, batch and key.

Forward with dropout and batch statistics → terms as rows → SSLS (Eq. 6-7) → gradients → Adam with L2 in the gradient.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gvvad_jax.batch import Batch
from gvvad_jax.losses import ssls
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import state as states

SCHEDULES = ("cosine", "step")


def objective(
    detector: Any,
    batch: Batch,
    number: Any,
    *,
    synthetic_weight: Any,
    mode: str,
    coefficients: Any = None,
    key: Any = None,
    statistics: str = "batch",
) -> tuple[Any, dict[str, Any]]:
    """The loss of a batch, and its terms as they enter it; batch statistics are written into the detector."""
    if mode == "per_sample":
        # What λ = 0 excludes stays out of selections and set means too (batch.counts).
        batch = dataclasses.replace(batch, weight=ssls.weights(batch.synthetic, synthetic_weight))
    outputs = detector(batch.visual, batch.text, batch.mask, batch.text_mask, key=key, statistics=statistics)
    terms = detector.terms(outputs, batch, number, coefficients)
    return ssls.combine(terms, batch.synthetic.ravel(), synthetic_weight, cast(ssls.Mode, mode))


def adam(
    params: states.Arrays, gradients: states.Arrays, moments: Any, *, learning_rate: Any, weight_decay: Any
) -> tuple[states.Arrays, Any]:
    """torch's Adam as published: the L2 term joins the gradient before the moments (it is not AdamW)."""
    gradients = jax.tree.map(lambda g, p: g + weight_decay * p, gradients, params)
    updates, moments = states.ADAM.update(gradients, moments)
    return jax.tree.map(lambda p, u: p - learning_rate * u, params, updates), moments


def schedule_factor(schedule: str | None, number: Any, steps: int) -> Any:
    """What the released program's schedules multiply λ by at step `number` (from 1) of `steps`.

    Its warm-up of 100 steps never runs (it passes step + 100); `cosine` reaches 0 at 9/10 of the steps and rises
    again, `step` falls to a tenth every 200 steps.
    """
    match schedule:
        case None | "":
            return 1.0
        case "cosine":
            return 0.5 * (1 + jnp.cos(jnp.pi * number / (0.9 * steps)))
        case "step":
            return 0.1 ** (number // 200).astype(jnp.float32)
    raise ValueError(f"ssls.schedule is {schedule!r}; choose one of {', '.join(SCHEDULES)}, or None.")


def pure(structure: states.Structure, mode: str, schedule: str | None = None, steps: int = 1) -> Callable[..., Any]:
    """The step `(state, batch, key) -> (state, metrics)` without placement; `steps` matters to the schedule alone."""
    schedule_factor(schedule, jnp.ones((), jnp.int32), steps)  # an unknown one is refused before anything runs

    def step(state: states.State, batch: Batch, key: Any) -> tuple[states.State, dict[str, Any]]:
        number = state.step + 1
        numbers = state.numbers
        synthetic_weight = numbers["synthetic_weight"] * schedule_factor(schedule, number, steps)

        def loss(params: states.Arrays) -> tuple[Any, Any]:
            detector = structure.detector(params, state.rest)
            value, terms = objective(
                detector,
                batch,
                number,
                synthetic_weight=synthetic_weight,
                mode=mode,
                coefficients=states.coefficients(numbers),
                key=jax.random.fold_in(key, number),
            )
            return value, (terms, states.split(detector)[2])

        (value, (terms, rest)), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        params, moments = adam(
            state.params,
            gradients,
            state.moments,
            learning_rate=numbers["learning_rate"],
            weight_decay=numbers["weight_decay"],
        )
        # A step whose loss is finite may still leave a state that is not, and that must never be saved.
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves((params, rest))]))
        metrics = {"loss": value, **terms, "lambda": synthetic_weight, "finite": finite}
        return dataclasses.replace(state, step=number, params=params, rest=rest, moments=moments), metrics

    return step


def compiled(
    structure: states.Structure, mesh: Mesh, mode: str, schedule: str | None = None, steps: int = 1
) -> Callable[..., Any]:
    """The step over all devices of the mesh: the state whole on each, the batch's videos divided."""
    everywhere, divided = meshes.replicated(mesh), NamedSharding(mesh, PartitionSpec(None, "data"))
    return jax.jit(
        pure(structure, mode, schedule, steps),
        in_shardings=(everywhere, divided, everywhere),
        out_shardings=everywhere,
        donate_argnums=0,
    )
