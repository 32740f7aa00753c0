"""CLIP (Radford et al., 2021): an image and a text tower into one space; `load` reads a Hugging Face folder.

Vectors come as the projections give them, not normalised, as published features are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Shaped, UInt8
from PIL import Image

from gvvad_jax.models import given, sizes
from gvvad_jax.nn.blocks import ACTIVATIONS, Blocks, Norm, matmul
from gvvad_jax.weights import folder, tables

WHAT = "CLIP"
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# What a published config.json may leave out.
TEXT = dict(vocab_size=49408, hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8)
TEXT |= dict(max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5, eos_token_id=49407)
VISION = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, num_channels=3)
VISION |= dict(image_size=224, patch_size=32, hidden_act="quick_gelu", layer_norm_eps=1e-5)
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
TOWERS = ("vision", "text")
LARGEST = 2  # an eos_token_id of 2 stands for: the largest id of the sentence
IGNORED = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")


@dataclass(frozen=True)
class Tower:
    """The sizes that both towers have."""

    width: int
    inner: int
    layers: int
    heads: int
    epsilon: float
    activation: str

    def blocks(self, dtype: Any, platform: str | None = None) -> Blocks:
        """The tower's blocks, empty."""
        return Blocks(self.layers, self.width, self.inner, self.heads, self.epsilon, self.activation, dtype, platform)


@dataclass(frozen=True)
class Config:
    """What of config.json shapes the network."""

    vision: Tower
    text: Tower
    projection: int
    size: int
    patch: int
    vocabulary: int
    positions: int
    eos: int

    @classmethod
    def of(cls, found: Mapping[str, Any], where: str) -> "Config":
        """From a Hugging Face config; of a tower's two spellings in old files `…_config_dict` counts."""
        names = [(f"{name}_config", f"{name}_config_dict") for name in TOWERS]
        spelled = [part(found, new, where) | part(found, old, where) for new, old in names]
        vision, text = parts(spelled, (VISION, TEXT), where)
        projection = {"projection_dim": found.get("projection_dim") or 512}
        return cls(
            vision=tower(vision),
            text=tower(text),
            projection=sizes.whole(projection, "projection_dim", where),
            size=vision["image_size"],
            patch=vision["patch_size"],
            vocabulary=text["vocab_size"],
            positions=text["max_position_embeddings"],
            eos=text["eos_token_id"],
        )


class Vision(nnx.Module):
    """The tower of images, GIT's too: patches behind a class token, a norm, blocks; `after` is its last norm."""

    def __init__(self, tower: Tower, size: int, patch: int, dtype: Any, platform: str | None = None):
        self.size, self.patch, self.grid = size, patch, size // patch
        self.patches = nnx.Param(jnp.zeros((3 * patch**2, tower.width), dtype))
        self.summary = nnx.Param(jnp.zeros(tower.width, dtype))
        self.places = nnx.Param(jnp.zeros((self.grid**2 + 1, tower.width), dtype))
        self.before, self.after = (Norm(tower.width, tower.epsilon, dtype) for _ in range(2))
        self.blocks = tower.blocks(dtype, platform)

    def embed(self, pixels: Float[Array | np.ndarray, "n rows columns 3"]) -> Float[Array, "n tokens width"]:
        """The class token, then the patches row by row, each with its place, before the first norm."""
        x = given.pixels(pixels, (self.size, self.size, 3), "this network").astype(self.patches.dtype)
        n, grid, patch = len(x), self.grid, self.patch
        x = x.reshape(n, grid, patch, grid, patch, 3).transpose(0, 1, 3, 2, 4, 5)
        x = matmul(x.reshape(n, grid**2, 3 * patch**2), self.patches[...])
        first = jnp.broadcast_to(self.summary[...], (n, 1, x.shape[-1]))
        return jnp.concatenate([first, x], 1) + self.places[...]

    def __call__(self, pixels: Float[Array | np.ndarray, "n rows columns 3"]) -> Float[Array, "n tokens width"]:
        """The last block's output, before `after`."""
        return self.blocks(self.before(self.embed(pixels)))


