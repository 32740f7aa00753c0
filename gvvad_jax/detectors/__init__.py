"""Detectors by name: create one, score videos with it, load it from a bundle or a released checkpoint."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from gvvad_jax.detectors import bundle, lap, linear, official, rtfm, tevad
from gvvad_jax.detectors.inputs import Inputs
from gvvad_jax.detectors.official import from_official, to_official
from gvvad_jax.detectors.switches import replace
from gvvad_jax.losses import ssls

__all__ = [
    "Inputs",
    "bundle",
    "check_training",
    "check_visual",
    "create",
    "from_official",
    "load",
    "names",
    "reads_text",
    "released_weight",
    "scores",
    "ssls_mode",
    "switches",
    "to_official",
    "variants",
]

# name -> (file with VARIANTS, SSLS and STATUS, class); a detector's first variant is its default.
DETECTORS = {
    "lap": (lap, lap.LAP),
    "tevad": (tevad, tevad.TEVAD),
    "rtfm": (rtfm, rtfm.RTFM),
    "linear": (linear, linear.LinearDetector),
}
TEXT = ("lap", "tevad")  # those that read sentence vectors


def names() -> dict[str, str]:
    """Each detector's name and what stands behind it: checked against a released program, rebuilt, or our own."""
    return {name: module.STATUS for name, (module, _) in DETECTORS.items()}


def reads_text(name: str) -> bool:
    """Whether a detector needs sentence vectors beside the features."""
    _entry(name)
    return name in TEXT


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
    if not isinstance(inputs, Inputs):
        raise ValueError(f"{name} was given {type(inputs).__name__} as inputs; give detectors.Inputs(visual=WIDTH, …).")
    if name in TEXT and inputs.text is None:
        raise ValueError(f"{name} reads text: give the width of its sentence vectors, Inputs(visual, text=…).")
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
    has_term = not detector.coefficients().keys().isdisjoint(("smoothness", "sparsity"))
    if not has_term or detector.switches.regularised == "video":
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


def check_visual(detector: Any, visual: np.ndarray) -> None:
    """Refuse features that are not [videos, crops, snippets, width] of the detector's width."""
    if visual.ndim != 4:
        raise ValueError(f"the features have shape {list(visual.shape)}; give [videos, crops, snippets, width].")
    if visual.shape[3] != detector.inputs.visual:
        raise ValueError(
            f"the features are {visual.shape[3]} columns wide, but this {detector.name} was made for "
            f"{detector.inputs.visual}; extract with the encoder and blocks it was trained on."
        )


def scores(
    detector: Any,
    visual: Float[np.ndarray, "n crops snippets width"],
    text: Float[np.ndarray, "n sentences text_width"] | None = None,
    lengths: Int[np.ndarray, " n"] | list[int] | None = None,
    text_lengths: Int[np.ndarray, " n"] | list[int] | None = None,
) -> Float[np.ndarray, "n snippets"]:
    """Score videos in evaluation mode; rows from `lengths` on are padding, may hold any finite value, and score 0."""
    check_visual(detector, visual)
    count, _, snippets, _ = visual.shape
    if not detector.transform.is_fitted:
        raise ValueError(
            f"this {detector.name} standardises or reduces its input, but has no statistics of training videos yet; "
            "call fit_inputs with rows of normal training videos, or load a trained bundle."
        )
    mask = _mask("lengths", lengths, count, snippets)
    read = None
    if detector.name in TEXT:
        read = _text(detector, text, mask, lengths if text_lengths is None else text_lengths, text_lengths is None)
    graph, state = nnx.split(detector)
    return np.asarray(_scores(graph, state, jnp.asarray(visual, jnp.float32), jnp.asarray(mask), read))


def load(name: str, path: str | Path, inputs: Inputs, variant: str | None = None, **changes: Any) -> Any:
    """A trained detector from a bundle, or from a released checkpoint (a file of torch.save, read without torch).

    A bundle's variant and switches hold unless others are given; a checkpoint says nothing of them: give them.
    """
    if not Path(path).is_file():
        return bundle.load_into(name, path, inputs, variant, changes)
    detector = create(name, inputs, variant, **changes)
    official.fill(detector, path)
    return detector


def released_weight(path: str | Path) -> float | None:
    """The λ that a released checkpoint carries (its VLR); None where it has none, or where `path` is a bundle."""
    return official.read(path)[1] if Path(path).is_file() else None


@jax.jit(static_argnums=0)
def _scores(graph: Any, state: Any, visual: Any, mask: Any, read: Any) -> Any:
    detector = nnx.merge(graph, state)
    text, text_mask = (None, None) if read is None else (part[None] for part in read)
    return jnp.where(mask, detector(visual[None], text, mask[None], text_mask).scores[0], 0)


def _mask(name: str, lengths: Any, count: int, rows: int) -> np.ndarray:
    if lengths is None:
        return np.ones((count, rows), bool)
    lengths = np.asarray(lengths)
    if lengths.shape != (count,) or lengths.min(initial=1) < 0 or lengths.max(initial=0) > rows:
        raise ValueError(
            f"{name} must be {count} numbers from 0 to {rows}, one a video, but are {lengths.tolist()[:10]}."
        )
    return np.arange(rows) < lengths[:, None]


def _text(detector: Any, text: Any, mask: np.ndarray, lengths: Any, borrowed: bool) -> tuple[Any, Any]:
    """Sentence vectors and their mask; `borrowed`: these are the visual lengths, and hold if the array is as long."""
    width = detector.inputs.text
    if text is None or text.ndim != 3 or len(text) != len(mask) or text.shape[2] != width:
        shape = None if text is None else list(text.shape)
        raise ValueError(f"this {detector.name} reads text [{len(mask)}, sentences, {width}], but was given {shape}.")
    text_mask = _mask(
        "text_lengths", None if borrowed and text.shape[1] != mask.shape[1] else lengths, len(text), text.shape[1]
    )
    for number, (want, have) in enumerate(zip(mask.sum(1), text_mask.sum(1), strict=True)):
        if 2 * have < want:
            raise ValueError(
                f"video {number} has {have} sentence vectors for {want} snippets; at least half as many are needed."
            )
    # Padding may hold any finite value, and 0 times it must not meet a norm's bias.
    return jnp.asarray(np.where(text_mask[..., None], text, 0), jnp.float32), jnp.asarray(text_mask)


def _entry(name: str) -> Any:
    if name not in DETECTORS:
        raise ValueError(f"detector {name!r} does not exist; choose one of {', '.join(DETECTORS)}.")
    return DETECTORS[name]


def _variant(name: str, variant: str | None) -> str:
    known = variants(name)
    if variant is not None and variant not in known:
        raise ValueError(f"{name} has no variant {variant!r}; choose one of {', '.join(known)}.")
    return variant or known[0]
