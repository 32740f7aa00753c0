"""A trained detector as a folder: model.safetensors, config.json, README.md. Shaped to be a hub repository.

The weights file holds parameters, running statistics and fitted input statistics under their dotted paths; config.json
says how to rebuild the detector and how its input was made.
"""

import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from gvvad_jax import detectors
from gvvad_jax.detectors import official
from gvvad_jax.detectors.inputs import Inputs
from gvvad_jax.nn.inputs import Columns, Fitted

SCHEMA = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
PROMPTS = "prompts"  # LAP's bank among the tensors


def arrays(detector: Any) -> dict[str, np.ndarray]:
    """Every parameter and statistic of a detector under its dotted path."""
    return official.named(nnx.state(detector, nnx.Any(nnx.Param, nnx.BatchStat, Fitted)))


def fill(detector: Any, tensors: dict[str, np.ndarray], where: str) -> None:
    """Set a detector's arrays in place; every name and shape must agree, both ways."""
    state = nnx.state(detector, nnx.Any(nnx.Param, nnx.BatchStat, Fitted))
    own = {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(state)}
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise ValueError(
            f"{where} does not fit this {detector.name}: {len(missing)} tensors are missing"
            f"{_some(missing)} and {len(unknown)} are unknown{_some(unknown)}; check detector, widths and switches."
        )
    for name, leaf in own.items():
        tensor = tensors[name]
        if tensor.shape != leaf.shape:
            raise ValueError(
                f"{where}: {name} has shape {list(tensor.shape)}, but this {detector.name} needs {list(leaf.shape)}; "
                "check the feature width and the switches."
            )
        if not np.isfinite(tensor).all():
            raise ValueError(f"{where}: {name} holds NaN or infinite values; the run that wrote it did not end well.")
    for name, leaf in own.items():
        leaf[...] = jnp.asarray(tensors[name], leaf.dtype)


