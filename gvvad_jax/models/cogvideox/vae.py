"""CogVideoX's 3-D causal VAE: video to latents of 1/8 the rows and columns and 1/4 the frames, and back.

A video goes through in pieces of 2 latent frames (8 frames); an odd one more joins the first piece. The pieces are
part of the function: every normalisation's statistics are a piece's own, so other pieces give other values.

Decoding 60x90 latents in bfloat16, the first piece needs 10.5 GiB of a TPU v5e and every later one 9.9, weights and
2.6 GiB of caches included (compiled ahead of time, not run).
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32

from gvvad_jax.models.cogvideox import vae_layers as layers
from gvvad_jax.models.cogvideox import vae_tiles
from gvvad_jax.models.cogvideox.layout import ONE_DEVICE, Layout
from gvvad_jax.models.cogvideox.vae_layers import Caches, Video
from gvvad_jax.models.cogvideox.vae_tiles import Side, Tiles
from gvvad_jax.weights import folder, tables

CLASS, WHAT = "AutoencoderKLCogVideoX", "CogVideoX's VAE"
LATENT_FRAMES, FRAMES = 2, 8  # of a piece
MID = 2  # resnets in the middle
LOGVAR = (-30.0, 20.0)
EPSILON = 1e-6  # config.json's norm_eps is for the encoder's resnets alone
PARTS = ("decoder", "encoder")
SAMPLE = (480, 720)  # height and width by which tiles go where config.json, as early ones may, does not say


@dataclass(frozen=True)
class Config:
    """What of config.json shapes the network or is needed beside it."""

    channels: tuple[int, ...]
    layers: int
    latent: int
    groups: int
    epsilon: float
    time_levels: int
    scaling_factor: float
    invert_scale_latents: bool
    rows: int
    columns: int

    @classmethod
    def of(cls, found: Mapping[str, Any], where: str) -> "Config":
        """From a diffusers config; what this network does not do is a ValueError that names `where`."""
        try:
            channels = tuple(int(width) for width in found["block_out_channels"])
            made = cls(
                channels=channels,
                layers=int(found["layers_per_block"]),
                latent=int(found["latent_channels"]),
                groups=int(found["norm_num_groups"]),
                epsilon=float(found["norm_eps"]),
                time_levels=int(found["temporal_compression_ratio"]).bit_length() - 1,
                scaling_factor=float(found["scaling_factor"]),
                invert_scale_latents=bool(found.get("invert_scale_latents", False)),
                rows=int(found.get("sample_height", SAMPLE[0])),
                columns=int(found.get("sample_width", SAMPLE[1])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where} lacks a size, or it is no number ({error}); fetch it again.") from None
        wanted = {"act_fn": "silu", "in_channels": 3, "out_channels": 3, "use_quant_conv": False}
        wanted |= {"use_post_quant_conv": False, "temporal_compression_ratio": 2**made.time_levels}
        wanted |= {"down_block_types": ["CogVideoXDownBlock3D"] * len(channels)}
        wanted |= {"up_block_types": ["CogVideoXUpBlock3D"] * len(channels)}
        for key, value in wanted.items():
            if found.get(key, value) != value:
                raise ValueError(f"{where}: {key} is {found[key]!r}, but this network has {value!r}.")
        if made.scaling_factor == 0 or made.groups < 1:
            raise ValueError(f"{where}: scaling_factor and norm_num_groups cannot be 0; fetch it again.")
        if any(width % made.groups for width in channels):
            raise ValueError(f"{where}: channels {channels} do not divide into {made.groups} groups; fetch it again.")
        return made

    @property
    def shrink(self) -> int:
        """How many rows of a video one of the latents stands for."""
        return 2 ** (len(self.channels) - 1)


class Decoder(nnx.Module):
    """Latents to frames in [-1, 1] or a little outside."""

    def __init__(self, config: Config, dtype: Any = jnp.float32):
        def norm(channels: int) -> layers.SpatialNorm:
            return layers.SpatialNorm(channels, config.latent, config.groups, EPSILON, dtype)

        widths = config.channels[::-1]
        self.conv_in = layers.CausalConv("conv_in", config.latent, widths[0], dtype)
        self.mid = _resnets("mid", MID, widths[0], widths[0], norm, dtype)
        self.blocks = nnx.List(
            _resnets(f"blocks.{i}", config.layers + 1, widths[max(i - 1, 0)], width, norm, dtype)
            for i, width in enumerate(widths)
        )
        self.samplers = nnx.List(
            layers.Upsample(width, i < config.time_levels, dtype) for i, width in enumerate(widths[:-1])
        )
        self.norm_out = norm(widths[-1])
        self.conv_out = layers.CausalConv("conv_out", widths[-1], 3, dtype)

    def __call__(self, z: Video, old: Caches | None = None) -> tuple[Video, Caches]:
        """One piece: its frames, and what the next needs; without `old` a video begins."""
        new: Caches = {}
        latents = layers.split(z)
        x = self.conv_in(latents, old, new)
        for resnet in self.mid:
            x = resnet(x, latents, old, new)
        for i, block in enumerate(self.blocks):
            for resnet in block:
                x = resnet(x, latents, old, new)
            if i < len(self.samplers):
                x = self.samplers[i](x)
        return jnp.concatenate(self.conv_out(self.norm_out(x, latents), old, new), 1), new


class Encoder(nnx.Module):
    """Frames in [-1, 1] to the latents' mean and log-variance, one after the other on the last axis."""

    def __init__(self, config: Config, dtype: Any = jnp.float32):
        def norm(channels: int) -> layers.Norm:
            return layers.Norm(channels, config.groups, config.epsilon, dtype)

        widths = config.channels
        self.conv_in = layers.CausalConv("conv_in", 3, widths[0], dtype)
        self.blocks = nnx.List(
            _resnets(f"blocks.{i}", config.layers, widths[max(i - 1, 0)], width, norm, dtype)
            for i, width in enumerate(widths)
        )
        self.samplers = nnx.List(
            layers.Downsample(width, i < config.time_levels, dtype) for i, width in enumerate(widths[:-1])
        )
        self.mid = _resnets("mid", MID, widths[-1], widths[-1], norm, dtype)
        self.norm_out = layers.Norm(widths[-1], config.groups, EPSILON, dtype)
        self.conv_out = layers.CausalConv("conv_out", widths[-1], 2 * config.latent, dtype)

    def __call__(self, video: Video, old: Caches | None = None) -> tuple[Video, Caches]:
        """One piece: its moments, and what the next needs; without `old` a video begins."""
        new: Caches = {}
        x = self.conv_in(layers.split(video), old, new)
        for i, block in enumerate(self.blocks):
            for resnet in block:
                x = resnet(x, None, old, new)
            if i < len(self.samplers):
                x = self.samplers[i](x)
        for resnet in self.mid:
            x = resnet(x, None, old, new)
        return jnp.concatenate(self.conv_out(self.norm_out(x), old, new), 1), new


