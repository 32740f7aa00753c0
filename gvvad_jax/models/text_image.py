"""CLIP with its tokenizer and its preprocessing: pictures and sentences to vectors of one space, and what they say of
an anomaly without any training (zero-shot): which of fixed sentences of both kinds a picture is nearer to."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tokenizers
from flax import nnx
from jaxtyping import Float, Float32, Int32, UInt8
from tokenizers import normalizers, pre_tokenizers, processors

from gvvad_jax.models import clip
from gvvad_jax.weights import finite, hub

ANOMALOUS = (
    "a surveillance video of people fighting",
    "a surveillance video of a traffic accident",
    "a surveillance video of an explosion or a fire",
    "a surveillance video of a robbery or a burglary",
    "a surveillance video of a person who falls or is hurt",
)
NORMAL = (
    "a surveillance video of people walking quietly",
    "a surveillance video of ordinary traffic",
    "a surveillance video of an empty place",
    "a surveillance video of people standing and talking",
    "a surveillance video of people shopping",
)
BATCH = 16  # pictures or sentences a call
FILES = ("tokenizer.json", "vocab.json", "merges.txt")  # the first, or the other two
START, END = "<|startoftext|>", "<|endoftext|>"
# A word's parts, as CLIP cuts it: endings, letters, single digits, runs of other signs.
PARTS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class TextImage:
    """A folder (or hub name) of CLIP's weights with its tokenizer; `scale` multiplies cosines before a softmax."""

    def __init__(self, path: str | Path, model: clip.Clip | None = None):
        """ValueError or OSError where weights or tokenizer are missing or damaged; `model`: those weights, read."""
        path, half = hub.folder_of(path), jax.default_backend() != "cpu"
        if model is None:
            model = clip.load(path, "bfloat16" if half else "float32")
            finite.require(model, path)
        self.size, self.length = model.config.size, model.config.positions
        self.scale = math.exp(float(model.logit_scale[...]))
        self.tokenizer = tokenizer(path, self.length)
        table = jax.numpy.asarray(clip.table_of_pixels(*clip.pixel_statistics(path)))
        graph, self._state = nnx.split(model)
        self._images = jax.jit(lambda state, x: nnx.merge(graph, state).encode_image(clip.looked_up(table, x)))
        self._texts = jax.jit(lambda state, ids: nnx.merge(graph, state).encode_text(ids))

    def encode_images(self, pictures: UInt8[np.ndarray, "n height width 3"]) -> Float32[np.ndarray, "n projection"]:
        """One vector a picture, not normalised."""
        crops = np.stack([clip.crop(picture, self.size) for picture in pictures])
        return self._batched(self._images, crops)

    def encode_texts(self, sentences: Sequence[str]) -> Float32[np.ndarray, "n projection"]:
        """One vector a sentence, not normalised; what is past the model's length is cut off."""
        return self._batched(self._texts, self.ids(sentences))

    def ids(self, sentences: Sequence[str]) -> Int32[np.ndarray, "n length"]:
        """Token ids with start and end, padded on the right by the end."""
        return np.array([encoding.ids for encoding in self.tokenizer.encode_batch(list(sentences))], np.int32)

    def _batched(self, run: Any, rows: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            filled = np.concatenate([part, np.zeros((BATCH - len(part), *part.shape[1:]), part.dtype)])
            found.append(np.asarray(run(self._state, filled))[: len(part)])
        return np.concatenate(found)


def unit(vectors: Float[np.ndarray, "*places width"]) -> Float32[np.ndarray, "*places width"]:
    """Of length 1; a zero vector stays."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def anomaly(
    pictures: Float[np.ndarray, "n width"], banks: Sequence[Float[np.ndarray, "_ width"]], scale: float
) -> Float32[np.ndarray, " n"]:
    """The share of NORMAL and ANOMALOUS (`banks`, their vectors) that falls to the second: a probability a picture."""
    logits = scale * (unit(pictures) @ unit(np.concatenate(banks)).T).astype(np.float64)
    # Of published models all cosines are near 0.2 and the scale is 100: less the highest, else every weight is nothing.
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return (weights[:, len(banks[0]) :].sum(1) / weights.sum(1)).astype(np.float32)


def has_tokenizer(path: Path) -> bool:
    """Whether a folder holds one, in either form."""
    whole, *parts = (path / name for name in FILES)
    return whole.is_file() or all(part.is_file() for part in parts)


def tokenizer(path: str | Path, length: int) -> tokenizers.Tokenizer:
    """The folder's tokenizer.json, or one of its vocab.json and merges.txt; pads and cuts to `length` tokens."""
    path = Path(path)
    whole, vocabulary, merges = (path / name for name in FILES)
    try:
        if whole.is_file():
            found = tokenizers.Tokenizer.from_file(str(whole))
        elif has_tokenizer(path):
            found = _of_merges(vocabulary, merges)
        else:
            raise FileNotFoundError(f"{path} holds no tokenizer: tokenizer.json, or vocab.json and merges.txt; add it.")
    except OSError:
        raise
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(
            f"{path}: its tokenizer is damaged ({' '.join(str(error).split())}); fetch it again."
        ) from None
    end = found.token_to_id(END)
    if end is None:
        raise ValueError(f"{path}: its tokenizer has no {END}; it is not CLIP's.")
    found.enable_truncation(length)
    found.enable_padding(length=length, pad_id=end, pad_token=END)
    return found


def _of_merges(vocabulary: Path, merges: Path) -> tokenizers.Tokenizer:
    known = json.loads(vocabulary.read_text("utf-8"))
    lines = [tuple(line.split(" ")) for line in merges.read_text("utf-8").split("\n")]
    pairs = [(line[0], line[1]) for line in lines if len(line) == 2 and line[0] != "#version:"]
    found = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab=known,
            merges=pairs,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=END,
        )
    )
    found.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(tokenizers.Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    found.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(PARTS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    found.post_processor = processors.RobertaProcessing(
        (END, known[END]), (START, known[START]), add_prefix_space=False, trim_offsets=False
    )
    found.add_special_tokens([START, END])
    return found