class Clip(nnx.Module):
    """Both towers; `platform`: what they are compiled for, where that is not this process's own."""

    def __init__(self, config: Config, dtype: Any = jnp.float32, platform: str | None = None):
        text = config.text
        self.config = config

        def zeros(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros(shape, dtype))

        self.vision = Vision(config.vision, config.size, config.patch, dtype, platform)
        self.words, self.text_places = zeros(config.vocabulary, text.width), zeros(config.positions, text.width)
        self.text = text.blocks(dtype, platform)
        self.text_norm = Norm(text.width, text.epsilon, dtype)
        self.image_projection = zeros(config.vision.width, config.projection)
        self.text_projection = zeros(text.width, config.projection)
        self.logit_scale = nnx.Param(jnp.zeros(()))  # a logarithm, always float32

    def encode_image(self, pixels: Float[Array | np.ndarray, "n rows columns 3"]) -> Float[Array, "n projection"]:
        """Of preprocessed images, as the projection gives it."""
        summary = self.vision.after(self.vision(pixels)[:, 0])
        return matmul(summary, self.image_projection[...]).astype(jnp.float32)

    def embed_text(self, ids: Int[Array | np.ndarray, "n tokens"]) -> Float[Array, "n tokens width"]:
        """Words with their places."""
        ids = given.token_ids(ids, self.config.vocabulary, self.config.positions, WHAT)
        return self.words[...][ids] + self.text_places[...][: ids.shape[1]]

    def visible(self, ids: Any, mask: Shaped[Array | np.ndarray, "n tokens"] | None) -> Array:
        """Which tokens each token sees: those before it that are no padding."""
        length = ids.shape[1]
        causal = jnp.tril(jnp.ones((1, length, length), bool))
        return causal if mask is None else causal & given.token_mask(mask, ids.shape)[:, None]

    def encode_text(
        self, ids: Int[Array | np.ndarray, "n tokens"], mask: Shaped[Array | np.ndarray, "n tokens"] | None = None
    ) -> Float[Array, "n projection"]:
        """Of token ids, as the projection gives it; padding on the right changes nothing."""
        ids = given.token_ids(ids, self.config.vocabulary, self.config.positions, WHAT)
        x = self.text_norm(self.text(self.embed_text(ids), self.visible(ids, mask)))
        at = jnp.argmax(ids if self.config.eos == LARGEST else ids == self.config.eos, axis=-1)
        last = jnp.take_along_axis(x, at[:, None, None], axis=1)[:, 0]
        return matmul(last, self.text_projection[...]).astype(jnp.float32)

    def logits(self, images: Float[Array, "n projection"], texts: Float[Array, "m projection"]) -> Float[Array, "n m"]:
        """Scaled cosines of images and texts."""
        images, texts = (x / jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (images, texts))
        return jnp.exp(self.logit_scale[...]) * jnp.matmul(images, texts.T, precision=jax.lax.Precision.HIGHEST)


def preprocess(
    image: UInt8[np.ndarray, "height width *channels"] | Image.Image, size: int = 224
) -> Float32[np.ndarray, "size size 3"]:
    """As CLIPImageProcessorPil, bit for bit: `crop`, then each channel less its mean over its deviation."""
    pixels = crop(image, size)
    return np.stack([values[pixels[..., i]] for i, values in enumerate(table_of_pixels())], -1)


def crop(
    image: UInt8[np.ndarray, "height width *channels"] | Image.Image,
    size: int = 224,
    short: int | None = None,
    resample: int = Image.Resampling.BICUBIC,
) -> UInt8[np.ndarray, "size size 3"]:
    """RGB over white, shorter side to `short` (as a rule `size`) by one of Pillow's filters, the centre of `size`."""
    picture = image if isinstance(image, Image.Image) else _picture(image)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    wanted, shorter = short or size, min(picture.size)
    width, height = (wanted if side == shorter else int(wanted * side / shorter) for side in picture.size)
    if (width, height) != picture.size:
        picture = picture.resize((width, height), Image.Resampling(resample))
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(picture)[top : top + size, left : left + size]


def _picture(image: Any) -> Image.Image:
    array = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[2] <= 4)):
        raise ValueError(
            f"a picture of {array.dtype} and shape {list(array.shape)}; give uint8 [height, width, 3], or Pillow's."
        )
    if not array.size:
        raise ValueError(f"a picture of shape {list(array.shape)} has no pixels.")
    return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


