"""BERT (Devlin et al., 2019) as a sentence encoder: token ids to one vector a sentence.

Post-norm layers, learned absolute positions, token type 0 throughout. `load` reads a folder in the Hugging Face layout,
such as all-MiniLM-L6-v2 or sup-simcse-bert-base-uncased, with every tensor accounted for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from flax import nnx
from jaxtyping import Array, Bool, Float, Shaped

from gvvad_jax.models import given, sizes
from gvvad_jax.nn.blocks import Dense, Norm
from gvvad_jax.nn.post_norm import Layers
from gvvad_jax.weights import folder, tables

POOLINGS = ("pooler", "cls", "mean")
WHAT = "a BERT sentence encoder"
# Heads of pretraining that files carry beside the encoder; no vector depends on them.
UNUSED = re.compile(r"cls\.(predictions|seq_relationship)\.|(bert\.)?embeddings\.position_ids$")


@dataclass(frozen=True)
class Config:
    """What of config.json shapes the network."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    types: int
    epsilon: float

    @classmethod
    def of(cls, found: Mapping[str, Any], where: str) -> "Config":
        """From a Hugging Face config; what this network does not do is refused."""
        wanted = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
        for key, value in wanted.items():
            if found.get(key, value) != value:
                raise ValueError(f"{where}: {key} is {found[key]!r}, but this BERT is written for {value!r}.")
        names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        own = cls(
            *(sizes.whole(found, name, where) for name in names),
            positions=sizes.whole(found, "max_position_embeddings", where),
            types=sizes.whole(found, "type_vocab_size", where),
            epsilon=sizes.epsilon(found, "layer_norm_eps", where),
        )
        if own.width % own.heads:
            raise ValueError(f"{where}: {own.width} columns do not divide over {own.heads} heads; fetch it again.")
        return own


class Bert(nnx.Module):
    """Token ids to the last layer's states, and these to sentence vectors."""

    def __init__(self, config: Config, has_pooler: bool = True):
        self.config = config
        self.words = nnx.Param(jnp.zeros((config.vocabulary, config.width)))
        self.places = nnx.Param(jnp.zeros((config.positions, config.width)))
        self.types = nnx.Param(jnp.zeros((config.types, config.width)))
        self.norm = Norm(config.width, config.epsilon, jnp.float32)
        self.layers = Layers(
            config.layers, config.width, config.inner, config.heads, config.epsilon, "gelu", jnp.float32
        )
        self.pooler = nnx.data(Dense(config.width, config.width, jnp.float32) if has_pooler else None)

    def __call__(
        self, ids: Shaped[Array | np.ndarray, "n tokens"], mask: Shaped[Array | np.ndarray, "n tokens"]
    ) -> Float[Array, "n tokens width"]:
        """The last layer's states; `mask` is 1 at tokens, 0 at padding, whose states mean nothing."""
        x = self.embed(ids)
        return self.layers(x, self.visible(given.token_mask(mask, x.shape[:2])))

    def visible(self, mask: Shaped[Array | np.ndarray, "n tokens"]) -> Bool[Array, "n 1 tokens"]:
        """Which tokens every token sees: those that are no padding."""
        return jnp.asarray(mask).astype(bool)[:, None]

    def embed(self, ids: Shaped[Array | np.ndarray, "n tokens"]) -> Float[Array, "n tokens width"]:
        """Word, position and type 0 (whose row is added too: it is no zero), normalised."""
        ids = given.token_ids(ids, self.config.vocabulary, self.config.positions, "BERT")
        words = self.words[...][ids]
        return self.norm(words + self.types[...][0] + self.places[...][: ids.shape[1]])

    def pool(
        self, states: Float[Array, "n tokens width"], mask: Shaped[Array | np.ndarray, "n tokens"], pooling: str
    ) -> Float[Array, "n width"]:
        """One vector a sentence, of no certain length."""
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r}; it is one of {', '.join(POOLINGS)}.")
        if pooling == "mean":
            kept = jnp.asarray(mask)[..., None].astype(states.dtype)
            return (states * kept).sum(1) / jnp.maximum(kept.sum(1), 1e-9)
        if pooling == "cls":
            return states[:, 0]
        if self.pooler is None:
            raise ValueError("pooling='pooler', but these weights hold no pooler; use 'mean' or 'cls'.")
        return jnp.tanh(self.pooler(states[:, 0]))

    def sentence_vectors(
        self,
        ids: Shaped[Array | np.ndarray, "n tokens"],
        mask: Shaped[Array | np.ndarray, "n tokens"],
        pooling: str = "pooler",
    ) -> Float[Array, "n width"]:
        """`mean`: over the mask, [CLS] and [SEP] included, of unit length; `cls` and `pooler`: as they come."""
        vectors = self.pool(self(ids, mask), mask, pooling)
        return unit(vectors) if pooling == "mean" else vectors


