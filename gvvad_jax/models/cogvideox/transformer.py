"""CogVideoX's expert transformer: text and video tokens in one sequence, modulated by the time step, text first.

Two networks: `Modulator` turns time steps into every block's shifts, scales and gates, so that all steps of a clip can
be done before the first; `Body` is the rest and never sees a time step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, struct
from jax import lax
from jaxtyping import Array, Float, Shaped

from gvvad_jax.models.cogvideox import positions
from gvvad_jax.models.cogvideox.config import Config
from gvvad_jax.models.cogvideox.layout import ONE_DEVICE, Layout
from gvvad_jax.nn.blocks import Dense, Norm, matmul, normalise

OFS = 2.0  # what version 1.5's image-to-video is told of its image's strength
HEAD_EPSILON = 1e-6  # of the norms over queries and keys, whatever the config says of the others
VIDEO, TEXT = 0, 3  # where shift, scale and gate of each begin among a modulation's six


class Modulation(NamedTuple):
    """Of n time steps: for video, then text, (shift, scale, gate) before attention and before the inner layers."""

    first: Float[Array, "n layers 6 width"]
    second: Float[Array, "n layers 6 width"]
    out: Float[Array, "n 2 width"]  # (shift, scale) before the last projection


class Places(struct.PyTreeNode):
    """What the tokens of one size are: `text` of text, video up to `count`, padding up to `total`."""

    table: Float[Array | np.ndarray, "total width"] | None  # added to tokens
    turns: Float[Array | np.ndarray, "2 total half"] | None  # cosine and sine for queries and keys; (1, 0): not turned
    text: int = struct.field(pytree_node=False)
    count: int = struct.field(pytree_node=False)
    total: int = struct.field(pytree_node=False)


class Modulator(nnx.Module):
    """Time steps to the modulations of every block and of the end."""

    def __init__(self, config: Config, dtype: Any):
        width, time = config.width, config.time_width
        self.config = config
        self.time1, self.time2 = Dense(width, time, dtype), Dense(time, time, dtype)
        ofs = config.ofs_width
        self.ofs1 = nnx.data(None if ofs is None else Dense(ofs, ofs, dtype))
        self.ofs2 = nnx.data(None if ofs is None else Dense(ofs, ofs, dtype))
        self.first_kernel, self.second_kernel = (
            nnx.Param(jnp.zeros((config.layers, time, 6 * width), dtype)) for _ in range(2)
        )
        self.first_bias, self.second_bias = (nnx.Param(jnp.zeros((config.layers, 6 * width), dtype)) for _ in range(2))
        self.out = Dense(time, 2 * width, dtype)

    def embed(self, timesteps: Shaped[Array | np.ndarray, " n"]) -> Float[Array, "n time"]:
        """Waves of the step through two layers; where the form has it, those of `OFS` are added."""
        found = self.time2(jax.nn.silu(self.time1(self._waves(timesteps, self.config.width))))
        if self.ofs1 is not None and self.ofs2 is not None:
            assert self.config.ofs_width is not None
            waves = self._waves(np.full(1, OFS), self.config.ofs_width)
            found = found + self.ofs2(jax.nn.silu(self.ofs1(waves)))
        return found

    def _waves(self, at: Any, width: int) -> Array:
        speeds = jnp.exp(-np.log(10000) * jnp.arange(width // 2, dtype=jnp.float32) / (width // 2))
        angles = jnp.asarray(at, jnp.float32)[:, None] * speeds
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1).astype(self.first_kernel.dtype)

    def __call__(self, timesteps: Shaped[Array | np.ndarray, " n"]) -> Modulation:
        """One row a time step, in the parameters' dtype."""
        time = jax.nn.silu(self.embed(timesteps))

        def every(kernel: Array, bias: Array) -> Array:
            _, found = lax.scan(lambda _, p: (None, matmul(time, p[0]) + p[1]), None, (kernel, bias))
            return jnp.moveaxis(found, 0, 1).reshape(len(time), self.config.layers, 6, -1)

        return Modulation(
            every(self.first_kernel[...], self.first_bias[...]),
            every(self.second_kernel[...], self.second_bias[...]),
            self.out(time).reshape(len(time), 2, -1),
        )


