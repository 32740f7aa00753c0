"""What the chain's stages do, each a function that makes one set or file and gives the line that says so."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gvvad_jax import bags, datasets, program, records
from gvvad_jax.features import captioner, captions, encoders, extraction, prompts, sentences
from gvvad_jax.features import video as videos
from gvvad_jax.models import text_image
from gvvad_jax.pipeline import costs
from gvvad_jax.synthesis import generators, scenes
from gvvad_jax.synthesis.filtering import rule, selecting


@dataclasses.dataclass(frozen=True)
class Half:
    """The sets of real, or of generated, videos; empty strings where there are none."""

    videos: str
    features: str
    text: str = ""
    raw: tuple[str, str] | None = None  # data set and folder of raw videos


@dataclasses.dataclass(frozen=True)
class Extract:
    """Extraction as the settings say; the encoder's weights are read when first needed."""

    encoder: str
    weights: str | None
    options: videos.Options

    def __call__(self, source: Any, out: Path, dataset: str) -> str:
        """The feature set of a video set's reader, or of a data set's entries."""
        encoder = encoders.create(self.encoder, self.weights)
        return str(extraction.extract(source, encoder, self.options, out, dataset=dataset, shards=1))

    def check(self) -> None:
        """Refuse weights that are not there before anything is made."""
        encoders.create(self.encoder, self.weights)

    @property
    def crops(self) -> int:
        """Of a frame."""
        return len(self.options.plan(240, 320, 224).fractions)

    def cost(self, count: int, frames: int | None) -> str:
        """In words; `frames` of all videos together, where known."""
        return costs.extraction(count, frames, self.crops)

    def require_like(self, path: str) -> None:
        """Refuse a set that was extracted otherwise, before the generated clips are."""
        reader, encoder = records.reader(path), encoders.create(self.encoder, self.weights)
        bags.require_encoder(reader, reader.manifest["width"], self.options.identity(encoder), "pipeline's settings")


@dataclasses.dataclass(frozen=True)
class Embed:
    """Sentence vectors of captions and of prompts."""

    weights: str | None
    captions: str | None
    captioner: str | None

    def __call__(self, half: Half, out: Path) -> str:
        """The text set of a half: of the sentences its records carry, else a captioner's, else of the caption file."""
        encoder = sentences.create(self.weights)
        own = records.reader(half.videos) if half.videos else None
        if own is not None and any(own[i].captions for i in range(len(own))):
            return str(captions.write(out, encoder, videos=own))
        if self.captioner:
            raw = own if half.raw is None else datasets.entries(*half.raw)
            return str(captioner.write(out, encoder, captioner.Captioner(self.captioner), raw or []))
        ids = records.reader(half.features).ids
        return str(captions.write(out, encoder, videos=own, captions=self.captions, ids=None if own else ids))

    def check(self) -> None:
        """Refuse weights and captions that are not there before anything is made."""
        sentences.create(self.weights)
        if self.captions:
            captions.read(self.captions)
        if self.captioner:
            captioner.Captioner(self.captioner)

    def bank(self, descriptions: Path, out: Path) -> str:
        """One prompt for each event that is described."""
        rows = [row for row in records.read_descriptions(descriptions) if row.label]
        events = sorted({row.event or row.category or row.text for row in rows})
        encoder = sentences.create(self.weights)
        prompts.write_bank(out, encoder(events), events, encoder.identity)
        return f"{len(events)} prompts: {out}"


def take(given: Sequence[records.Description], out: Path) -> str:
    """A table of somebody's own clips, as descriptions."""
    out.parent.mkdir(parents=True, exist_ok=True)
    records.write_descriptions(out, given)
    return f"{len(given)} descriptions: {out}"


def require_sampler(options: generators.Options) -> None:
    """Refuse weights that are not there or not whole, and settings that do not go with them."""
    from gvvad_jax.synthesis.generators import cogvideox  # here: its networks are slow to import

    cogvideox.choose(options)


def draw(out: Path, counts: dict[str, int], seed: int, frames: int) -> str:
    """The real half of a run without data: drawn in the style that plays it."""
    total = 2 * sum(counts.values())
    asked = {"generator": "scenes", "style": "real", "seed": seed, "frames": frames} | counts
    with records.writer(out, "video", 1, asked) as writer:
        for video in program.progress(_clips(counts, seed, frames), "draw", total, "video"):
            if video.id not in writer:
                writer.add(video)
    return f"{total} videos drawn: {out}"


def _clips(counts: dict[str, int], seed: int, frames: int) -> Iterator[records.Video]:
    for split, count in counts.items():
        for label in (0, 1):
            yield from scenes.clips(count, label=label, style="real", split=split, seed=seed, num_frames=frames)


def choose(out: Path, real: Half, generated: Half, chosen: rule.Rule, still: float, moving: float, weights: str) -> str:
    """A selection among the clips that have features, as training asks for."""
    extracted = set(records.reader(generated.features).ids)
    clips = records.reader(generated.videos).select(lambda row: row["id"] in extracted)
    features = [*real.features.split(","), generated.features]
    model = text_image.TextImage(weights) if weights else None
    found = selecting.select(clips, out, chosen, features=features, model=model, still=still, moving=moving)
    return "\n".join(found.lines)
