"""GIT (Wang et al., 2022), such as git-base-vatex: six frames of a video to the token ids of a sentence.

CLIP's vision tower on each frame, its last norm on every token, the frame's temporal embedding, a projection; then
post-norm layers over [image tokens, text], where the image part sees itself alone and is computed once a clip.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32, Int, Int32, Shaped, UInt8
from PIL import Image

from gvvad_jax.models import clip, given
from gvvad_jax.models.bert import post_norm_rows
from gvvad_jax.nn.blocks import Norm, matmul
from gvvad_jax.nn.post_norm import Cache, Layers
from gvvad_jax.weights import folder, tables

WHAT = "GIT"
# What a published config.json may leave out.
TEXT = dict(vocab_size=30522, hidden_size=768, intermediate_size=3072, num_hidden_layers=6, num_attention_heads=12)
TEXT |= dict(max_position_embeddings=1024, hidden_act="gelu", layer_norm_eps=1e-12, num_image_with_embedding=0)
TEXT |= dict(bos_token_id=101, eos_token_id=102, pad_token_id=0)
VISION = clip.VISION | dict(patch_size=16)
IGNORED = ("git.embeddings.position_ids", "git.image_encoder.vision_model.embeddings.position_ids")
TEMPORAL = ("git.img_temperal_embedding", "git.img_temporal_embedding")  # as published; as transformers 5 writes it
HALF = (0.5, 0.5, 0.5)  # VideoMAE's mean and deviation


@dataclass(frozen=True)
class Config:
    """What of config.json shapes the network."""

    vision: clip.Tower
    text: clip.Tower
    size: int
    patch: int
    frames: int  # 0: a model of still images, without temporal embeddings
    vocabulary: int
    positions: int
    first: int
    end: int
    pad: int

    @classmethod
    def of(cls, found: Mapping[str, Any], where: str) -> "Config":
        """From a Hugging Face config; what this network does not do is refused."""
        vision, text = clip.parts((clip.part(found, "vision_config", where), found), (VISION, TEXT), where)
        ids = [text[f"{name}_token_id"] for name in ("bos", "eos", "pad")]
        if max(ids) >= text["vocab_size"]:
            raise ValueError(f"{where}: bos, eos and pad are {ids} of {text['vocab_size']} tokens; fetch it again.")
        return cls(
            vision=clip.tower(vision),
            text=clip.tower(text),
            size=vision["image_size"],
            patch=vision["patch_size"],
            frames=text["num_image_with_embedding"],
            vocabulary=text["vocab_size"],
            positions=text["max_position_embeddings"],
            first=ids[0],
            end=ids[1],
            pad=ids[2],
        )


class Git(nnx.Module):
    """The vision tower and the decoder of sentences."""

    def __init__(self, config: Config, dtype: Any = jnp.float32):
        vision, text = config.vision, config.text
        self.config = config

        def zeros(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros(shape, dtype))

        self.vision = clip.Vision(vision, config.size, config.patch, dtype)
        self.times = nnx.data(zeros(config.frames, vision.width) if config.frames else None)
        self.projection, self.projection_bias = zeros(vision.width, text.width), zeros(text.width)
        self.projection_norm = Norm(text.width, vision.epsilon, dtype)  # the vision tower's epsilon
        self.words, self.text_places = zeros(config.vocabulary, text.width), zeros(config.positions, text.width)
        self.text_norm = Norm(text.width, text.epsilon, dtype)
        self.decoder = Layers(text.layers, text.width, text.inner, text.heads, text.epsilon, text.activation, dtype)
        self.output, self.output_bias = zeros(text.width, config.vocabulary), zeros(config.vocabulary)

    def encode_video(
        self, pixels: Float[Array | np.ndarray, "n frames rows columns 3"]
    ) -> Float[Array, "n tokens width"]:
        """The frames' tokens one frame after another, as the decoder takes them."""
        size, frames = self.config.size, self.config.frames or 1
        clips = given.pixels(pixels, (frames, size, size, 3), "this GIT")
        x = self.vision.after(self.vision(clips.reshape(-1, size, size, 3)))
        tokens, width = x.shape[1:]
        x = x.reshape(len(clips), frames, tokens, width)
        if self.times is not None:
            x = x + self.times[...][:, None]
        return self.project(x.reshape(len(clips), frames * tokens, width))

    def project(self, x: Float[Array, "n tokens width"]) -> Float[Array, "n tokens out"]:
        """From the vision tower's width to the decoder's."""
        return self.projection_norm(matmul(x, self.projection[...]) + self.projection_bias[...])

    def embed_text(
        self, ids: Int[Array | np.ndarray, "n tokens"], start: Int[Array, ""] | int = 0
    ) -> Float[Array, "n tokens width"]:
        """Words with their places in the text, the first of which is `start`, normalised."""
        places = lax.dynamic_slice_in_dim(self.text_places[...], start, ids.shape[1])
        return self.text_norm(self.words[...][jnp.asarray(ids)] + places)

    def states(
        self,
        images: Float[Array, "n tokens width"],
        ids: Int[Array | np.ndarray, "n text"],
        mask: Shaped[Array | np.ndarray, "n text"] | None = None,
    ) -> Float[Array, "layers n all width"]:
        """Every decoder layer's states, of the image part and then of the text; `mask` is 0 at padded text."""
        ids = given.token_ids(ids, self.config.vocabulary, self.config.positions, WHAT)
        length = ids.shape[1]
        visible = jnp.tril(jnp.ones((1, length, length), bool))
        if mask is not None:
            visible = visible & given.token_mask(mask, ids.shape)[:, None]
        prefix, cache = self.decoder.prefix(images), self.decoder.empty(len(ids), length)
        _, text = self.decoder.text(self.embed_text(ids), 0, prefix, cache, visible)
        return jnp.concatenate([self.decoder.states(images), text], 2)

    def logits(self, states: Float[Array, "*places width"]) -> Float[Array, "*places vocabulary"]:
        """Of the last layer's states, in float32."""
        return (matmul(states, self.output[...]) + self.output_bias[...]).astype(jnp.float32)

    def caption_ids(
        self, pixels: Float[Array | np.ndarray, "n frames rows columns 3"], max_length: int = 20
    ) -> Int32[np.ndarray, "n length"]:
        """The likeliest next token each time: first token, words, end token, then padding to the longest row.

        `pixels` preprocessed, as many frames as the config says (1 for a model of still images). `max_length` counts
        the first token.
        """
        if not isinstance(max_length, int | np.integer) or not 1 <= max_length <= self.config.positions:
            raise ValueError(f"max_length={max_length}; this GIT writes 1 to {self.config.positions} tokens.")
        graph, state = nnx.split(self)
        ids, length = _greedy(graph, state, pixels if isinstance(pixels, jax.Array) else np.asarray(pixels), max_length)
        return np.asarray(ids)[:, : int(length)]

    def greedy(
        self, pixels: Float[Array, "n frames rows columns 3"], max_length: int
    ) -> tuple[Int32[Array, "n max_length"], Int32[Array, ""]]:
        """Ids padded to `max_length`, and the length of the longest row; for use under jit."""
        prefix = self.decoder.prefix(self.encode_video(pixels))
        n = len(pixels)
        ids = jnp.full((n, max_length), self.config.pad, jnp.int32).at[:, 0].set(self.config.first)
        begin = (ids, jnp.int32(1), jnp.zeros(n, bool), self.decoder.empty(n, max_length))

        def go_on(carry: tuple[Array, Array, Array, Cache]) -> Array:
            return (carry[1] < max_length) & ~carry[2].all()

        def step(carry: tuple[Array, Array, Array, Cache]) -> tuple[Array, Array, Array, Cache]:
            ids, length, is_done, cache = carry
            at = length - 1
            x = self.embed_text(lax.dynamic_slice_in_dim(ids, at, 1, 1), at)
            visible = (jnp.arange(max_length) <= at)[None, None]
            cache, states = self.decoder.text(x, at, prefix, cache, visible)
            best = self.logits(states[-1, :, 0]).argmax(-1).astype(jnp.int32)
            best = jnp.where(is_done, self.config.pad, best)
            ids = lax.dynamic_update_slice_in_dim(ids, best[:, None], length, 1)
            return ids, length + 1, is_done | (best == self.config.end), cache

        ids, length, _, _ = lax.while_loop(go_on, step, begin)
        return ids, length


