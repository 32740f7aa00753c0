"""Folders of published weights: config.json beside safetensors, shards or a torch file.

The Hugging Face layout, and that of diffusers, where `stem` is "diffusion_pytorch_model" and a config names a class.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax.weights import safetensors_file, torch_file

STEM, DIFFUSERS = "model", "diffusion_pytorch_model"


@dataclass(frozen=True, eq=False)
class Tensors(Mapping[str, np.ndarray]):
    """Tensors by name, each read from its file whenever it is asked for, and not kept."""

    entries: Mapping[str, safetensors_file.Entry]

    def __getitem__(self, name: str) -> np.ndarray:
        """Read anew."""
        return self.entries[name].read()

    def __contains__(self, name: object) -> bool:
        """By name alone: nothing is read."""
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        """Names."""
        return iter(self.entries)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.entries)


def config(folder: str | Path, model_type: str, what: str) -> dict[str, Any]:
    """The folder's config.json, which must be of `model_type`; `what` says in errors what was expected."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no config.json; name a folder of {what} in the Hugging Face layout.")
    found = read_json(path)
    if found.get("model_type") != model_type:
        raise ValueError(f"{path} is of model type {found.get('model_type')!r}, but {what} ({model_type!r}) is needed.")
    return found


def component(folder: str | Path, name: str, class_names: Sequence[str], what: str) -> dict[str, Any]:
    """The JSON object `name` (config.json, scheduler_config.json) of a diffusers component, of one of `class_names`."""
    path = Path(folder) / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {name}; name a folder of {what} in the diffusers layout.")
    found = read_json(path)
    if found.get("_class_name") not in class_names:
        raise ValueError(
            f"{path} is of class {found.get('_class_name')!r}, but {what} ({', '.join(class_names)}) is needed."
        )
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


def files(folder: str | Path, stem: str = STEM) -> list[Path]:
    """The weight files, in the order of their names: one of safetensors, its shards, or else one of torch."""
    folder = Path(folder)
    single, index, torch = names(stem)
    if (folder / single).is_file():
        return [folder / single]
    if (folder / index).is_file():
        shards = sorted(set(_index(folder / index).values()))
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{folder} lacks {missing[0]}, which {index} names; fetch it again.")
        return [folder / name for name in shards]
    if (folder / torch).is_file():
        return [folder / torch]
    raise FileNotFoundError(f"{folder} holds no weights; one of {single}, {index} and {torch} is needed.")


def names(stem: str = STEM) -> tuple[str, str, str]:
    """What the weight file, the index of its shards, and a file of torch's are called."""
    return f"{stem}.safetensors", f"{stem}.safetensors.index.json", f"{'pytorch_' * (stem == STEM)}{stem}.bin"


def read(folder: str | Path, stem: str = STEM) -> Mapping[str, np.ndarray]:
    """Every tensor by its published name, in its own dtype (bfloat16: ml_dtypes'), read only when it is asked for.

    A file that is damaged or cut short, or a shard that is not what the index says, is a ValueError at once. A file of
    torch's is read whole.
    """
    folder = Path(folder)
    single, index, torch = names(stem)
    paths = files(folder, stem)
    if paths[0].name == torch:
        return torch_file.read(paths[0])
    found = [(name, entry) for path in paths for name, entry in safetensors_file.entries(path).items()]
    if paths[0].name != single:
        wrong = {(name, entry.path.name) for name, entry in found} ^ set(_index(folder / index).items())
        if wrong:
            differing = sorted({name for name, _ in wrong})
            raise ValueError(
                f"{folder}: {index} and its shards differ in {len(differing)} tensors, such as {differing[0]}."
            )
    return Tensors(dict(found))


def sha256(folder: str | Path, stem: str = STEM) -> str:
    """Of the weight files' bytes, one after another in the order of their names: of one file, its own."""
    digest = hashlib.sha256()
    for path in files(folder, stem):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _index(path: Path) -> dict[str, str]:
    found = read_json(path).get("weight_map")
    if not isinstance(found, dict) or any(Path(str(name)).name != name for name in found.values()):
        raise ValueError(f"{path} maps no tensors to files beside it; fetch it again.")
    return found
