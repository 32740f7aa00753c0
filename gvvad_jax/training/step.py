"""The training step: one pure function of state, batch and key.

Forward with dropout and batch statistics → terms as rows → SSLS (Eq. 6-7) → gradients → Adam with L2 in the gradient.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gvvad_jax.batch import Batch
from gvvad_jax.losses import ssls
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import scaling
from gvvad_jax.training import state as states


def objective(
    detector: Any,
    batch: Batch,
    number: Any,
    *,
    synthetic_weight: Any,
    mode: str,
    reduction: str = "mean",
    learnable: bool = False,
    coefficients: Any = None,
    key: Any = None,
    statistics: str = "batch",
) -> tuple[Any, dict[str, Any]]:
    """The loss of a batch, and its terms as they enter it; batch statistics are written into the detector."""
    if mode == "official_batch_scalar" and batch.label.shape[0] != 2:
        raise ValueError("official_batch_scalar reads the anomalous half's flags and needs data.sampler=paired.")
    if mode == "per_sample":
        # What λ = 0 excludes stays out of selections and set means too (batch.counts).
        batch = dataclasses.replace(batch, weight=ssls.weights(batch.synthetic, jnp.maximum(synthetic_weight, 0)))
    outputs = detector(batch.visual, batch.text, batch.mask, batch.text_mask, key=key, statistics=statistics)
    terms = detector.terms(outputs, batch, number, coefficients)
    return ssls.combine(
        terms,
        batch.synthetic.ravel(),
        synthetic_weight,
        cast(ssls.Mode, mode),
        cast(ssls.Reduction, reduction),
        learnable,
    )


def adam(
    params: states.Arrays,
    gradients: states.Arrays,
    moments: Any,
    *,
    learning_rate: Any,
    weight_decay: Any,
    undecayed: Collection[str] = (),
) -> tuple[states.Arrays, Any]:
    """torch's Adam as published: the L2 term joins the gradient before the moments (it is not AdamW)."""
    gradients = {
        name: gradient if name in undecayed else gradient + weight_decay * params[name]
        for name, gradient in gradients.items()
    }
    updates, moments = states.ADAM.update(gradients, moments)
    return jax.tree.map(lambda p, u: p - learning_rate * u, params, updates), moments


def pure(
    structure: states.Structure,
    mode: str,
    schedule: str | None = None,
    steps: int = 1,
    *,
    reduction: str = "mean",
    learnable: str | None = None,
) -> Callable[..., Any]:
    """The step `(state, batch, key) -> (state, metrics)` without placement; `steps` matters to the schedule alone.

    `learnable`: the form of the λ that the state's parameters hold; None: they hold none.
    """
    undecayed = (states.LAMBDA,) if learnable == "bounded" else ()

    def step(state: states.State, batch: Batch, key: Any) -> tuple[states.State, dict[str, Any]]:
        number = state.step + 1
        numbers = state.numbers
        factor = scaling.factor(schedule, number, steps)

        def loss(params: states.Arrays) -> tuple[Any, Any]:
            synthetic_weight = scaling.current(params, numbers, learnable) * factor
            detector = structure.detector(params, state.rest)
            value, terms = objective(
                detector,
                batch,
                number,
                synthetic_weight=synthetic_weight,
                mode=mode,
                reduction=reduction,
                learnable=learnable is not None,
                coefficients=states.coefficients(numbers),
                key=jax.random.fold_in(key, number),
            )
            return value, (terms, synthetic_weight, states.split(detector)[2])

        (value, (terms, synthetic_weight, rest)), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        params, moments = adam(
            state.params,
            gradients,
            state.moments,
            learning_rate=numbers["learning_rate"],
            weight_decay=numbers["weight_decay"],
            undecayed=undecayed,
        )
        # A step whose loss is finite may still leave a state that is not, and that must never be saved.
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves((params, rest))]))
        metrics = {"loss": value, **terms, "lambda": synthetic_weight, "finite": finite}
        return dataclasses.replace(state, step=number, params=params, rest=rest, moments=moments), metrics

    return step


def compiled(
    structure: states.Structure,
    mesh: Mesh,
    mode: str,
    schedule: str | None = None,
    steps: int = 1,
    *,
    reduction: str = "mean",
    learnable: str | None = None,
) -> Callable[..., Any]:
    """The step over all devices of the mesh: the state whole on each, the batch's videos divided."""
    everywhere, divided = meshes.replicated(mesh), NamedSharding(mesh, PartitionSpec(None, "data"))
    return jax.jit(
        pure(structure, mode, schedule, steps, reduction=reduction, learnable=learnable),
        in_shardings=(everywhere, divided, everywhere),
        out_shardings=everywhere,
        donate_argnums=0,
    )