def unit(vectors: Float[Array, "n width"]) -> Float[Array, "n width"]:
    """Of length 1; a zero vector stays."""
    return vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def load(path: str | Path) -> Bert:
    """The network in a folder of config.json and weights; a tensor too many or too few is a ValueError."""
    path = Path(path)
    config = Config.of(folder.config(path, "bert", WHAT), str(path / "config.json"))
    arrays = folder.read(path)
    heads = sorted(name for name in arrays if name.startswith("cls."))
    if heads:
        logging.info("%s: %d tensors of pretraining heads are not used", path, len(heads))
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in arrays else ""
    has_pooler = f"{prefix}pooler.dense.weight" in arrays
    model = nnx.eval_shape(lambda: Bert(config, has_pooler))
    tables.fill(model, arrays, table(config, arrays, prefix, has_pooler), origin=str(path))
    return model


def table(config: Config, arrays: Mapping[str, Any], prefix: str = "", has_pooler: bool = True) -> list[tables.Row]:
    """From the published names to ours; `arrays` says which of two spellings norms have, and which heads there are."""
    old = f"{prefix}embeddings.LayerNorm.gamma" in arrays
    gain, shift = ("gamma", "beta") if old else ("weight", "bias")

    def norm(theirs: str, ours: str) -> list[tables.Row]:
        return [
            tables.Row(f"{ours}.scale", (f"{prefix}{theirs}.{gain}",)),
            tables.Row(f"{ours}.bias", (f"{prefix}{theirs}.{shift}",)),
        ]

    def linear(theirs: str, ours: str) -> list[tables.Row]:
        return [
            tables.Row(f"{ours}.kernel", (f"{prefix}{theirs}.weight",), np.transpose),
            tables.Row(f"{ours}.bias", (f"{prefix}{theirs}.bias",)),
        ]

    rows = [tables.Row(None, (name,)) for name in sorted(arrays) if UNUSED.match(name)]
    for theirs, ours in (("word", "words"), ("position", "places"), ("token_type", "types")):
        rows.append(tables.Row(ours, (f"{prefix}embeddings.{theirs}_embeddings.weight",)))
    rows += norm("embeddings.LayerNorm", "norm")
    rows += post_norm_rows("layers", f"{prefix}encoder.layer", config.layers, gain, shift)
    return rows + (linear("pooler.dense", "pooler") if has_pooler else [])


def post_norm_rows(ours: str, theirs: str, layers: int, gain: str = "weight", shift: str = "bias") -> list[tables.Row]:
    """Layers under BERT's names, which GIT's decoder has too; `gain`, `shift`: how norms are spelled."""
    attention = [f"attention.self.{name}" for name in ("query", "key", "value")]
    kept: list[tuple[str, list[str]]] = [
        ("qkv_kernel", [f"{name}.weight" for name in attention]),
        ("qkv_bias", [f"{name}.bias" for name in attention]),
    ]
    for own, name in (("out", "attention.output.dense"), ("fc1", "intermediate.dense"), ("fc2", "output.dense")):
        kept += [(f"{own}_kernel", [f"{name}.weight"]), (f"{own}_bias", [f"{name}.bias"])]
    for own, name in (("norm1", "attention.output.LayerNorm"), ("norm2", "output.LayerNorm")):
        kept += [(f"{own}_scale", [f"{name}.{gain}"]), (f"{own}_bias", [f"{name}.{shift}"])]
    return [tables.stacked(f"{ours}.{own}", theirs, layers, parts) for own, parts in kept]
