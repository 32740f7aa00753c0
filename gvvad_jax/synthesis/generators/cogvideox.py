"""Clips by CogVideoX: every description's T5 vectors first, then clip after clip, each from a seed of its own.

A clip depends on its description and the settings alone, not on the clips made before it or on how many hosts share
the list, so that any one can be made again.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import gvvad_jax
from gvvad_jax import program
from gvvad_jax.models import cogvideox, t5
from gvvad_jax.models.cogvideox import guidance as guiding
from gvvad_jax.models.cogvideox import schedulers, sizes, transformer
from gvvad_jax.models.cogvideox.layout import Layout, for_devices
from gvvad_jax.records import Description, Video, files
from gvvad_jax.synthesis.generators.vectors import Vectors
from gvvad_jax.synthesis.options import Options
from gvvad_jax.video import encode
from gvvad_jax.weights import folder, hub, tables

KNOWN = ("weights", "frames", "height", "width", "steps", "guidance", "dynamic_guidance", "scheduler", "negative")
KNOWN += ("dtype", "stepped", "tiled", "seed")
STEPS, GUIDANCE = 50, 6.0
FPS, FPS_IN_PAIRS = 8, 16  # what the networks were trained at; version 1.5 takes latent frames in pairs
SIDES_IN_PAIRS = (768, 1360)  # version 1.5's height and width: its config has the most that positions go to
DTYPES = ("float32", "bfloat16")
TOGETHER = 32  # prompts encoded for one passage of the text encoder's weights to the devices
CONFIGS = ("transformer/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json")
NAMED = 5  # descriptions that an error names


@contextlib.contextmanager
def clips(descriptions: Sequence[Description], options: Options) -> Iterator["Maker"]:
    """Opens the sampler; ValueError or OSError for what cannot be made of these descriptions and weights."""
    chosen, pipeline = choose(options)
    _require_short(pipeline.tokenizer, descriptions, chosen.negative)
    yield Maker(chosen, pipeline, options.seed)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What options mean with the weights they name."""

    model: str
    path: Path
    dtype: str
    layout: Layout
    negative: str
    call: dict[str, Any]  # size, steps, guidance and scheduler, as the sampler takes them
    stepped: bool
    fps: int

    def open(self) -> cogvideox.Pipeline:
        """The sampler; of each network's weights none is read before it is used, but the VAE's."""
        return cogvideox.load(self.path, self.dtype, self.layout)


def choose(options: Options) -> tuple[Chosen, cogvideox.Pipeline]:
    """And the sampler, open; ValueError or OSError for options that cannot be and weights that are not whole."""
    options.require_only("cogvideox", *KNOWN)
    if not options.weights:
        raise ValueError("--generator=cogvideox needs --weights: a folder of CogVideoX or its name of the hub.")
    path, devices = hub.folder_of(options.weights), jax.local_devices()
    is_cpu = devices[0].platform == "cpu"
    dtype = options.dtype or ("float32" if is_cpu else "bfloat16")
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}; it is one of {', '.join(DTYPES)}.")
    guidance = GUIDANCE if options.guidance is None else float(options.guidance)
    if not math.isfinite(guidance):
        raise ValueError(f"guidance is {guidance}; a finite number is needed.")
    dynamic, steps = options.dynamic_guidance or "off", STEPS if options.steps is None else options.steps
    # One device of a CPU has all its cores.
    layout = for_devices(devices[: 1 if is_cpu else None], 2 if guidance > 1 else 1)
    pipeline = cogvideox.load(path, dtype, layout)
    config, kind = pipeline.config, options.scheduler or pipeline.kind
    if config.takes_image:
        raise ValueError(f"{path} makes video of a first frame, which descriptions lack; take a text-to-video one.")
    shrink, sides = pipeline.vae.config.shrink, (options.height, options.width)
    if config.frame_patch:
        native = (config.sample_rows * shrink, config.sample_columns * shrink)
        sides = [own or min(pair) for own, *pair in zip(sides, native, SIDES_IN_PAIRS, strict=True)]
    size = sizes.of(config, shrink, options.frames, *sides)
    transformer.places(config, size.latents[0], *size.latents[2:])
    if options.tiled:
        pipeline.vae.tiles.decoding(shrink)  # refuses tiles that do not join
    guiding.scales(guidance, steps, schedulers.plan(pipeline.scheduler, steps, kind).timesteps, dynamic)
    _require_text_encoder(path, config.text_width)
    call: dict[str, Any] = dict(frames=size.frames, height=size.height, width=size.width, steps=steps)
    chosen = Chosen(
        model=Path(str(options.weights)).name,
        path=path,
        dtype=dtype,
        layout=layout,
        negative=options.negative or "",
        call=call | dict(guidance=guidance, dynamic_guidance=dynamic, scheduler=kind, tiled=options.tiled),
        stepped=options.stepped,
        fps=FPS_IN_PAIRS if config.frame_patch else FPS,
    )
    return chosen, pipeline