def _resnets(name: str, count: int, inputs: int, outputs: int, norm: Callable[[int], Any], dtype: Any) -> nnx.List:
    return nnx.List(layers.Resnet(f"{name}.{i}", outputs if i else inputs, outputs, norm, dtype) for i in range(count))


@dataclass(frozen=True)
class Network:
    """A Decoder or an Encoder as pure functions of its weights, which may be abstract."""

    graph: nnx.GraphDef
    params: nnx.State
    layout: Layout = ONE_DEVICE

    @classmethod
    def of(cls, module: Decoder | Encoder, layout: Layout = ONE_DEVICE) -> "Network":
        """The module, split."""
        return cls(*nnx.split(module), layout)

    def first(self, params: nnx.State, x: Video) -> tuple[Video, Caches]:
        """The piece that begins a video; compiled once a shape."""
        return _first(self.graph, self.layout, params, x)

    def next(self, params: nnx.State, caches: Caches, x: Video) -> tuple[Video, Caches]:
        """Any later piece; the caches keep their shapes, and those given are used up."""
        return _next(self.graph, self.layout, params, caches, x)

    @property
    def dtype(self) -> Any:
        """Of the weights, so of everything in between."""
        return jax.tree.leaves(self.params)[0].dtype

    def caches(self, shape: tuple[int, ...]) -> dict[str, jax.ShapeDtypeStruct]:
        """What the first piece, of this shape, leaves behind; computes nothing."""
        return jax.eval_shape(self.first, self.params, jax.ShapeDtypeStruct(shape, self.dtype))[1]

    def run(self, x: Array | np.ndarray, sizes: Sequence[int]) -> Iterator[Array]:
        """The outputs for pieces of so many frames, each dispatched when it is asked for."""
        caches, start = None, 0
        for size in sizes:
            piece = jnp.asarray(x[:, start : start + size], self.dtype)
            piece = jax.device_put(piece, self.layout.picture(piece.shape))
            out, caches = self.next(self.params, caches, piece) if caches else self.first(self.params, piece)
            start += size
            yield out