@functools.partial(jax.jit, static_argnums=(0, 3))
def _greedy(graph: Any, state: Any, pixels: Array, max_length: int) -> tuple[Array, Array]:
    return nnx.merge(graph, state).greedy(pixels, max_length)


@dataclass(frozen=True)
class Pixels:
    """How a folder's preprocessor_config.json makes pixels of a frame."""

    short: int | None  # the shorter side after resizing; None: the frame is stretched to the square
    size: int
    resample: int  # Pillow's number of the filter
    mean: tuple[float, ...] = clip.MEAN
    std: tuple[float, ...] = clip.STD

    def crop(self, frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "size size 3"]:
        """Resized and cut, still in bytes."""
        if self.short is None:
            square = (self.size, self.size)
            return np.asarray(Image.fromarray(frame).resize(square, Image.Resampling(self.resample)))
        return clip.crop(frame, self.size, self.short, self.resample)

    @property
    def table(self) -> Float32[np.ndarray, "3 256"]:
        """What each byte becomes in each channel."""
        return clip.table_of_pixels(self.mean, self.std)

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "size size 3"]:
        """A frame's pixels, to the bit as the published processors'."""
        cut = self.crop(frame)
        return np.stack([values[cut[..., i]] for i, values in enumerate(self.table)], -1)


