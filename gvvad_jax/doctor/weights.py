"""A folder of published weights: dead, partial and corrupt downloads, and whether its network takes every tensor."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gvvad_jax.doctor.finding import Finding, ok, problem
from gvvad_jax.features import captioner, sentences
from gvvad_jax.models import clip, git, t5, text_image
from gvvad_jax.models.cogvideox import vae
from gvvad_jax.models.cogvideox import weights as transformer
from gvvad_jax.weights import finite, folder, safetensors_file, tables, torch_file

TENSORS = (".safetensors", ".bin", ".pt", ".pth", ".pkl", ".ckpt")
PIPELINE = "model_index.json"
POINTER = b"version https://git-lfs"


def inspect(path: Path) -> Iterator[Finding]:
    """Every weight file of a folder (or one file): readable to its end, and every shard of an index there."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; --weights names the folder of published weights.")
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.suffix.lower() in TENSORS)
    if not files:
        yield problem(f"{path}: no weight file ({', '.join(TENSORS)}) under it")
    for file in files:
        yield _file(file)
    for index in sorted(path.rglob("*.index.json")) if path.is_dir() else ():
        yield from _index(index)
    if (path / "config.json").is_file():
        yield from _network(path)
    elif (path / PIPELINE).is_file():
        yield _pipeline(path)
        for part in sorted(path.iterdir()):
            if (part / "config.json").is_file():
                yield from _network(part)


def _file(path: Path) -> Finding:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
    if not size:
        return problem(f"{path} is empty; fetch it again")
    if head.startswith(POINTER):
        return problem(f"{path} is a git-lfs pointer of {size} bytes, not the weights: run git lfs pull")
    if head.lstrip()[:1] == b"<":
        return problem(f"{path} is a web page, not weights: the download was refused; fetch it by hand")
    try:
        count, numbers = _safetensors(path) if path.suffix.lower() == ".safetensors" else _torch(path)
    except (ValueError, OSError) as error:
        return problem(str(error) if str(path) in str(error) else f"{path}: {error}")
    return ok(f"{path}: {count} tensors, {numbers:,} numbers, {size / 2**20:,.1f} MiB, read to the end")


def _safetensors(path: Path) -> tuple[int, int]:
    found = safetensors_file.entries(path)
    return len(found), sum(math.prod(entry.shape) for entry in found.values())


def _torch(path: Path) -> tuple[int, int]:
    arrays = torch_file.read(path)
    return len(arrays), sum(array.size for array in arrays.values())


def _network(path: Path) -> Iterator[Finding]:
    """The network that config.json names, loaded strictly, and one known picture or sentence through it."""
    try:
        found = folder.read_json(path / "config.json")
        kind = found.get("model_type") or found.get("_class_name")
        said = NETWORKS[kind](path) if isinstance(kind, str) and kind in NETWORKS else None
    except (ValueError, OSError) as error:
        yield problem(str(error))
        return
    if said is None:
        yield ok(f"{path / 'config.json'} is of model type {kind!r}, which this version does not run")
    else:
        yield ok(f"{path}: {kind}, every tensor has its place; {said}")


def _pipeline(path: Path) -> Finding:
    """What a folder of diffusers is made of."""
    try:
        found = folder.read_json(path / PIPELINE)
    except (ValueError, OSError) as error:
        return problem(str(error))
    parts = {
        name: value[1] for name, value in found.items() if isinstance(value, list) and len(value) == 2 and value[1]
    }
    if missing := sorted(name for name in parts if not (path / name).is_dir()):
        return problem(f"{path / PIPELINE} names {', '.join(missing)}, but there is no such folder; fetch it again")
    made = ", ".join(f"{name} ({kind})" for name, kind in sorted(parts.items()))
    return ok(f"{path} is {found.get('_class_name')} of diffusers: {made}")


def _picture() -> np.ndarray:
    """Two gradients."""
    rows = np.linspace(0, 255, 256, dtype=np.uint8)
    return np.stack(np.broadcast_arrays(rows[:, None], rows[None], np.uint8(127)), -1)


def _clip(path: Path) -> str:
    model = clip.load(path)
    finite.require(model, path)
    size = model.config.size
    pixels = git.Pixels(size, size, Image.Resampling.BICUBIC, *clip.pixel_statistics(path))
    said = _measured("a picture of two gradients", np.asarray(model.encode_image(pixels(_picture())[None])))
    if not text_image.has_tokenizer(path):
        return f"{said}; without a tokenizer it reads no sentences"
    return f"{said}, {_measured(repr(SENTENCE), text_image.TextImage(path, model).encode_texts([SENTENCE]))}"


def _bert(path: Path) -> str:
    encoder = sentences.create(path)
    return f"{_measured(repr(SENTENCE), encoder([SENTENCE]))} (pooling: {encoder.pooling})"


def _git(path: Path) -> str:
    """Its ids are compared with another program's, as a sentence alone may be empty."""
    writer = captioner.Captioner(path)
    ids = writer.ids(writer.begin([np.stack([writer.crop(_picture())] * writer.frames)]))[0]
    ends = np.flatnonzero(ids[1:] == writer.config.end)
    shown = " ".join(map(str, ids[: 2 + ends[0]] if len(ends) else ids))
    return f"a picture of two gradients in {writer.frames} frames gives {writer.text(ids)!r} (ids {shown})"


def _measured(what: str, vector: np.ndarray) -> str:
    """What an input gives; ValueError where that is no vector."""
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise ValueError(f"{what} gives a vector of length {length}; fetch the weights again")
    return f"{what} gives {vector.size} numbers of length {length:.4g}"


def _t5(path: Path) -> str:
    config = t5.Config.of(folder.config(path, "t5", t5.WHAT), str(path / "config.json"))
    arrays = folder.read(path)
    tables.require_all(arrays, t5.table(config, arrays), str(path))
    return f"{config.layers} layers, {config.width} wide; {UNRUN}"


def _transformer(path: Path) -> str:
    config, arrays = transformer.config(path), folder.read(path, folder.DIFFUSERS)
    tables.require_all(arrays, transformer.table(config, arrays), str(path))
    return f"{config.layers} blocks, {config.width} wide; {UNRUN}"


def _vae(path: Path) -> str:
    config = vae.Config.of(folder.component(path, "config.json", [vae.CLASS], vae.WHAT), str(path / "config.json"))
    tables.require_all(folder.read(path, folder.DIFFUSERS), vae.table(config, "decoder"), str(path))
    return f"{config.latent} channels of latents; {UNRUN}"


SENTENCE = "a person walks"
UNRUN = "its size is why it was not run"
NETWORKS: dict[str, Callable[[Path], str]] = {"clip": _clip, "bert": _bert, "git": _git, "t5": _t5}
NETWORKS |= {"CogVideoXTransformer3DModel": _transformer, "AutoencoderKLCogVideoX": _vae}


def _index(path: Path) -> Iterator[Finding]:
    try:
        named = sorted(set(json.loads(path.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield problem(f"{path}: not an index of shards ({error}); fetch it again")
        return
    missing = [name for name in named if not (path.parent / name).is_file()]
    if missing:
        yield problem(f"{path} names {len(named)} shards, and {len(missing)} are missing: {', '.join(missing[:5])}")
    else:
        yield ok(f"{path}: all {len(named)} shards are there")
