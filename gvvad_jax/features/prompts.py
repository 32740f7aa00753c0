"""Prompt banks (LAP, arXiv 2403.01169): sentence vectors of what an anomaly may look like, one row a prompt, in a .npz.

`vectors` float32 [P, E], as the sentence encoder gave them (published ones are no unit vectors); `sentences`, P texts
or none where nobody published them; `sentence_encoder`, its identity as a JSON string.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Num

from gvvad_jax import records
from gvvad_jax.datasets import text
from gvvad_jax.features import sentences as sentence_vectors
from gvvad_jax.features.published import layouts


class Bank(NamedTuple):
    """A bank as it is read; `encoder` is the sentence encoder's name, empty where the file has none."""

    vectors: Float32[np.ndarray, "prompts width"]
    sentences: tuple[str, ...]
    encoder: str


def read_bank(path: str | Path) -> Bank:
    """The bank in a file of tools/prompt_bank.py; any other file: ValueError that names it."""
    return _read(Path(path))[0]


def read_identity(path: str | Path) -> dict[str, Any]:
    """All that a bank says of its sentence encoder, nothing where nobody wrote it down."""
    return _read(Path(path))[1]


def _read(path: Path) -> tuple[Bank, dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            vectors, sentences = file["vectors"], file["sentences"] if "sentences" in file.files else ()
            identity = dict(json.loads(str(file["sentence_encoder"]))) if "sentence_encoder" in file.files else {}
            texts, name = tuple(str(sentence) for sentence in sentences), str(identity.get("name") or "")
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no prompt bank ({' '.join(str(error).split())}); make one with tools/prompt_bank.py."
        ) from None
    return Bank(_checked(vectors, texts, str(path)), texts, name), identity


def write_bank(
    path: str | Path,
    vectors: Num[np.ndarray, "prompts width"],
    sentences: Sequence[str] = (),
    sentence_encoder: Mapping[str, Any] | None = None,
) -> None:
    """Writes a bank, whole or not at all."""
    path = Path(path)
    checked = _checked(vectors, sentences, str(path))
    identity = json.dumps(dict(sentence_encoder or {}), ensure_ascii=False, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with records.atomic_write(path) as file:
        np.savez(file, vectors=checked, sentences=np.array(list(sentences), dtype=str), sentence_encoder=identity)


def import_array(source: str | Path, out: str | Path, text_encoder_name: str) -> Bank:
    """Makes a bank of a published array [P, E], whose sentences nobody keeps with it."""
    source = Path(source)
    if not source.is_file():
        raise FileNotFoundError(f"no file {source}; name a published array of prompt vectors (.npy).")
    vectors = _checked(layouts.load(source, source.stem), (), str(source))
    write_bank(out, vectors, (), {"name": text_encoder_name} if text_encoder_name else {})
    return Bank(vectors, (), text_encoder_name)


def embed(source: str | Path, out: str | Path, weights: str | Path | None = None, text_encoder_name: str = "") -> Bank:
    """Makes a bank of a text file, a prompt a line (blank lines are none), with the sentence encoder in `weights`."""
    source = Path(source)
    if not source.is_file():
        raise FileNotFoundError(f"no file {source}; name a text file with a prompt a line.")
    prompts = [line for _, line in text.lines(source)]
    if not prompts:
        raise ValueError(f"{source} is empty; write a prompt a line.")
    encoder = sentence_vectors.create(weights)
    identity = encoder.identity | ({"name": text_encoder_name} if text_encoder_name else {})
    vectors = encoder(prompts)
    write_bank(out, vectors, prompts, identity)
    return Bank(vectors, tuple(prompts), identity["name"])


def _checked(
    vectors: Num[np.ndarray, "*shape"], sentences: Sequence[str], what: str
) -> Float32[np.ndarray, "prompts width"]:
    if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"{what}: {vectors.dtype} of shape {list(vectors.shape)}, but a prompt bank is [prompts, width] numbers."
        )
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"{what}: prompt {row} has NaN or infinite values; embed it again.")
    if sentences and len(sentences) != len(vectors):
        raise ValueError(f"{what}: {len(sentences)} sentences but {len(vectors)} vectors; give one of each a prompt.")
    return vectors
