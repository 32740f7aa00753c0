"""Detectors by name: create one, score videos with it, load it from a bundle."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from gvvad_jax.detectors import bundle, linear, rtfm
from gvvad_jax.detectors.inputs import Inputs
from gvvad_jax.detectors.official import from_official, to_official
from gvvad_jax.detectors.switches import replace
from gvvad_jax.losses import ssls

__all__ = [
    "Inputs",
    "bundle",
    "check_training",
    "create",
    "from_official",
    "load",
    "names",
    "scores",
    "ssls_mode",
    "switches",
    "to_official",
    "variants",
]

# name -> (file with VARIANTS, SSLS and STATUS, class); a detector's first variant is its default.
DETECTORS = {"rtfm": (rtfm, rtfm.RTFM), "linear": (linear, linear.LinearDetector)}


def names() -> dict[str, str]:
    """Each detector's name and what stands behind it: checked against a released program, rebuilt, or our own."""
    return {name: module.STATUS for name, (module, _) in DETECTORS.items()}


def variants(name: str) -> tuple[str, ...]:
    """The variants of a detector, its default first."""
    return tuple(_entry(name)[0].VARIANTS)


def switches(name: str, variant: str | None = None) -> dict[str, Any]:
    """A variant's switches and their values."""
    module, variant = _entry(name)[0], _variant(name, variant)
    values = module.VARIANTS[variant]
    return {field: getattr(values, field) for field in values.__dataclass_fields__}


def create(name: str, inputs: Inputs, variant: str | None = None, seed: int = 0, **changes: Any) -> Any:
    """Make a detector with weights drawn from `seed`; switches are replaced by name."""
    module, kind = _entry(name)
    variant = _variant(name, variant)
    values = replace(module.VARIANTS[variant], f"{name} {variant}", changes)
    return kind(inputs, variant, values, rng=np.random.default_rng(seed))


def ssls_mode(detector: Any, mode: str | None = None) -> str:
    """The SSLS mode to train with: the variant's own where none is given."""
    mode = mode or DETECTORS[detector.name][0].SSLS[detector.variant]
    if mode not in ssls.MODES:
        raise ValueError(f"SSLS mode {mode!r} does not exist; choose one of {', '.join(ssls.MODES)}.")
    return mode


def check_training(detector: Any, segments: int, short: str = "repeat", mode: str | None = None) -> str:
    """Refuse what a variant cannot be trained with before anything is compiled; gives the SSLS mode."""
    mode = ssls_mode(detector, mode)
    if getattr(detector.switches, "regularised", "video") == "video":
        return mode
    where = f"{detector.name} {detector.variant}: smoothness and sparsity"
    if segments % 32:
        raise ValueError(f"{where} need segments in multiples of 32, not {segments}; set data.segments to 32 or 64.")
    if short == "mask":
        raise ValueError(f"{where} know no padding; set data.short to repeat, or take another variant.")
    if mode == "per_sample":
        raise ValueError(
            f"{where} run across the borders of videos, so no row has a λ of its own; "
            "set ssls.mode to official_batch_scalar or off, or take another variant."
        )
    return mode


def scores(
    detector: Any,
    visual: Float[np.ndarray, "n crops snippets width"],
    text: Float[np.ndarray, "n sentences text_width"] | None = None,
    lengths: Int[np.ndarray, " n"] | list[int] | None = None,
    text_lengths: Int[np.ndarray, " n"] | list[int] | None = None,
) -> Float[np.ndarray, "n snippets"]:
    """Score videos in evaluation mode; rows from `lengths` on are padding, may hold any finite value, and score 0."""
    count, _, snippets, width = visual.shape
    if width != detector.inputs.visual:
        raise ValueError(
            f"the features are {width} columns wide, but this {detector.name} was made for {detector.inputs.visual}; "
            "extract with the encoder and blocks it was trained on."
        )
    if not detector.transform.is_fitted:
        raise ValueError(
            f"this {detector.name} standardises or reduces its input, but has no statistics of training videos yet; "
            "call fit_inputs with rows of normal training videos, or load a trained bundle."
        )
    mask = np.ones((count, snippets), bool) if lengths is None else _mask(np.asarray(lengths), count, snippets)
    graph, state = nnx.split(detector)
    return np.asarray(_scores(graph, state, jnp.asarray(visual, jnp.float32), jnp.asarray(mask)))


def load(name: str, path: str | Path, inputs: Inputs, variant: str | None = None, **changes: Any) -> Any:
    """A trained detector from a bundle, with the bundle's variant and switches unless others are given."""
    return bundle.load_into(name, path, inputs, variant, changes)


@jax.jit(static_argnums=0)
def _scores(graph: Any, state: Any, visual: Any, mask: Any) -> Any:
    detector = nnx.merge(graph, state)
    return jnp.where(mask, detector(visual[None], None, mask[None]).scores[0], 0)


def _mask(lengths: np.ndarray, count: int, snippets: int) -> np.ndarray:
    if lengths.shape != (count,) or lengths.min(initial=1) < 0 or lengths.max(initial=0) > snippets:
        raise ValueError(
            f"lengths must be {count} numbers from 0 to {snippets}, one a video, but are {lengths.tolist()[:10]}."
        )
    return np.arange(snippets) < lengths[:, None]


def _entry(name: str) -> Any:
    if name not in DETECTORS:
        raise ValueError(f"detector {name!r} does not exist; choose one of {', '.join(DETECTORS)}.")
    return DETECTORS[name]


def _variant(name: str, variant: str | None) -> str:
    known = variants(name)
    if variant is not None and variant not in known:
        raise ValueError(f"{name} has no variant {variant!r}; choose one of {', '.join(known)}.")
    return variant or known[0]
