"""One batch with dropout off, and one step of Adam: for tests, debugging and comparison with other programs."""

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from gvvad_jax import detectors
from gvvad_jax.batch import Batch
from gvvad_jax.training import state as states
from gvvad_jax.training import step


@dataclasses.dataclass(frozen=True)
class Result:
    """The loss, its terms as they enter it (they sum to it), and each parameter's gradient by its released name.

    A detector that was never published has names of ours.
    """

    loss: float
    terms: dict[str, float]
    gradients: dict[str, np.ndarray]


def loss_and_gradients(
    detector: Any,
    visual: Float[np.ndarray, "videos crops segments width"],
    text: Float[np.ndarray, "videos sentences text_width"] | None = None,
    *,
    synthetic: Num[np.ndarray, " videos"] | list[int] | None = None,
    ssls: str | None = None,
    synthetic_weight: float = 0.5,
    statistics: Literal["batch", "frozen"] = "batch",
) -> Result:
    """Loss and gradients of 2B videos, the normal half first; `synthetic` flags are 0 or 1 (None: all real).

    `ssls`: per_sample, official_batch_scalar or off; None: the variant's own. `statistics`: "batch" normalises by the
    batch and updates the running ones of `detector` in place, "frozen" normalises by the running ones.
    """
    detectors.check_visual(detector, visual)
    count = len(visual)
    if count == 0 or count % 2:
        raise ValueError(f"visual holds {count} videos; give 2B of them, the B normal ones first.")
    if statistics not in ("batch", "frozen"):
        raise ValueError(f"statistics is {statistics!r}; choose one of batch, frozen.")
    flags = np.zeros(count, np.int32) if synthetic is None else np.asarray(synthetic)
    if flags.shape != (count,) or not np.isin(flags, (0, 1)).all():
        raise ValueError(f"synthetic holds {flags.tolist()}; give a 0 or 1 for each of the {count} videos.")
    if not (np.isfinite(synthetic_weight) and synthetic_weight >= 0):
        raise ValueError(f"synthetic_weight is {synthetic_weight}; give a λ of 0 or more.")
    mode = detectors.ssls_mode(detector, ssls)
    text = text if detectors.reads_text(detector.name) else None
    if detectors.reads_text(detector.name):
        _check_text(detector, text, visual)
    paired = (2, count // 2)
    batch = Batch(
        visual=jnp.asarray(visual, jnp.float32).reshape(*paired, *visual.shape[1:]),
        text=None if text is None else jnp.asarray(text, jnp.float32).reshape(*paired, *text.shape[1:]),
        mask=jnp.ones((*paired, visual.shape[2]), bool),
        text_mask=None if text is None else jnp.ones((*paired, text.shape[1]), bool),
        label=jnp.tile(jnp.arange(2, dtype=jnp.int32)[:, None], (1, count // 2)),
        category=jnp.zeros(paired, jnp.int32),
        synthetic=jnp.asarray(flags, jnp.int32).reshape(paired),
        index=jnp.arange(count, dtype=jnp.int32).reshape(paired),
    )
    structure, params, rest = states.split(detector)

    (value, (terms, rest)), gradients = _value_and_gradients(
        structure, mode, "batch" if statistics == "batch" else "running", params, rest, batch, synthetic_weight
    )
    if statistics == "batch":
        states.update(detector, rest)
    return Result(
        loss=float(value),
        terms={name: float(term) for name, term in terms.items()},
        gradients=detectors.to_official(detector, gradients),
    )


def _check_text(detector: Any, text: Any, visual: Any) -> None:
    """Text is segmented as the visual features are, and so as long."""
    wanted = (len(visual), visual.shape[2], detector.inputs.text)
    if text is None or text.shape != wanted:
        shape = None if text is None else list(text.shape)
        raise ValueError(f"this {detector.name} reads text {list(wanted)}, but was given {shape}.")


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _value_and_gradients(
    structure: states.Structure, mode: str, statistics: str, params: Any, rest: Any, batch: Batch, synthetic_weight: Any
) -> Any:
    def loss(params: Any) -> Any:
        detector = structure.detector(params, rest)
        value, terms = step.objective(
            detector,
            batch,
            jnp.ones((), jnp.int32),
            synthetic_weight=synthetic_weight,
            mode=mode,
            statistics=statistics,
        )
        return value, (terms, states.split(detector)[2])

    return jax.value_and_grad(loss, has_aux=True)(params)


def adam_step(
    detector: Any,
    gradients: dict[str, np.ndarray],
    *,
    learning_rate: float = 1e-3,
    weight_decay: float = 5e-3,
    state: Any = None,
) -> tuple[Any, Any]:
    """A new detector one step on, and Adam's state for the next; L2 in the gradient, as torch's Adam.

    A parameter without a gradient keeps its value, moments and all, as in torch.
    """
    structure, params, rest = states.split(detector)
    gradients = detectors.from_official(detector, gradients)
    unknown = sorted(gradients.keys() - params.keys())
    if unknown:
        raise ValueError(f"{len(unknown)} gradients belong to no parameter of this {detector.name} ({unknown[0]}).")
    wrong = [
        f"{n} {list(g.shape)} for {list(params[n].shape)}" for n, g in gradients.items() if g.shape != params[n].shape
    ]
    if wrong:
        raise ValueError(f"{len(wrong)} gradients of this {detector.name} have another shape ({', '.join(wrong[:3])}).")
    moved = {name: params[name] for name in gradients}
    moments = states.ADAM.init(moved) if state is None else state
    moved, moments = step.adam(
        moved,
        {name: jnp.asarray(gradient, jnp.float32) for name, gradient in gradients.items()},
        moments,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )
    return structure.detector(params | moved, rest), moments
