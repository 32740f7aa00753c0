"""Folders of published weights in the Hugging Face layout: config.json beside safetensors, shards or a torch file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from gvvad_jax.weights import torch_file

SINGLE, INDEX, TORCH = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"


def config(folder: str | Path, model_type: str, what: str) -> dict[str, Any]:
    """The folder's config.json, which must be of `model_type`; `what` says in errors what was expected."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no config.json; name a folder of {what} in the Hugging Face layout.")
    found = read_json(path)
    if found.get("model_type") != model_type:
        raise ValueError(f"{path} is of model type {found.get('model_type')!r}, but {what} ({model_type!r}) is needed.")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; anything else is a ValueError that names it."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error}); fetch it again.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no JSON object; fetch it again.")
    return found


def files(folder: str | Path) -> list[Path]:
    """The weight files, in the order of their names: one of safetensors, its shards, or else one of torch."""
    folder = Path(folder)
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        shards = sorted(set(_index(folder).values()))
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{folder} lacks {missing[0]}, which {INDEX} names; fetch it again.")
        return [folder / name for name in shards]
    if (folder / TORCH).is_file():
        return [folder / TORCH]
    raise FileNotFoundError(f"{folder} holds no weights; one of {SINGLE}, {INDEX} and {TORCH} is needed.")


def read(folder: str | Path) -> dict[str, np.ndarray]:
    """Every tensor by its published name; a damaged file, or a shard that is not what the index says: ValueError."""
    found: dict[str, np.ndarray] = {}
    for path in files(folder):
        if path.name == TORCH:
            return torch_file.read(path)
        try:
            found |= safetensors.numpy.load_file(path)
        except (safetensors.SafetensorError, OSError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is damaged or of a dtype NumPy lacks ({error}); fetch it again.") from None
    if not (Path(folder) / SINGLE).is_file():
        wrong = sorted(found.keys() ^ _index(Path(folder)).keys())
        if wrong:
            raise ValueError(f"{folder}: {INDEX} and its shards differ in {len(wrong)} tensors, such as {wrong[0]}.")
    return found


def sha256(folder: str | Path) -> str:
    """Of the weight files' bytes, one after another in the order of their names: of one file, its own."""
    digest = hashlib.sha256()
    for path in files(folder):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _index(folder: Path) -> dict[str, str]:
    found = read_json(folder / INDEX).get("weight_map")
    if not isinstance(found, dict) or any(Path(str(name)).name != name for name in found.values()):
        raise ValueError(f"{folder / INDEX} maps no tensors to files beside it; fetch it again.")
    return found