def table_of_pixels(mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> Float32[np.ndarray, "3 256"]:
    """What each byte becomes in each channel; looked up, for a formula inside jit gives other bits."""
    scaled = (np.arange(256) * (1 / 255)).astype(np.float32)
    mean_, std_ = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return (scaled - mean_[:, None]) / std_[:, None]


def looked_up(
    table: Float[Array, "3 256"], crops: UInt8[Array, "*places 3"], platform: str | None = None
) -> Float[Array, "*places 3"]:
    """What `table_of_pixels` says of every byte, on the device.

    Accelerators compute it, to rounding: a TPU that looked up 256 images would move 3.4 TB (their network: 0.2).
    """
    if (platform or jax.default_backend()) == "cpu":
        return table[jnp.arange(3), crops.astype(jnp.int32)]
    return crops.astype(jnp.float32) * ((table[:, -1] - table[:, 0]) / 255) + table[:, 0]


def preprocessing(path: str | Path) -> tuple[dict[str, Any], Path]:
    """What a folder says of pixels and where: preprocessor_config.json, else a part of transformers 5's file."""
    old, new = (Path(path) / name for name in PREPROCESSORS)
    if old.is_file() or not new.is_file():
        return folder.read_json(old) if old.is_file() else {}, old
    return part(folder.read_json(new), "image_processor", str(new)), new


def pixel_statistics(path: str | Path) -> Statistics:
    """Mean and standard deviation of the channels as `preprocessing` has them, else CLIP's own."""
    found, file = preprocessing(path)
    if (resample := found.get("resample", Image.Resampling.BICUBIC)) != Image.Resampling.BICUBIC:
        raise ValueError(f"{file}: resample is {resample!r}, but frames for CLIP are resized by 3, the bicubic filter.")
    return statistics(found, (MEAN, STD), file)


def statistics(found: Mapping[str, Any], defaults: Statistics, file: Path) -> Statistics:
    """Mean and standard deviation in what `file` holds; ValueError where bytes do not become pixels by them alone."""
    mean, std = (found.get(key) or own for key, own in zip(("image_mean", "image_std"), defaults, strict=True))
    triples = [x for x in (mean, std) if isinstance(x, list | tuple) and len(x) == 3]
    numbers = [x for triple in triples for x in triple if type(x) in (int, float) and math.isfinite(x)]
    if len(numbers) < 6 or min(std) <= 0:
        raise ValueError(f"{file}: image_mean and image_std are not three numbers each; fetch it again.")
    factor = found.get("rescale_factor", 1 / 255)
    if type(factor) not in (int, float) or abs(255 * factor - 1) > 1e-3:
        raise ValueError(f"{file}: rescale_factor is {factor!r}, but bytes are divided by 255; fetch it again.")
    if missing := [step for step in ("rescale", "normalize") if found.get(f"do_{step}") is False]:
        raise ValueError(f"{file}: do_{missing[0]} is off, but no network here takes such pixels; fetch it again.")
    return tuple(map(float, mean)), tuple(map(float, std))


def load(path: str | Path, dtype: Any = "float32") -> Clip:
    """The network in a folder of config.json and weights; a tensor too many, too few or misshapen is a ValueError."""
    path = Path(path)
    config = Config.of(folder.config(path, "clip", WHAT), str(path / "config.json"))
    arrays = folder.read(path)
    model = nnx.eval_shape(lambda: Clip(config, given.dtype(dtype)))
    tables.fill(model, arrays, table(config, arrays), origin=str(path))
    return model


def table(config: Config, arrays: Mapping[str, Any]) -> list[tables.Row]:
    """From the published names to ours."""
    text = "text_model.embeddings"
    rows = [tables.Row(None, (name,)) for name in IGNORED if name in arrays]
    rows += [
        tables.Row("words", (f"{text}.token_embedding.weight",)),
        tables.Row("text_places", (f"{text}.position_embedding.weight",)),
        tables.Row("image_projection", ("visual_projection.weight",), np.transpose),
        tables.Row("text_projection", ("text_projection.weight",), np.transpose),
        tables.Row("logit_scale", ("logit_scale",)),
        tables.Row("text_norm.scale", ("text_model.final_layer_norm.weight",)),
        tables.Row("text_norm.bias", ("text_model.final_layer_norm.bias",)),
    ]
    rows += vision_rows("vision", "vision_model", config.vision.layers)
    return rows + block_rows("text", "text_model.encoder.layers", config.text.layers)


def vision_rows(ours: str, theirs: str, layers: int) -> list[tables.Row]:
    """A tower of images."""
    embeddings = f"{theirs}.embeddings"
    rows = [
        tables.Row(
            f"{ours}.patches",
            (f"{embeddings}.patch_embedding.weight",),
            _patches,
        ),
        tables.Row(f"{ours}.summary", (f"{embeddings}.class_embedding",)),
        tables.Row(f"{ours}.places", (f"{embeddings}.position_embedding.weight",)),
    ]
    for own, name in (("before", "pre_layrnorm"), ("after", "post_layernorm")):
        rows.append(tables.Row(f"{ours}.{own}.scale", (f"{theirs}.{name}.weight",)))
        rows.append(tables.Row(f"{ours}.{own}.bias", (f"{theirs}.{name}.bias",)))
    return rows + block_rows(f"{ours}.blocks", f"{theirs}.encoder.layers", layers)


def _patches(kernel: np.ndarray) -> np.ndarray:
    """[out, 3, rows, columns] as it multiplies the pixels of a patch."""
    out, channels, rows, columns = kernel.shape
    if channels != 3 or rows != columns:
        raise ValueError(f"not [width, 3, patch, patch] but {list(kernel.shape)}")
    return kernel.transpose(2, 3, 1, 0).reshape(-1, out)


def block_rows(ours: str, theirs: str, layers: int) -> list[tables.Row]:
    """A tower's blocks, stacked by layer."""

    heads = [f"self_attn.{name}_proj" for name in "qkv"]
    kept: list[tuple[str, list[str]]] = [
        ("qkv_kernel", [f"{name}.weight" for name in heads]),
        ("qkv_bias", [f"{name}.bias" for name in heads]),
    ]
    for own, name in (("out", "self_attn.out_proj"), ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2")):
        kept += [(f"{own}_kernel", [f"{name}.weight"]), (f"{own}_bias", [f"{name}.bias"])]
    for own, name in (("norm1", "layer_norm1"), ("norm2", "layer_norm2")):
        kept += [(f"{own}_scale", [f"{name}.weight"]), (f"{own}_bias", [f"{name}.bias"])]
    return [tables.stacked(f"{ours}.{own}", theirs, layers, names) for own, names in kept]


def part(found: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """An object of a config.json, empty where there is none."""
    own = found.get(name)
    if not isinstance(own, Mapping | None):
        raise ValueError(f"{where}: {name} is {own!r}, but no object; fetch it again.")
    return dict(own or {})


def parts(
    given: Sequence[Mapping[str, Any]], defaults: Sequence[Mapping[str, Any]], where: str
) -> list[dict[str, Any]]:
    """The parts of a config.json, that of images first, over their defaults; what no network here does is refused."""
    made = [
        dict(default) | {key: own[key] for key in default if own.get(key) is not None}
        for own, default in zip(given, defaults, strict=True)
    ]
    for own in made:
        for key in own.keys() - {"hidden_act", "layer_norm_eps"}:
            sizes.whole(own, key, where, least=0 if key.endswith(("_token_id", "_with_embedding")) else 1)
        sizes.epsilon(own, "layer_norm_eps", where)
        if own["hidden_act"] not in ACTIVATIONS:
            raise ValueError(f"{where}: hidden_act is {own['hidden_act']!r}, but not one of {', '.join(ACTIVATIONS)}.")
        if own["hidden_size"] % own["num_attention_heads"]:
            raise ValueError(f"{where}: {own['hidden_size']} columns do not divide over the heads; fetch it again.")
    if made[0]["num_channels"] != 3 or made[0]["image_size"] % made[0]["patch_size"]:
        raise ValueError(f"{where}: images of whole patches and three channels are needed; fetch it again.")
    return made


def tower(own: Mapping[str, Any]) -> Tower:
    """Of one tower's part of config.json."""
    return Tower(
        width=own["hidden_size"],
        inner=own["intermediate_size"],
        layers=own["num_hidden_layers"],
        heads=own["num_attention_heads"],
        epsilon=float(own["layer_norm_eps"]),
        activation=own["hidden_act"],
    )
