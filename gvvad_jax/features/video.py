"""One video to its features: the blocks of `visual` in order, what untrained baselines need, and how it was cut."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gvvad_jax import records
from gvvad_jax.features import motion as channels
from gvvad_jax.features.encoders import Encoder, Vectors
from gvvad_jax.video import crops as views
from gvvad_jax.video import decode, snippets

AHEAD = 2  # batches on the device while the next is filled


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a video becomes features; with the encoder this is all that makes the same input again."""

    crops: str = "centre"
    tiles: tuple[int, int] = (5, 3)  # columns, rows; of crops="tiles"
    motion: tuple[str, ...] = ()  # blocks after the encoder's, in this order
    frames_per_snippet: int = 1
    snippet_frames: int = 16

    def __post_init__(self) -> None:
        self.plan(480, 640, 224)  # refuses unknown crops and tiles
        if unknown := sorted(set(self.motion) - set(channels.names())):
            raise ValueError(f"motion={unknown[0]!r} is not known; choose among {', '.join(channels.names())}.")
        if len(set(self.motion)) < len(self.motion):
            raise ValueError(f"motion={','.join(self.motion)} names a block twice; name each once.")
        if not 1 <= self.frames_per_snippet <= self.snippet_frames:
            raise ValueError(f"frames_per_snippet={self.frames_per_snippet}; give 1 to {self.snippet_frames}.")

    def plan(self, height: int, width: int, size: int) -> views.Plan:
        """The crops of frames of height x width."""
        return views.plan(self.crops, height, width, self.tiles, size)

    def asked(self, encoder: Encoder) -> dict[str, Any]:
        """What a user chose, under the names of tools/extract.py's flags: another choice needs another set."""
        tiles = {"tiles": f"{self.tiles[0]}x{self.tiles[1]}"} if self.crops == "tiles" else {}
        return tiles | {
            "encoder": encoder.name,
            "weights_sha256": encoder.identity["weights_sha256"],
            "crops": self.crops,
            "motion": ",".join(self.motion),
            "frames_per_snippet": self.frames_per_snippet,
        }

    def identity(self, encoder: Encoder) -> dict[str, Any]:
        """What records and bundles keep: the encoder, its weights' SHA-256 and every option."""
        plan = self.plan(480, 640, encoder.size)
        height, width = plan.resize
        return dict(encoder.identity) | {
            "crops": plan.order,
            "resize": f"{width}x{height}, bicubic" if self.crops == "tiles" else f"shorter side {height}, bicubic",
            "motion": list(self.motion),
            "motion_columns": {name: list(channels.create(name, plan).columns) for name in self.motion},
            "frames_per_snippet": self.frames_per_snippet,
            "snippet_frames": self.snippet_frames,
        }

    @classmethod
    def of(cls, identity: Mapping[str, Any]) -> "Options":
        """The options that `identity` wrote down."""
        crops, _, tiles = identity["crops"].partition(" ")
        columns, rows = map(int, tiles.split("x")) if tiles else cls.tiles
        return cls(
            crops=crops,
            tiles=(columns, rows),
            motion=tuple(identity["motion"]),
            frames_per_snippet=identity["frames_per_snippet"],
            snippet_frames=identity["snippet_frames"],
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """What one video gives; `visual` is float16."""

    visual: Float[np.ndarray, "snippets crops width"]
    blocks: tuple[records.Block, ...]
    baselines: Float[np.ndarray, "snippets baselines"]
    baseline_names: tuple[str, ...]
    plan: views.Plan
    info: decode.Info


@dataclass(eq=False, kw_only=True)
class Part:
    """One snippet: images that the encoder is to see, and what was measured beside."""

    plan: views.Plan
    num_frames: int
    images: UInt8[np.ndarray, "n size size 3"] | None
    motion: dict[str, np.ndarray | None]  # name -> float32 [C, width]; None: its crops are the last of `images`
    baselines: dict[str, float]
    vectors: list[np.ndarray] = field(default_factory=list)
    columns: dict[str, np.ndarray] = field(default_factory=dict)  # block -> float16 [C, width], once all are encoded


def parts(decoder: decode.Decoder, source: Path | bytes, name: str, options: Options, size: int) -> Iterator[Part]:
    """The snippets of a video as they are decoded; after the last one `decoder.info` describes the video."""
    plan = last = last_resized = None
    made: dict[str, Any] = {}
    # All frames, also where the encoder sees one: the untrained baselines that stand beside every result need them.
    for snippet in decoder.snippets(source, "all", options.snippet_frames, name=name):
        frames = snippet.frames
        if plan is None:
            plan = options.plan(frames.shape[1], frames.shape[2], size)
            made = {channel: channels.create(channel, plan) for channel in options.motion}
        chosen = snippets.chosen(snippet.start, snippet.stop, options.frames_per_snippet) - snippet.start
        resized = views.resize(frames if made else frames[chosen], plan)
        shown = views.cut(resized[chosen] if made else resized, plan)
        images, motion = [shown.reshape(-1, *shown.shape[2:])], {}
        baselines = channels.baselines(frames, last, plan)
        for channel, measure in made.items():
            values, beside = measure(resized, last_resized)
            baselines |= beside
            if values.ndim == 4:
                images.append(values)
            motion[channel] = None if values.ndim == 4 else values
        yield Part(plan=plan, num_frames=len(frames), images=np.concatenate(images), motion=motion, baselines=baselines)
        last, last_resized = frames[-1], resized[-1]


class Batches:
    """Fills the encoder's fixed batch with images of whatever snippets come, first in, first out."""

    def __init__(self, encoder: Encoder):
        self.encoder = encoder
        self._waiting: deque[tuple[Part, int]] = deque()
        self._begun: deque[tuple[list[tuple[Part, int]], Vectors]] = deque()

    def add(self, part: Part) -> None:
        """Takes a snippet; it and those before it are encoded as batches fill."""
        assert part.images is not None
        self._waiting.extend((part, row) for row in range(len(part.images)))
        while len(self._waiting) >= self.encoder.batch:
            self._begin(self.encoder.batch)

    def finish(self) -> None:
        """Encodes what waits; the last batch is filled with zeros."""
        if self._waiting:
            self._begin(len(self._waiting))
        while self._begun:
            self._end()

    def _begin(self, count: int) -> None:
        rows = [self._waiting.popleft() for _ in range(count)]
        images = np.stack([part.images[row] for part, row in rows if part.images is not None])
        self._begun.append((rows, self.encoder.begin(images)))
        if len(self._begun) > AHEAD:
            self._end()

    def _end(self) -> None:
        rows, vectors = self._begun.popleft()
        for (part, _), vector in zip(rows, vectors(), strict=True):
            part.vectors.append(vector)
            if part.images is not None and len(part.vectors) == len(part.images):
                _finish(part)


def _finish(part: Part) -> None:
    """Turns a snippet's vectors into its blocks and lets its pixels go."""
    crops = len(part.plan.boxes)
    vectors = np.stack(part.vectors).reshape(-1, crops, part.vectors[0].shape[-1])
    encoded = [name for name, values in part.motion.items() if values is None]
    count = len(vectors) - len(encoded)
    beside = dict(zip(encoded, vectors[count:], strict=True))
    columns = {"appearance": vectors[:count].mean(0)}
    columns |= {name: beside[name] if values is None else values for name, values in part.motion.items()}
    with np.errstate(over="ignore"):
        part.columns = {name: values.astype(np.float16) for name, values in columns.items()}
    part.images, part.vectors = None, []


def assemble(done: list[Part], info: decode.Info) -> Features:
    """The features of a video whose snippets are all encoded (float16: what it cannot hold becomes Inf)."""
    blocks, stop = [], 0
    for block, values in done[0].columns.items():
        blocks.append(records.Block(block, stop, stop := stop + values.shape[1]))
    visual = np.stack([np.concatenate(list(part.columns.values()), axis=1) for part in done])
    return Features(
        visual=visual,
        blocks=tuple(blocks),
        baselines=np.array([list(part.baselines.values()) for part in done], np.float32),
        baseline_names=tuple(done[0].baselines),
        plan=done[0].plan,
        info=info,
    )


def features(source: Path | bytes, encoder: Encoder, options: Options, name: str | None = None) -> Features:
    """The features of one video, the same that a set of it holds."""
    batches, done = Batches(encoder), []
    with decode.Decoder() as decoder:
        for part in parts(decoder, source, name or str(source)[:200], options, encoder.size):
            done.append(part)
            batches.add(part)
        batches.finish()
        assert decoder.info is not None
        return assemble(done, decoder.info)
