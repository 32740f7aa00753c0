"""A diffusers folder of CogVideoX as a sampler: prompts' vectors to latents to frames, one network after another."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from gvvad_jax.models import t5
from gvvad_jax.models.cogvideox import denoise, pictures, schedulers, sizes, stages, transformer, vae, weights
from gvvad_jax.models.cogvideox import guidance as guiding
from gvvad_jax.models.cogvideox.layout import ONE_DEVICE, Layout
from gvvad_jax.weights import folder, tables

PARTS = ("transformer", "vae", "text_encoder", "scheduler")
OUTPUTS = ("uint8", "latents")
# Half precision of 16 bits with a short range is left out: T5's states leave it.
DTYPES = ("float32", "bfloat16")
SEEDS = 1 << 32  # JAX takes others modulo this, so that two would be one
# What is folded into a key: steps lie below; into a video's, for its image's noise; into a seed's, for further videos.
IMAGE_KEY, VIDEO_KEYS = 1 << 20, 1 << 21


class Pipeline:
    """The folder's configs, and its networks as they are used."""

    def __init__(self, path: Path, dtype: Any, layout: Layout):
        """ValueError or OSError where a part is missing, damaged or of another network; nothing is read in full yet."""
        self.path, self.dtype, self.layout = path, jnp.dtype(dtype), layout
        parts = {name: path / name for name in ("transformer", "vae", "text_encoder", "scheduler")}
        self.config = weights.config(parts["transformer"])
        self.scheduler, self.kind = schedulers.load(parts["scheduler"])
        files = [path for name in PARTS[:2] for path in folder.files(parts[name], folder.DIFFUSERS)]
        if parts["text_encoder"].is_dir():
            files += folder.files(parts["text_encoder"])
        # Published weights are halves.
        stays = stages.have_room(sum(file.stat().st_size for file in files) * self.dtype.itemsize // 2, layout)
        # Headers alone, so that what is damaged or of another network is said at once.
        found = folder.read(parts["transformer"], folder.DIFFUSERS)
        tables.require_all(found, weights.table(self.config, found), str(parts["transformer"]))
        read: dict[str, Any] = {}

        def part(name: str) -> Any:
            """One of the transformer's two, which are read together; the stage alone keeps it."""
            if name not in read:
                both = weights.load(parts["transformer"], self.dtype)
                read.update(body=both.body, modulator=both.modulator)
            return read.pop(name)

        self._body = stages.Stage(lambda: part("body"), layout, stays)
        self._modulator = stages.Stage(lambda: part("modulator"), layout, False)
        self._text = stages.Stage(lambda: t5.load(parts["text_encoder"], self.dtype), layout, stays)
        self._modulations: dict[tuple[int, ...], transformer.Modulation] = {}
        load_vae = vae.load if self.config.takes_image else vae.load_decoder
        self.vae = load_vae(parts["vae"], self.dtype, layout)
        made, wanted = self.vae.config, self.config
        if (made.latent, 2**made.time_levels) != (wanted.outputs, wanted.compression):
            raise ValueError(
                f"{path}: its VAE has {made.latent} channels and a latent for {2**made.time_levels} frames, but its "
                f"transformer {wanted.outputs} and {wanted.compression}; they do not belong together."
            )

    @functools.cached_property
    def tokenizer(self) -> t5.Tokenizer:
        """The folder's; OSError where it has none."""
        return t5.tokenizer(self.path / "tokenizer", self.config.text_tokens)

    def encode(self, ids: Int[np.ndarray, "n tokens"]) -> Float[np.ndarray, "n tokens width"]:
        """T5's vectors of prompts, without a mask: padding is attended to, as published.

        One after another: a prompt's vectors are the same in any company, and one program serves any number.
        """
        with self._text as (graph, state):
            return np.concatenate([np.asarray(_encode(graph, state, ids[i : i + 1])) for i in range(len(ids))])

    def sample(
        self,
        prompt_embeds: Float[Array | np.ndarray, "videos tokens inputs"],
        negative_embeds: Float[Array | np.ndarray, "_videos _tokens _inputs"] | None = None,
        latents: Float[Array | np.ndarray, "_videos _frames _channels _rows _columns"] | None = None,
        noise: Float[Array | np.ndarray, "_steps _videos _frames _channels _rows _columns"] | None = None,
        seed: int | np.integer | Sequence[int | np.integer] | Int[np.ndarray, "..."] | None = None,
        image: UInt8[np.ndarray, "_videos _image_rows _image_columns _colours"] | None = None,
        image_noise: Float[Array | np.ndarray, "_videos _one _channels _rows _columns"] | None = None,
        frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        steps: int = 50,
        guidance: float | int = 6.0,
        dynamic_guidance: str = "off",
        scheduler: str | None = None,
        output: str = "uint8",
        tiled: bool = False,
        stepped: bool = False,
        told: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Videos, uint8 [videos, frames, height, width, 3], or with output="latents" what the last step leaves.

        Sizes are the native ones where None. `seed`, from 0 to 2³² - 1: one for all videos, of which each then has its
        own key, or one each; it is needed where latents, or noise that the scheduler adds, are not given. `tiled`: as
        in `decode`. `stepped`: one call of the device a step, of which `told` hears, in place of one for all. Noise
        that the scheduler does not add, and negative vectors where guidance is 1 or less, are not looked at. What does
        not fit is a ValueError.
        """
        # Axes of an underscore above are held here, so that a wrong one is said in a sentence.
        if output not in OUTPUTS:
            raise ValueError(f"output={output!r}; it is one of {', '.join(OUTPUTS)}.")
        count, guidance = len(prompt_embeds), float(guidance)
        if not count:
            raise ValueError("prompt_embeds are of no prompt; give at least one.")
        if not math.isfinite(guidance):
            raise ValueError(f"guidance is {guidance}; a finite number is needed.")
        if tiled:
            self.vae.tiles.decoding(self.vae.config.shrink)  # refuses tiles that do not join
        size = sizes.of(self.config, self.vae.config.shrink, frames, height, width)
        plan = schedulers.plan(self.scheduler, steps, self.kind if scheduler is None else scheduler)
        scales = guiding.scales(guidance, steps, plan.timesteps, dynamic_guidance)
        text = self._prompts(prompt_embeds, negative_embeds, guidance)
        self.layout.require_even(len(text))
        keys = _keys(seed, count)
        shape = (count, *size.latents)
        draws = plan.uses_noise and noise is None
        if draws and keys is None:
            raise ValueError("this scheduler adds noise: give noise or a seed.")
        places = transformer.places(self.config, shape[1], shape[3], shape[4], self.layout)
        given = denoise.Given(
            text=text,
            image=self._image(image, image_noise, size, count, keys),
            keys=keys if draws else None,
            places=places,
        )
        rows = denoise.Row(
            number=np.arange(steps, dtype=np.int32),
            coefficients=plan.coefficients,
            modulation=self._modulation(plan.timesteps),
            scale=scales.astype(np.float32),
            noise=None if draws or not plan.uses_noise else _fitting(noise, (steps, *shape), "noise", self.dtype),
        )
        x = self._denoised(given, rows, self._begun(latents, shape, keys), stepped=stepped, told=told)
        return np.asarray(x, np.float32) if output == "latents" else self.decode(x[:, size.dropped :], tiled)

    def _prompts(self, positive: Any, negative: Any, guidance: float) -> Array:
        """Rows for the transformer: with guidance the negative prompt's first."""
        wanted = (len(positive), self.config.text_tokens, self.config.text_width)
        rows = [_fitting(positive, wanted, "prompt_embeds", self.dtype)]
        if guidance > 1:
            if negative is None:
                raise ValueError(f"guidance {guidance:g} needs negative_embeds, such as those of an empty prompt.")
            rows.insert(0, _fitting(negative, wanted, "negative_embeds", self.dtype))
        return jnp.concatenate(rows)

    def _begun(self, latents: Any, shape: tuple[int, ...], keys: Array | None) -> Array:
        if latents is not None:
            return _fitting(latents, shape, "latents", self.dtype)
        if keys is None:
            raise ValueError("neither latents nor a seed to draw them by is given.")
        return jax.vmap(lambda key: jax.random.normal(key, shape[1:]))(keys).astype(self.dtype)

    def _denoised(self, *given: Any, **how: Any) -> Array:
        """The loop. A method of its own, and done when it returns, so that its weights are off the devices by then."""
        with self._body as (graph, state):
            return denoise.run(graph, self.layout, state, *given, **how).block_until_ready()

    def _modulation(self, timesteps: Int[np.ndarray, " steps"]) -> transformer.Modulation:
        """Of every step; kept, for all clips of a run have the same."""
        kept = self._modulations
        if (at := tuple(timesteps.tolist())) not in kept:
            kept.clear()
            with self._modulator as (graph, state):
                kept[at] = jax.block_until_ready(_modulate(graph, state, timesteps))
        return kept[at]

    def _image(self, image: Any, noise: Any, size: sizes.Size, count: int, keys: Array | None) -> Array | None:
        """The first frame's latents, drawn from what the encoder says, and zeros for the frames after."""
        if not self.config.takes_image:
            if image is not None:
                raise ValueError(f"{self.path} makes video of text alone; leave the image out.")
            return None
        if image is None:
            raise ValueError(f"{self.path} makes video of a first frame: give an image for each prompt.")
        mean, logvar = self.vae.encode(pictures.prepared(image, count, size.height, size.width)[:, None])
        frames, channels, rows, columns = size.latents
        shape = (count, 1, channels, rows, columns)
        if noise is None:
            if keys is None:
                raise ValueError("neither image_noise nor a seed to draw it by is given.")
            drawn = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, IMAGE_KEY), shape[1:]))(keys)
        else:
            drawn = _fitting(noise, shape, "image_noise", jnp.float32)
        mean, logvar = (jnp.asarray(part).transpose(0, 1, 4, 2, 3) for part in (mean, logvar))
        settings = self.vae.config
        factor = 1 / settings.scaling_factor if settings.invert_scale_latents else settings.scaling_factor
        found = (mean + jnp.exp(0.5 * logvar) * drawn) * factor
        return jnp.pad(found, ((0, 0), (0, frames - 1), (0, 0), (0, 0), (0, 0))).astype(self.dtype)

    def decode(
        self, latents: Float[Array | np.ndarray, "videos frames channels rows columns"], tiled: bool = False
    ) -> UInt8[np.ndarray, "videos n height width 3"]:
        """Frames of latents as the loop leaves them, less those that it pads.

        `tiled`: in the published tiles, which need less memory and give other values.
        """
        scaled = jnp.asarray(latents, self.dtype) * jnp.asarray(1 / self.vae.config.scaling_factor, self.dtype)
        # Single precision from here: half would round a picture twice.
        found = self.vae.decode(scaled.transpose(0, 1, 3, 4, 2), self.vae.tiles if tiled else None) * np.float32(
            0.5
        ) + np.float32(0.5)
        return np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)