def clip_pixels(size: int) -> Pixels:
    """CLIP's, with which the published networks were trained."""
    return Pixels(size, size, Image.Resampling.BICUBIC)


def pixels(path: str | Path, size: int) -> Pixels:
    """As `clip.preprocessing` has them; where the folder says nothing, CLIP's.

    Published video folders name VideoMAE's processor: what such a file leaves out is VideoMAE's default.
    """
    found, file = clip.preprocessing(path)
    if not found:
        return clip_pixels(size)
    is_videomae = "VideoMAE" in f"{found.get('image_processor_type')} {found.get('feature_extractor_type')}"
    resample = found.get("resample", Image.Resampling.BILINEAR if is_videomae else Image.Resampling.BICUBIC)
    defaults = (HALF, HALF) if is_videomae else (clip.MEAN, clip.STD)
    mean, std = clip.statistics(found, defaults, file)
    short, square, crop = _sides(found, size)
    is_cut = found.get("do_center_crop", True)
    fits = square == size if short is None else is_cut and size == crop and size <= short
    if resample not in list(Image.Resampling) or not found.get("do_resize", True) or not fits:
        raise ValueError(
            f"{file}: size {found.get('size')}, crop {found.get('crop_size')}, filter {resample} make no frames "
            f"of {size}x{size}, which this GIT takes; fetch it again."
        )
    return Pixels(short, size, int(resample), mean, std)


def _sides(found: Mapping[str, Any], default: int) -> tuple[int | None, int | None, int | None]:
    """(shorter side, side of the square that frames are stretched to, side of the crop), None where it is none."""

    def side(value: Any) -> int | None:
        if isinstance(value, Mapping):
            value = value.get("height") if value.get("height") == value.get("width") else None
        return value if isinstance(value, int) else None

    size, crop = found.get("size", default), side(found.get("crop_size", default))
    if not isinstance(size, Mapping):
        return side(size), None, crop
    short = size.get("shortest_edge")
    return (short, None, crop) if isinstance(short, int) else (None, side(size), crop)


def load(path: str | Path, dtype: Any = "float32") -> Git:
    """The network in a folder of config.json and weights; a tensor too many, too few or misshapen is a ValueError."""
    path = Path(path)
    config = Config.of(folder.config(path, "git", WHAT), str(path / "config.json"))
    arrays = folder.read(path)
    model = nnx.eval_shape(lambda: Git(config, given.dtype(dtype)))
    tables.fill(model, arrays, table(config, arrays), origin=str(path))
    return model


def table(config: Config, arrays: Mapping[str, Any]) -> list[tables.Row]:
    """From the published names to ours; `arrays` says which of two spellings the temporal embeddings have."""
    rows = [tables.Row(None, (name,)) for name in IGNORED if name in arrays]
    if config.frames:
        spelling = next((name for name in TEMPORAL if f"{name}.0" in arrays), TEMPORAL[0])
        each = tuple(f"{spelling}.{i}" for i in range(config.frames))
        rows.append(tables.Row("times", each, lambda *parts: np.concatenate(parts)[:, 0]))
    projection = "git.visual_projection.visual_projection"
    rows += [
        tables.Row("projection", (f"{projection}.0.weight",), np.transpose),
        tables.Row("projection_bias", (f"{projection}.0.bias",)),
        tables.Row("words", ("git.embeddings.word_embeddings.weight",)),
        tables.Row("text_places", ("git.embeddings.position_embeddings.weight",)),
        tables.Row("output", ("output.weight",), np.transpose),
        tables.Row("output_bias", ("output.bias",)),
    ]
    for ours, theirs in (("projection_norm", f"{projection}.1"), ("text_norm", "git.embeddings.LayerNorm")):
        rows += [tables.Row(f"{ours}.scale", (f"{theirs}.weight",)), tables.Row(f"{ours}.bias", (f"{theirs}.bias",))]
    rows += clip.vision_rows("vision", "git.image_encoder.vision_model", config.vision.layers)
    return rows + post_norm_rows("decoder", "git.encoder.layer", config.text.layers)