def save(
    path: str | Path,
    detector: Any,
    extraction: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    threshold: float | None = None,
) -> None:
    """Write the folder, whole or not at all; an older bundle there is replaced, anything else is left alone.

    `extraction`: how the features were made, all that scoring a new video needs. `provenance`: where the weights come
    from (data, seed, step, commit, figures). `threshold`: where scores begin to mean an event, if it was calibrated.
    """
    path = Path(path)
    if not detector.transform.is_fitted:
        raise ValueError(f"{path}: the detector's input statistics were never fitted; call fit_inputs before saving.")
    if path.exists() and not (path / CONFIG).is_file():
        raise ValueError(f"{path} exists and is no bundle; choose another path.")
    tensors = arrays(detector)
    config = {
        "schema": SCHEMA,
        "detector": detector.name,
        "variant": detector.variant,
        "switches": dataclasses.asdict(detector.switches),
        "inputs": {
            "visual": detector.inputs.visual,
            "text": detector.inputs.text,
            "blocks": [block._asdict() for block in detector.inputs.blocks],
        },
        "smoothing": {"snippets": detector.switches.smooth, "causal": detector.switches.causal},
        "extraction": extraction or {},
        "threshold": threshold,
        "provenance": provenance or {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        new = scratch / "new"
        new.mkdir()
        _write(new / WEIGHTS, safetensors.numpy.save(tensors, metadata={"format": "np"}))
        _write(new / CONFIG, (json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
        _write(new / CARD, _card(config, tensors).encode())
        if path.exists():
            path.rename(scratch / "old")
        new.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def load(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """The detector and its config.json."""
    path = Path(path)
    config, tensors = _read(path)
    own = config["inputs"]
    inputs = Inputs(own["visual"], own["text"], _bank(tensors), blocks=own["blocks"])
    detector = detectors.create(config["detector"], inputs, config["variant"], **config["switches"])
    fill(detector, tensors, str(path / WEIGHTS))
    return detector, config


def extraction(path: str | Path) -> dict[str, Any]:
    """What a bundle's config.json says of how its features and text were made."""
    return _read(Path(path))[0]["extraction"]


def load_into(name: str, path: str | Path, inputs: Inputs, variant: str | None, changes: dict[str, Any]) -> Any:
    """A detector of the given name, inputs and variant with a bundle's weights."""
    path = Path(path)
    config, tensors = _read(path)
    if config["detector"] != name:
        raise ValueError(f"{path} holds a {config['detector']}, not a {name}; ask for {config['detector']}.")
    if config["inputs"]["visual"] != inputs.visual:
        raise ValueError(
            f"{path} was trained on {config['inputs']['visual']} feature columns, not {inputs.visual}; "
            "extract with the encoder and blocks it names in config.json."
        )
    if config["inputs"]["text"] != inputs.text:
        raise ValueError(
            f"{path} was trained on text of {config['inputs']['text']} columns, not {inputs.text}; "
            "embed the sentences with the encoder it was trained on."
        )
    # A bank that is given replaces the bundle's: it chooses segments in training, and no score depends on it.
    if PROMPTS in tensors and inputs.prompts is not None:
        tensors = tensors | {PROMPTS: inputs.prompts}
    else:
        inputs = dataclasses.replace(inputs, prompts=_bank(tensors))
    if variant in (None, config["variant"]):
        changes = config["switches"] | changes
    detector = detectors.create(name, inputs, variant or config["variant"], **changes)
    fill(detector, tensors, str(path / WEIGHTS))
    return detector


def _bank(tensors: dict[str, np.ndarray]) -> np.ndarray | None:
    """LAP's prompt vectors; None for another detector and for a LAP that was made without."""
    bank = tensors.get(PROMPTS)
    return None if bank is None or len(bank) == 0 else bank


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not (path / CONFIG).is_file() or not (path / WEIGHTS).is_file():
        raise FileNotFoundError(f"{path} is no bundle: it needs {CONFIG} and {WEIGHTS}; give the bundle/ of a run.")
    try:
        optional = {"extraction": {}, "threshold": None, "provenance": {}}
        config = {**optional, **json.loads((path / CONFIG).read_text("utf-8"))}
        schema, inputs = config["schema"], {"text": None, "blocks": [], **config["inputs"]}
        inputs["blocks"] = tuple(Columns(b["name"], int(b["start"]), int(b["stop"])) for b in inputs["blocks"])
        inputs["visual"], config["inputs"] = int(inputs["visual"]), inputs
        config["detector"], config["variant"] = str(config["detector"]), str(config["variant"])
        config["switches"] = dict(config["switches"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path / CONFIG} is no bundle's configuration ({error!r}); copy the bundle again.") from error
    if schema != SCHEMA:
        raise ValueError(f"{path / CONFIG} has schema {schema}, but this version reads {SCHEMA}; update gvvad_jax.")
    try:
        return config, safetensors.numpy.load_file(path / WEIGHTS)
    except (safetensors.SafetensorError, OSError, TypeError, KeyError) as error:
        raise ValueError(f"{path / WEIGHTS} is damaged ({error}); copy the bundle again.") from error


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _some(names: list[str]) -> str:
    return f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""


def _text(config: dict[str, Any]) -> str:
    width = config["inputs"]["text"]
    return "" if width is None else f" and sentence vectors of {width}"


def _card(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    """A model card in the hub's format, from what the config says."""
    size = sum(tensor.size for tensor in tensors.values())
    lines = [
        "---",
        "library_name: gvvad_jax",
        "tags: [video-anomaly-detection, jax]",
        "---",
        "",
        f"# {config['detector']} ({config['variant']})",
        "",
        f"A video anomaly detector of gvvad_jax with {size:,} numbers. It scores each snippet of a video from 0 to 1",
        f"from features of {config['inputs']['visual']} columns{_text(config)}; config.json says how these are made.",
        "",
        "Score a video: `python tools/score.py VIDEO --bundle=THIS_FOLDER --out=OUT`.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {json.dumps(value, ensure_ascii=False)} |" for key, value in config["provenance"].items()),
        f"| threshold | {config['threshold'] if config['threshold'] is not None else 'not calibrated'} |",
        "",
        "A score is no proof: look at the video before acting on it.",
        "",
    ]
    return "\n".join(lines)