def load(path: str | Path, dtype: Any = "float32", layout: Layout = ONE_DEVICE) -> Pipeline:
    """The sampler in a diffusers folder (transformer, vae, text_encoder, scheduler).

    Weights of the VAE are read now, the others' when they are used. `dtype`: float32 or bfloat16. The text encoder and
    the tokenizer may be missing where neither is used.
    """
    path = Path(path)
    if str(getattr(dtype, "__name__", dtype)) not in DTYPES:
        raise ValueError(f"dtype {dtype!r}; it is one of {', '.join(DTYPES)}.")
    for name in ("transformer", "vae", "scheduler"):
        if not (path / name).is_dir():
            raise FileNotFoundError(
                f"{path} holds no folder {name}; name a folder of CogVideoX in the diffusers layout."
            )
    return Pipeline(path, dtype, layout)


@functools.partial(jax.jit, static_argnums=0)
def _encode(graph: nnx.GraphDef, state: nnx.State, ids: Array) -> Array:
    return nnx.merge(graph, state)(ids)


@functools.partial(jax.jit, static_argnums=0)
def _modulate(graph: nnx.GraphDef, state: nnx.State, timesteps: Array) -> transformer.Modulation:
    return nnx.merge(graph, state)(timesteps)


def _keys(seed: Any, count: int) -> Array | None:
    """A random key a video; of one seed, the first video's is the seed's own, so that a clip alone is the same clip."""
    if seed is None:
        return None
    seeds = np.asarray(seed)
    if seeds.dtype.kind not in "iu" or ((seeds < 0) | (seeds >= SEEDS)).any():
        raise ValueError(f"seed={seed!r}; seeds are whole numbers from 0 to {SEEDS - 1}.")
    if seeds.ndim == 0:
        first = jax.random.key(int(seeds))
        return jnp.stack([first, *(jax.random.fold_in(first, VIDEO_KEYS + i) for i in range(1, count))])
    if seeds.shape != (count,):
        raise ValueError(f"seeds of shape {seeds.shape} for {count} prompts; give one each, or one for all.")
    return jnp.stack([jax.random.key(one) for one in seeds.tolist()])


def _fitting(x: Any, shape: tuple[int, ...], what: str, dtype: Any) -> Array:
    if np.shape(x) != shape:
        raise ValueError(f"{what} of shape {np.shape(x)}, but {shape} is needed.")
    return jnp.asarray(x, dtype)