class Body(nnx.Module):
    """Latents and text to what the network predicts of the latents."""

    def __init__(self, config: Config, dtype: Any):
        width, layers, head = config.width, config.layers, config.head_width

        def zeros(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros((layers, *shape), dtype))

        self.config = config
        patch = config.patch**2 * config.frames_together
        self.patches = Dense(patch * config.inputs, width, dtype)
        self.text = Dense(config.text_width, width, dtype)
        grid = (config.sample_rows // config.patch) * (config.sample_columns // config.patch)
        stored = config.text_tokens + ((config.sample_frames - 1) // config.compression + 1) * grid
        self.table = nnx.data(nnx.Param(jnp.zeros((stored, width), dtype)) if config.has_table else None)
        self.norm1_scale, self.norm1_bias, self.norm2_scale, self.norm2_bias = (zeros(width) for _ in range(4))
        self.qkv_kernel, self.qkv_bias = zeros(width, 3 * width), zeros(3 * width)
        self.query_scale, self.query_bias, self.key_scale, self.key_bias = (zeros(head) for _ in range(4))
        self.out_kernel, self.out_bias = zeros(width, width), zeros(width)
        self.fc1_kernel, self.fc1_bias = zeros(width, 4 * width), zeros(4 * width)
        self.fc2_kernel, self.fc2_bias = zeros(4 * width, width), zeros(width)
        self.final, self.last = (Norm(width, config.epsilon, dtype) for _ in range(2))
        self.projection = Dense(width, patch * config.outputs, dtype)

    def encode_text(self, vectors: Float[Array | np.ndarray, "n text inputs"]) -> Float[Array, "n text width"]:
        """T5's vectors to tokens: once a clip, as no step changes them."""
        return self.text(jnp.asarray(vectors, self.text.bias.dtype))

    def __call__(
        self,
        latents: Float[Array, "n frames channels rows columns"],
        text: Float[Array, "n text width"],
        modulation: Modulation,
        places: Places,
        layout: Layout = ONE_DEVICE,
    ) -> Float[Array, "n frames outputs rows columns"]:
        """What is predicted of each latent; `modulation`: of one step for all rows, or of a step each."""
        x = self.embed(latents, text, places, layout)
        x, _ = self.blocks(x, modulation, places, layout)
        return self.end(x, modulation, latents.shape, places, layout)

    def embed(self, latents: Array, text: Array, places: Places, layout: Layout = ONE_DEVICE) -> Array:
        """[n, tokens, width]: text, then patches frame by frame and row by row, then zeros."""
        config, (n, frames, channels, rows, columns) = self.config, latents.shape
        p, t = config.patch, config.frames_together
        x = latents.astype(self.patches.bias.dtype).reshape(n, frames // t, t, channels, rows // p, p, columns // p, p)
        # A patch's features: channel slowest, then frame, row and column inside it.
        x = x.transpose(0, 1, 4, 6, 3, 2, 5, 7).reshape(n, -1, channels * t * p * p)
        x = jnp.concatenate([text, self.patches(x)], 1)
        table = places.table
        if table is None and self.table is not None:
            table = self.table[...]
        if table is not None:
            x = x + jnp.asarray(table, x.dtype)
        return layout.tokens(jnp.pad(x, ((0, 0), (0, places.total - places.count), (0, 0))))

    def blocks(
        self, x: Array, modulation: Modulation, places: Places, layout: Layout = ONE_DEVICE, keep: bool = False
    ) -> tuple[Array, Any]:
        """The last block's tokens and, with `keep`, every block's."""
        parameters = {name: value[...] for name, value in vars(self).items() if isinstance(value, nnx.Param)}
        parameters.pop("table", None)
        n = x.shape[0]
        first, second = (
            jnp.broadcast_to(jnp.moveaxis(part, 1, 0), (self.config.layers, n, *part.shape[2:]))
            for part in (modulation.first, modulation.second)
        )

        def block(x: Array, given: tuple[dict[str, Array], Array, Array]) -> tuple[Array, Any]:
            p, first, second = given
            p = jax.tree.map(layout.whole, p)
            x = layout.by_row(lambda *row: self._block(p, row, places, layout), x, first, second)
            return x, x if keep else None

        return lax.scan(block, x, (parameters, first, second))

    def _block(self, p: dict[str, Array], given: tuple[Array, ...], places: Places, layout: Layout) -> Array:
        x, first, second = given
        h, gate = self._modulated(p, "norm1", x, first, places)
        joined = (matmul(h, p["qkv_kernel"]) + p["qkv_bias"]).reshape(*x.shape[:2], 3, self.config.heads, -1)
        query = normalise(joined[:, :, 0], p["query_scale"], p["query_bias"], HEAD_EPSILON)
        key = normalise(joined[:, :, 1], p["key_scale"], p["key_bias"], HEAD_EPSILON)
        if places.turns is not None:
            query, key = (turned(part, jnp.asarray(places.turns)) for part in (query, key))
        mixed = layout.attention(query, key, joined[:, :, 2], places.count)
        x = _added(x, gate, matmul(mixed.reshape(x.shape), p["out_kernel"]) + p["out_bias"])
        h, gate = self._modulated(p, "norm2", layout.tokens(x), second, places)
        h = jax.nn.gelu(matmul(h, p["fc1_kernel"]) + p["fc1_bias"], approximate=True)
        return layout.tokens(_added(x, gate, matmul(h, p["fc2_kernel"]) + p["fc2_bias"]))

    def _modulated(self, p: dict[str, Array], name: str, x: Array, parts: Array, places: Places) -> tuple[Array, Array]:
        """One norm for all tokens; shift, scale and gate are video's or text's own."""
        is_text = (jnp.arange(places.total) < places.text)[:, None]
        shift, scale, gate = (
            jnp.where(is_text, parts[:, TEXT + i, None], parts[:, VIDEO + i, None]).astype(jnp.float32)
            for i in range(3)
        )
        h = normalise(x.astype(jnp.float32), p[f"{name}_scale"], p[f"{name}_bias"], self.config.epsilon)
        return (h * (1 + scale) + shift).astype(x.dtype), gate

    def end(
        self,
        x: Float[Array, "n tokens width"],
        modulation: Modulation,
        shape: tuple[int, ...],
        places: Places,
        layout: Layout = ONE_DEVICE,
    ) -> Float[Array, "n frames outputs rows columns"]:
        """Video tokens to what is predicted of latents of this `shape`."""
        config, (n, frames, _, rows, columns) = self.config, shape
        x = self.last(self.final(x)).astype(jnp.float32)
        x = (x * (1 + modulation.out[:, 1, None]) + modulation.out[:, 0, None]).astype(self.projection.bias.dtype)
        x = layout.whole(self.projection(x))[:, places.text : places.count]
        p, t = config.patch, config.frames_together
        x = x.reshape(n, frames // t, rows // p, columns // p, config.outputs, t, p, p)
        return x.transpose(0, 1, 5, 4, 2, 6, 3, 7).reshape(n, frames, config.outputs, rows, columns)


def _added(x: Array, gate: Array, change: Array) -> Array:
    return (x.astype(jnp.float32) + gate * change.astype(jnp.float32)).astype(x.dtype)


def turned(
    x: Float[Array, "n tokens heads width"], turns: Float[Array, "2 tokens half"]
) -> Float[Array, "n tokens heads width"]:
    """Rotates channel i against i + width/2: loading put each published pair of neighbours there (see `weights`)."""
    cosine, sine = turns[:, :, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1).astype(x.dtype)


def places(config: Config, frames: int, rows: int, columns: int, layout: Layout = ONE_DEVICE) -> Places:
    """Of latents of this size.

    A stored table is of the native size alone: another size is a ValueError, but another number of frames falls back to
    the sin-cos table without a word, as published.
    """
    p, t = config.patch, config.frames_together
    if rows % p or columns % p or frames % t:
        raise ValueError(f"{frames} latent frames of {columns}x{rows} do not divide into patches of {p}x{p}, {t} deep.")
    grid = (frames // t, rows // p, columns // p)
    base = (config.sample_rows // p, config.sample_columns // p)
    text, count = config.text_tokens, config.text_tokens + int(np.prod(grid))
    table = turns = None
    if config.has_table and (rows, columns) != (config.sample_rows, config.sample_columns):
        raise ValueError(
            f"latents of {columns}x{rows}, but this network's table of positions is for "
            f"{config.sample_columns}x{config.sample_rows} alone."
        )
    native_frames = (config.sample_frames - 1) // config.compression + 1
    if (config.has_table and frames != native_frames) or not (config.is_rotary or config.has_table):
        found = positions.sin_cos(config.width, *grid, config.spatial_scale, config.temporal_scale)
        table = np.pad(found, ((text, 0), (0, 0))).astype(np.float32)
    if config.is_rotary:
        if config.frame_patch is None:
            angles = positions.cropped_angles(config.head_width, *grid, *base)
        else:
            if grid[1] > base[0] or grid[2] > base[1]:
                raise ValueError(
                    f"latents of {columns}x{rows}, but only {base[1] * p}x{base[0] * p} have positions; take a smaller "
                    "height or width."
                )
            angles = positions.sliced_angles(config.head_width, *grid)
        spare = ((text, layout.padded(count) - count), (0, 0))
        turns = np.stack([np.pad(np.cos(angles), spare, constant_values=1), np.pad(np.sin(angles), spare)])
    return Places(table, turns, text, count, layout.padded(count))
