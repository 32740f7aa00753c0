"""The encoder of T5 v1.1 (Raffel et al., 2020; Shazeer, 2020): prompts to token ids, and these to states.

Pre-norm layers with RMS norms, no bias anywhere and no 1/√d; positions enter as one bias on the scores that all layers
share, looked up by bucketed distance. CogVideoX calls it without a mask: the padding is attended to.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sentencepiece
import tokenizers
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, Int32, Shaped

from gvvad_jax.models import sizes
from gvvad_jax.nn.blocks import matmul
from gvvad_jax.weights import folder, tables

WHAT = "a T5 v1.1 encoder"
PAD, END = 0, 1
TOKENIZERS = ("tokenizer.json", "spiece.model")
LENGTH = 226  # tokens of a prompt of CogVideoX
DEFAULTS = dict(relative_attention_num_buckets=32, relative_attention_max_distance=128, layer_norm_epsilon=1e-6)
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")  # two names of one array; files have either or both


@dataclass(frozen=True)
class Config:
    """What of config.json shapes the network."""

    vocabulary: int
    width: int
    head_width: int
    inner: int
    layers: int
    heads: int
    buckets: int
    distance: int
    epsilon: float

    @classmethod
    def of(cls, found: Mapping[str, Any], where: str) -> "Config":
        """From a Hugging Face config; the first T5, whose layers are not gated, is refused."""
        layers = found.get("feed_forward_proj")
        if layers != "gated-gelu":
            raise ValueError(f"{where}: feed_forward_proj is {layers!r}, but {WHAT} has 'gated-gelu'.")
        names = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")
        found = DEFAULTS | dict(found)
        return cls(
            *(sizes.whole(found, name, where) for name in names),
            buckets=sizes.whole(found, "relative_attention_num_buckets", where, least=4),
            distance=sizes.whole(found, "relative_attention_max_distance", where),
            epsilon=sizes.epsilon(found, "layer_norm_epsilon", where),
        )


class Layers(nnx.Module):
    """x += out(attention(norm1 x)); x += wo(gelu(wi_0 h) · wi_1 h), h = norm2 x; stacked by layer."""

    def __init__(self, config: Config, dtype: Any):
        def zeros(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros((config.layers, *shape), dtype))

        joined = config.heads * config.head_width
        self.norm1, self.norm2 = zeros(config.width), zeros(config.width)
        self.qkv, self.out = zeros(config.width, 3 * joined), zeros(joined, config.width)
        self.wi, self.wo = zeros(config.width, 2 * config.inner), zeros(config.inner, config.width)


class T5(nnx.Module):
    """Token ids to the last layer's states; `dtype` is that of parameters and states."""

    def __init__(self, config: Config, dtype: Any = jnp.float32):
        self.config = config
        self.words = nnx.Param(jnp.zeros((config.vocabulary, config.width), dtype))
        self.places = nnx.Param(jnp.zeros((config.buckets, config.heads), dtype))
        self.layers = Layers(config, dtype)
        self.norm = nnx.Param(jnp.zeros(config.width, dtype))

    def __call__(
        self, ids: Int[Array | np.ndarray, "n tokens"], mask: Shaped[Array | np.ndarray, "n tokens"] | None = None
    ) -> Float[Array, "n tokens width"]:
        """States after the last norm; `mask` is 1 at tokens, 0 at padding that no token sees. None: all see all."""
        return normalise(self._scan(ids, mask, keep=False)[0], self.norm[...], self.config.epsilon)

    def states(
        self, ids: Int[Array | np.ndarray, "n tokens"], mask: Shaped[Array | np.ndarray, "n tokens"] | None = None
    ) -> Float[Array, "layers n tokens width"]:
        """Every layer's output, before the last norm."""
        return self._scan(ids, mask, keep=True)[1]

    def embed(self, ids: Int[Array | np.ndarray, "n tokens"]) -> Float[Array, "n tokens width"]:
        """Words alone, not scaled."""
        return self.words[...][jnp.asarray(ids)]

    def bias(self, tokens: int) -> Float[Array, "heads tokens tokens"]:
        """What is added to the scores of each query (rows) and key, in float32."""
        at = np.arange(tokens)
        found = self.places[...][buckets(at[None] - at[:, None], self.config.buckets, self.config.distance)]
        return found.transpose(2, 0, 1).astype(jnp.float32)

    def _scan(self, ids: Any, mask: Any, keep: bool) -> tuple[Array, Any]:
        parameters = {name: value[...] for name, value in vars(self.layers).items() if isinstance(value, nnx.Param)}
        heads, epsilon, bias = self.config.heads, self.config.epsilon, self.bias(ids.shape[1])
        visible = None if mask is None else jnp.asarray(mask).astype(bool)[:, None, None]

        def layer(x: Array, p: dict[str, Array]) -> tuple[Array, Any]:
            q, k, v = jnp.split(matmul(normalise(x, p["norm1"], epsilon), p["qkv"]), 3, -1)
            q, k, v = (part.reshape(*x.shape[:2], heads, -1) for part in (q, k, v))
            x = x + matmul(_attention(q, k, v, bias, visible).reshape(*x.shape[:2], -1), p["out"])
            gate, h = jnp.split(matmul(normalise(x, p["norm2"], epsilon), p["wi"]), 2, -1)
            x = x + matmul(jax.nn.gelu(gate, approximate=True) * h, p["wo"])
            return x, x if keep else None

        return lax.scan(layer, self.embed(ids), parameters)


def normalise(
    x: Float[Array, "*places width"], scale: Float[Array, " width"], epsilon: float
) -> Float[Array, "*places width"]:
    """Division by the root of the mean square, in float32; no mean is taken off."""
    wide = x.astype(jnp.float32)
    found = wide * lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + epsilon)
    return (found * scale.astype(jnp.float32)).astype(x.dtype)