class Maker:
    """Turns a description into its clip's record; `settings` is what all clips depend on beside their descriptions."""

    def __init__(self, chosen: Chosen, pipeline: cogvideox.Pipeline, seed: int):
        self._chosen, self._pipeline, self._seed = chosen, pipeline, seed
        digests = _digests(chosen.path)
        self.settings = {"weights_sha256": digests, "configs_sha256": _configs(chosen.path)}
        self.settings |= {"dtype": chosen.dtype, "negative": chosen.negative, **chosen.call}
        self._where = {"model": chosen.model, "platform": jax.local_devices()[0].platform}
        self._where["version"] = gvvad_jax.__version__
        self._is_guided = chosen.call["guidance"] > 1
        config = pipeline.config
        self._vectors_in = functools.partial(
            Vectors,
            identity=f"{digests['text_encoder']} {files.sha256(chosen.path / 'text_encoder' / 'config.json')}",
            dtype=pipeline.dtype,
            shape=(config.text_tokens, config.text_width),
        )

    def prepare(self, descriptions: Sequence[Description], cache: Path) -> None:
        """Encodes their prompts, as far as the folder `cache` does not hold them; before the first clip."""
        self._vectors = self._vectors_in(cache)
        texts = [self._chosen.negative] * self._is_guided + [description.text for description in descriptions]
        rows = self._pipeline.tokenizer.ids(list(dict.fromkeys(texts)))
        missing = [ids for ids in rows if self._vectors.get(ids) is None]
        if not descriptions or not missing:
            return
        with _room_for("the text encoder", "take dtype bfloat16 or more devices"):
            for _ in program.progress(self._encoded(missing), "encode prompts", len(missing), "prompt"):
                pass
        self._pipeline = self._chosen.open()  # a new one: the text encoder's weights go with the old

    def __call__(self, description: Description) -> Video:
        """The clip; MemoryError where it does not fit the devices."""
        prompt, seed, call = self._embedded(description.text), seed_of(description.id, self._seed), self._chosen.call
        negative = self._embedded(self._chosen.negative) if self._is_guided else None
        what = f"a clip of {call['frames']} frames of {call['width']}x{call['height']}"
        if self._chosen.stepped:
            steps = program.progress(range(call["steps"]), description.id, unit="step")
            next(steps)
            call = call | dict(stepped=True, told=lambda _: next(steps, None))
        with _room_for(what, "take fewer frames, a smaller size, dtype bfloat16, or more devices"):
            frames = self._pipeline.sample(prompt, negative, seed=[seed], **call)[0]
        return Video(
            id=description.id,
            label=description.label,
            synthetic=1,
            split="train",
            category=description.category,
            source={
                "generator": "cogvideox",
                "settings": self.settings | self._where,
                "seed": seed,
                "description_id": description.id,
                "pair_id": description.pair_id,
                "text": description.text,
            },
            fps=float(self._chosen.fps),
            num_frames=len(frames),
            height=frames.shape[1],
            width=frames.shape[2],
            video=encode.mp4(frames, self._chosen.fps),
            intervals=None if description.label else [],  # when it happens, nobody has said
        )

    def _embedded(self, text: str) -> np.ndarray:
        ids = self._pipeline.tokenizer.ids([text])[0]
        found = self._vectors.get(ids)
        return (next(self._encoded([ids])) if found is None else found)[None]

    def _encoded(self, rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """The vectors of each, kept on disk."""
        for start in range(0, len(rows), TOGETHER):
            part = rows[start : start + TOGETHER]
            for ids, vectors in zip(part, self._pipeline.encode(np.stack(part)), strict=True):
                self._vectors.put(ids, vectors)
                yield vectors


@contextlib.contextmanager
def _room_for(what: str, advice: str) -> Iterator[None]:
    """MemoryError, in a sentence, where the devices' memory is full."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(f"{what} does not fit the memory of these devices; {advice}") from error


def seed_of(id: str, seed: int) -> int:
    """A clip's own: the same whichever clips are made beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{id}".encode()).digest()[:4]) >> 1


def _require_text_encoder(path: Path, width: int) -> None:
    """Refuses a text encoder that is missing or damaged, or of another network, from its files' headers alone."""
    part = path / "text_encoder"
    config, found = t5.Config.of(folder.config(part, "t5", t5.WHAT), str(part / "config.json")), folder.read(part)
    tables.require_all(found, t5.table(config, found), str(part))
    if config.width != width:
        raise ValueError(
            f"{path}: the text encoder's vectors are {config.width} wide, but its transformer takes {width}; they do "
            "not belong together."
        )


def _require_short(tokenizer: t5.Tokenizer, descriptions: Sequence[Description], negative: str) -> None:
    """Refuses prompts of too many tokens, by their descriptions' ids."""
    lengths = tokenizer.lengths([*(description.text for description in descriptions), negative])
    ids = [f"description {description.id}" for description in descriptions] + ["the negative prompt"]
    long = [f"{id} ({n})" for id, n in zip(ids, lengths, strict=True) if n > tokenizer.length]
    if long:
        more = f" and {len(long) - NAMED} more" if len(long) > NAMED else ""
        raise ValueError(
            f"prompts of more than {tokenizer.length} tokens: {', '.join(long[:NAMED])}{more}; shorten their texts."
        )


def _digests(path: Path) -> dict[str, str]:
    """The SHA-256 of each network's weight files."""
    stems = {"transformer": folder.DIFFUSERS, "vae": folder.DIFFUSERS, "text_encoder": folder.STEM}
    parts = program.progress(stems, "read weights", unit="part")
    return {part: folder.sha256(path / part, stems[part]) for part in parts}


def _configs(path: Path) -> str:
    """The SHA-256 of what the other files say to the networks, the sampler and the tokenizer."""
    digest = hashlib.sha256()
    for name in CONFIGS:
        found = folder.read_json(path / name)
        # Keys that begin with an underscore are notes of what wrote the file, such as its version.
        told = {key: value for key, value in found.items() if not key.startswith("_")}
        digest.update(json.dumps([found.get("_class_name"), told], sort_keys=True).encode())
    digest.update(t5.tokenizer_file(path / "tokenizer").read_bytes())
    return digest.hexdigest()
