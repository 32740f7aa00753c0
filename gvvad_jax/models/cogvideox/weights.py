"""From the published names of a CogVideoX transformer to ours, strictly.

Rotary forms turn neighbouring channels against each other; ours turns the two halves of a head, which accelerators do
faster. So the channels of queries and keys are put in that order here: a dot product does not see it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from gvvad_jax.models.cogvideox import config as config_file
from gvvad_jax.models.cogvideox.config import Config
from gvvad_jax.models.cogvideox.transformer import Body, Modulator
from gvvad_jax.weights import folder, tables

TABLE = "patch_embed.pos_embedding"


class Transformer(nnx.Module):
    """Both networks of one folder."""

    def __init__(self, config: Config, dtype: Any):
        self.modulator, self.body = Modulator(config, dtype), Body(config, dtype)
        self.config = config


def config(path: str | Path) -> Config:
    """Of the transformer in a diffusers folder."""
    found = folder.component(path, "config.json", (config_file.CLASS,), "a CogVideoX transformer")
    return Config.of(found, str(Path(path) / "config.json"))


def load(path: str | Path, dtype: Any = "float32") -> Transformer:
    """The network in a diffusers folder; a tensor too many, too few or misshapen is a ValueError."""
    sizes, arrays = config(path), folder.read(path, folder.DIFFUSERS)
    model = nnx.eval_shape(lambda: Transformer(sizes, jnp.dtype(dtype)))
    tables.fill(model, arrays, table(sizes, arrays), origin=str(path))
    return model


def table(config: Config, arrays: Mapping[str, Any]) -> list[tables.Row]:
    """A row a parameter of ours; `arrays` says whether a table that can be computed was stored all the same."""

    def linear(ours: str, theirs: str, make: Any = np.transpose) -> list[tables.Row]:
        return [
            tables.Row(f"{ours}.kernel", (f"{theirs}.weight",), make),
            tables.Row(f"{ours}.bias", (f"{theirs}.bias",)),
        ]

    rows = linear("modulator.time1", "time_embedding.linear_1") + linear("modulator.time2", "time_embedding.linear_2")
    if config.ofs_width is not None:
        rows += linear("modulator.ofs1", "ofs_embedding.linear_1") + linear("modulator.ofs2", "ofs_embedding.linear_2")
    rows += linear("modulator.out", "norm_out.linear")
    # Features of a patch are (channel, frame, row, column) in both the convolution and the dense form.
    rows += linear("body.patches", "patch_embed.proj", lambda w: w.reshape(len(w), -1).T)
    rows += linear("body.text", "patch_embed.text_proj") + linear("body.projection", "proj_out")
    for ours, theirs in (("final", "norm_final"), ("last", "norm_out.norm")):
        rows.append(tables.Row(f"body.{ours}.scale", (f"{theirs}.weight",)))
        rows.append(tables.Row(f"body.{ours}.bias", (f"{theirs}.bias",)))
    if config.has_table:
        rows.append(tables.Row("body.table", (TABLE,), lambda x: x[0]))
    elif TABLE in arrays:
        rows.append(tables.Row(None, (TABLE,)))
    return rows + _blocks(config)


def _blocks(config: Config) -> list[tables.Row]:
    layers, theirs = config.layers, "transformer_blocks"

    def stacked(ours: str, *parts: str) -> tables.Row:
        return tables.stacked(ours, theirs, layers, parts)

    rows = []
    for kind, suffix in (("kernel", "weight"), ("bias", "bias")):
        rows += [
            stacked(f"modulator.first_{kind}", f"norm1.linear.{suffix}"),
            stacked(f"modulator.second_{kind}", f"norm2.linear.{suffix}"),
            stacked(f"body.out_{kind}", f"attn1.to_out.0.{suffix}"),
            stacked(f"body.fc1_{kind}", f"ff.net.0.proj.{suffix}"),
            stacked(f"body.fc2_{kind}", f"ff.net.2.{suffix}"),
            _in_halves(config, stacked(f"body.qkv_{kind}", *(f"attn1.to_{x}.{suffix}" for x in "qkv")), 2),
        ]
    for kind, suffix in (("scale", "weight"), ("bias", "bias")):
        rows += [stacked(f"body.norm{i}_{kind}", f"norm{i}.norm.{suffix}") for i in (1, 2)]
        rows += [
            _in_halves(config, stacked(f"body.{ours}_{kind}", f"attn1.norm_{x}.{suffix}"), 1)
            for ours, x in (("query", "q"), ("key", "k"))
        ]
    return rows


def _in_halves(config: Config, row: tables.Row, parts: int) -> tables.Row:
    """Even channels of each head before odd ones, in the first `parts` blocks of columns: queries' and keys'."""
    if not config.is_rotary:
        return row
    head = config.head_width
    order = np.concatenate([np.arange(0, head, 2), np.arange(1, head, 2)])

    def make(*arrays: np.ndarray) -> np.ndarray:
        found = row.make(*arrays)
        columns = np.arange(found.shape[-1])
        turned = columns[: parts * config.width] if parts > 1 else columns
        turned = turned.reshape(-1, head)[:, order].reshape(-1)
        return found[..., np.concatenate([turned, columns[len(turned) :]])]

    return tables.Row(row.target, row.sources, make)