def _attention(query: Array, key: Array, value: Array, bias: Array, visible: Array | None) -> Array:
    precise = lax.Precision.HIGHEST if query.dtype == jnp.float32 else None
    scores = jnp.einsum("nqhd,nkhd->nhqk", query, key, precision=precise, preferred_element_type=jnp.float32) + bias
    if visible is not None:
        scores = jnp.where(visible, scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, -1).astype(value.dtype)
    return jnp.einsum("nhqk,nkhd->nqhd", weights, value, precision=precise)


def buckets(relative: Int[np.ndarray, "*places"], count: int, distance: int) -> Int[np.ndarray, "*places"]:
    """The bucket of each key's place less its query's: half of `count` a side, near ones one by one, far ones by log.

    From `distance` on all share the last bucket of their side.
    """
    side, far = count // 2, np.abs(relative)
    exact = side // 2
    # In single precision, as the published tables were made: at powers of two the floor hangs on the last bit.
    logs = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact)) / np.float32(math.log(distance / exact))
    spread = np.minimum(exact + (logs * np.float32(side - exact)).astype(int), side - 1)
    return np.where(relative > 0, side, 0) + np.where(far < exact, far, spread)


def load(path: str | Path, dtype: Any = "float32") -> T5:
    """The network in a folder of config.json and weights, in float32 or bfloat16 whatever the file has.

    A tensor too many, too few or misshapen is a ValueError.
    """
    path, dtype = Path(path), jnp.dtype(dtype)
    if dtype not in (jnp.float32, jnp.bfloat16):
        raise ValueError(f"T5 in {dtype}, in which its states overflow; choose float32 or bfloat16.")
    config = Config.of(folder.config(path, "t5", WHAT), str(path / "config.json"))
    arrays = folder.read(path)
    model = nnx.eval_shape(lambda: T5(config, dtype))
    tables.fill(model, arrays, table(config, arrays), origin=str(path))
    return model


def table(config: Config, arrays: Mapping[str, Any]) -> list[tables.Row]:
    """From the published names to ours; `arrays` says by which names there are word vectors."""
    first, *others = [name for name in EMBEDDINGS if name in arrays] or EMBEDDINGS[:1]
    block = "encoder.block"
    rows = [tables.Row(None, (name,)) for name in others]
    rows += [
        tables.Row("words", (first,)),
        tables.Row("places", (f"{block}.0.layer.0.SelfAttention.relative_attention_bias.weight",)),
        tables.Row("norm", ("encoder.final_layer_norm.weight",)),
    ]
    parts = {
        "norm1": ["layer.0.layer_norm"],
        "qkv": [f"layer.0.SelfAttention.{name}" for name in "qkv"],
        "out": ["layer.0.SelfAttention.o"],
        "norm2": ["layer.1.layer_norm"],
        "wi": [f"layer.1.DenseReluDense.wi_{i}" for i in range(2)],
        "wo": ["layer.1.DenseReluDense.wo"],
    }
    for ours, theirs in parts.items():
        rows.append(tables.stacked(f"layers.{ours}", block, config.layers, [f"{name}.weight" for name in theirs]))
    return rows


@dataclass(frozen=True)
class Tokenizer:
    """Prompts to rows of `length` ids: their pieces, the end, padding."""

    pieces: Callable[[str], list[int]]
    length: int

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each prompt has, its end included, however long it is."""
        return [len(self.pieces(text)) + 1 for text in texts]

    def ids(self, texts: Sequence[str], cut: bool = False) -> Int32[np.ndarray, "n length"]:
        """A prompt of too many tokens is a ValueError, or with `cut` loses its last ones but for the end."""
        found = np.full((len(texts), self.length), PAD, np.int32)
        for row, text in zip(found, texts, strict=True):
            pieces = self.pieces(text)
            if len(pieces) >= self.length and not cut:
                raise ValueError(
                    f"a prompt of {len(pieces) + 1} tokens, but {self.length} are the most; shorten it: {text[:60]!r}"
                )
            ids = [*pieces[: self.length - 1], END]
            row[: len(ids)] = ids
        return found


def tokenizer_file(path: str | Path) -> Path:
    """A folder's tokenizer.json or, without one, spiece.model."""
    found = [Path(path) / name for name in TOKENIZERS]
    for file in found:
        if file.is_file():
            return file
    raise FileNotFoundError(f"{path} holds neither {' nor '.join(TOKENIZERS)}; name the folder of T5's tokenizer.")


def tokenizer(path: str | Path, length: int = LENGTH) -> Tokenizer:
    """Of a folder's `tokenizer_file`."""
    file = tokenizer_file(path)
    try:
        pieces, known = _fast(file) if file.name == TOKENIZERS[0] else _slow(file)
    except Exception as error:  # the libraries raise bare Exceptions and RuntimeErrors
        raise ValueError(f"{file} is damaged ({error}); fetch it again.") from None
    if known != (PAD, END):
        raise ValueError(f"{file} numbers padding and end {known}, but T5 has {(PAD, END)}; it is another tokenizer.")
    return Tokenizer(pieces, length)


def _fast(file: Path) -> tuple[Callable[[str], list[int]], tuple[int | None, int | None]]:
    made = tokenizers.Tokenizer.from_file(str(file))
    made.no_padding()
    made.no_truncation()
    return lambda text: made.encode(text, add_special_tokens=False).ids, (
        made.token_to_id("<pad>"),
        made.token_to_id("</s>"),
    )


def _slow(file: Path) -> tuple[Callable[[str], list[int]], tuple[int, int]]:
    made = sentencepiece.SentencePieceProcessor(model_file=str(file))
    return made.EncodeAsIds, (made.pad_id(), made.eos_id())