@functools.partial(jax.jit, static_argnums=(0, 1))
def _first(graph: nnx.GraphDef, layout: Layout, params: nnx.State, x: Video) -> tuple[Video, Caches]:
    return _laid(layout, *nnx.merge(graph, params)(x))


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=3)
def _next(graph: nnx.GraphDef, layout: Layout, params: nnx.State, caches: Caches, x: Video) -> tuple[Video, Caches]:
    return _laid(layout, *nnx.merge(graph, params)(x, caches))


def _laid(layout: Layout, out: Video, caches: Caches) -> tuple[Video, Caches]:
    """Pins caches where their pictures lie: left to the compiler, each piece's might lie elsewhere."""
    if layout.mesh is None:
        return out, caches
    return out, {
        name: lax.with_sharding_constraint(cache, layout.picture(cache.shape)) for name, cache in caches.items()
    }


@dataclass(frozen=True)
class Vae:
    """The network with its weights; `encoder` is None where only the decoder was loaded."""

    config: Config
    decoder: Network
    encoder: Network | None

    def decode(
        self, latents: Float[Array | np.ndarray, "videos frames rows columns channels"], tiles: Tiles | None = None
    ) -> Float32[np.ndarray, "videos n height width 3"]:
        """Frames of latents (the scaling factor already off): 8N + 1 of an odd 2N + 1, but 8N of an even 2N.

        Video by video and piece by piece, each copied to the host while the next is made; `tiles` need less memory
        and give other values.
        """
        _refuse(latents, self.config.latent, 1, "latents")
        return _each(self.decoder, latents, LATENT_FRAMES, tiles and tiles.decoding(self.config.shrink))

    def encode(
        self, video: Float[Array | np.ndarray, "videos n height width channels"], tiles: Tiles | None = None
    ) -> tuple[Float32[np.ndarray, "videos frames rows columns latent"], ...]:
        """Mean and log-variance of the latents of frames in [-1, 1]; rows and columns are whole multiples of 8."""
        if self.encoder is None:
            raise ValueError("this VAE was loaded without its encoder; load it whole.")
        _refuse(video, 3, self.config.shrink, "a video")
        moments = _each(self.encoder, video, FRAMES, tiles and tiles.encoding(self.config.shrink))
        return moments[..., : self.config.latent], np.clip(moments[..., self.config.latent :], *LOGVAR)

    @property
    def tiles(self) -> Tiles:
        """Those of the published program: half the rows and columns the network was made for."""
        return Tiles(self.config.rows // 2, self.config.columns // 2)


def _each(network: Network, videos: Any, usual: int, sides: tuple[Side, Side] | None) -> np.ndarray:
    """Video by video: whole, or in tiles where `videos` are larger than one."""
    sizes = pieces(videos.shape[1], usual)

    def run(video: Any) -> np.ndarray:
        return _fetched(network.run(video[None], sizes))

    if sides is None or (videos.shape[2] <= sides[0].tile and videos.shape[3] <= sides[1].tile):
        return np.stack([run(video) for video in videos])
    return np.stack([vae_tiles.tiled(run, np.asarray(video), sides) for video in videos])


def pieces(frames: int, usual: int) -> list[int]:
    """Frames of each piece: the usual number, and what is left over in the first."""
    count = max(frames // usual, 1)
    return [frames - usual * (count - 1)] + [usual] * (count - 1)


def _fetched(outputs: Iterator[Array]) -> np.ndarray:
    """One video's outputs on the host; each is fetched when the next has been dispatched."""
    found, last = [], None
    for output in outputs:
        if last is not None:
            found.append(np.asarray(last, np.float32))
        last = output
    return np.concatenate([*found, np.asarray(last, np.float32)], 1)[0]


def _refuse(x: Array | np.ndarray, channels: int, multiple: int, what: str) -> None:
    if 0 in x.shape or x.shape[-1] != channels or x.shape[2] % multiple or x.shape[3] % multiple:
        whole = f", rows and columns multiples of {multiple}" if multiple > 1 else ""
        raise ValueError(
            f"{what} of shape {x.shape}, but [videos, frames, rows, columns, {channels}] is needed, none empty{whole}."
        )


def load(path: str | Path, dtype: Any = "float32", layout: Layout = ONE_DEVICE) -> Vae:
    """The VAE in a diffusers folder; a tensor too many, too few or misshapen is a ValueError."""
    config, networks = _load(path, dtype, PARTS, layout)
    return Vae(config, *networks)


def load_decoder(path: str | Path, dtype: Any = "float32", layout: Layout = ONE_DEVICE) -> Vae:
    """As `load`, but the encoder's weights are never read."""
    config, networks = _load(path, dtype, PARTS[:1], layout)
    return Vae(config, networks[0], None)


def _load(path: str | Path, dtype: Any, parts: Sequence[str], layout: Layout) -> tuple[Config, list[Network]]:
    found = folder.component(path, "config.json", [CLASS], WHAT)
    config = Config.of(found, str(Path(path) / "config.json"))
    arrays = folder.read(path, stem=folder.DIFFUSERS)
    networks = []
    for part in parts:
        module = abstract(config, part, dtype)
        tables.fill(module, arrays, table(config, part), origin=str(path))
        network = Network.of(module, layout)
        networks.append(dataclasses.replace(network, params=jax.device_put(network.params, layout.everywhere)))
    return config, networks


def abstract(config: Config, part: str, dtype: Any) -> Decoder | Encoder:
    """The "decoder" or "encoder" with shapes in place of weights."""
    make = {"decoder": Decoder, "encoder": Encoder}[part]
    return nnx.eval_shape(lambda: make(config, jnp.dtype(dtype)))


def table(config: Config, part: str) -> list[tables.Row]:
    """From the published names of both parts to those of one, the other's known and left out."""
    other = [name for name in PARTS if name != part][0]
    unused = [tables.Row(None, row.sources) for row in _rows(config, other)]
    return _rows(config, part) + unused


def _rows(config: Config, part: str) -> list[tables.Row]:
    rows: list[tables.Row] = []

    def add(ours: str, theirs: str) -> None:
        rows.append(tables.Row(f"{ours}.kernel", (f"{theirs}.weight",), _kernel))
        rows.append(tables.Row(f"{ours}.bias", (f"{theirs}.bias",)))

    def add_norm(ours: str, theirs: str) -> None:
        inner = f"{theirs}.norm_layer" if part == "decoder" else theirs
        rows.append(tables.Row(f"{ours}.scale", (f"{inner}.weight",)))
        rows.append(tables.Row(f"{ours}.bias", (f"{inner}.bias",)))
        if part == "decoder":
            add(f"{ours}.factor", f"{theirs}.conv_y.conv")
            add(f"{ours}.shift", f"{theirs}.conv_b.conv")

    def add_resnets(ours: str, theirs: str, count: int, widens: bool = False) -> None:
        for i in range(count):
            for k in (1, 2):
                add_norm(f"{ours}.{i}.norm{k}", f"{theirs}.resnets.{i}.norm{k}")
                add(f"{ours}.{i}.conv{k}", f"{theirs}.resnets.{i}.conv{k}.conv")
        if widens:
            add(f"{ours}.0.shortcut", f"{theirs}.resnets.0.conv_shortcut")

    direction, widths = ("up", config.channels[::-1]) if part == "decoder" else ("down", config.channels)
    add("conv_in", f"{part}.conv_in.conv")
    add("conv_out", f"{part}.conv_out.conv")
    add_norm("norm_out", f"{part}.norm_out")
    add_resnets("mid", f"{part}.mid_block", MID)
    for i, width in enumerate(widths):
        theirs = f"{part}.{direction}_blocks.{i}"
        add_resnets(f"blocks.{i}", theirs, config.layers + (part == "decoder"), width != widths[max(i - 1, 0)])
        if i < len(widths) - 1:
            add(f"samplers.{i}.conv", f"{theirs}.{direction}samplers.0.conv")
    return rows


def _kernel(weight: np.ndarray) -> np.ndarray:
    """[out, in, *window] to [*window, in, out], of a window of one place to a matrix."""
    window = tuple(range(2, weight.ndim))
    if all(weight.shape[axis] == 1 for axis in window):
        return weight.reshape(weight.shape[:2]).T
    return weight.transpose(*window, 1, 0)
