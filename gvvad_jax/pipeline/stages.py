"""The chain's stages from its settings: what each makes, where, at what cost, and whether it is there."""

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gvvad_jax import datasets, detectors, program, records
from gvvad_jax.features import video as videos
from gvvad_jax.pipeline import costs, making
from gvvad_jax.records import manifest
from gvvad_jax.synthesis import describe, generators, scenes
from gvvad_jax.synthesis.filtering import rule

SEGMENTS = 64  # of a video, where the config leaves them to the detector
DRAWN = "scenes"  # pipeline.dataset: real videos, too, are drawn


@dataclasses.dataclass(frozen=True)
class Stage:
    """What is made, where, by what, and what it would cost; `make` may be called again after a kill and goes on."""

    name: str
    out: Path
    make: Callable[[Path], str]
    cost: str = ""

    @property
    def is_set(self) -> bool:
        """Whether it makes a set of records, rather than one file."""
        return not self.out.suffix

    @property
    def is_done(self) -> bool:
        """Whether the result is there, whole: a set without the videos that failed is made again, those alone."""
        if not self.is_set:
            return self.out.exists()
        return (self.out / manifest.NAME).exists() and not (self.out / "errors.jsonl").exists()


@dataclasses.dataclass(frozen=True)
class Plan:
    """Stages in order, and the places of what they make."""

    folder: Path
    stages: Sequence[Stage]
    real: making.Half
    generated: making.Half
    prompts: str
    draws_real: bool
    training_cost: str = ""
    checks: Sequence[Callable[[], Any]] = ()

    def check(self) -> None:
        """Refuse missing weights, captions and keys before anything is made; a dry run does without them."""
        if not all(stage.is_done for stage in self.stages):
            for check in self.checks:
                check()

    @property
    def descriptions(self) -> Path:
        """What the clips show."""
        return self.folder / "descriptions.jsonl"

    @property
    def selection(self) -> Path:
        """Which clips are kept."""
        return self.folder / "selection.jsonl"


def plan(config: Any, folder: Path) -> Plan:
    """All that a run of `config` in `folder` makes; ValueError or OSError for what cannot be, nothing written."""
    asked, data, sets = config.pipeline, config.data, folder / "sets"
    if len(asked.tiles) != 2 or not all(isinstance(n, int) for n in asked.tiles):
        raise ValueError(f"pipeline.tiles is {asked.tiles}; give columns and rows: --config.pipeline.tiles=5,3.")
    options = videos.Options(
        crops=asked.crops,
        tiles=tuple(asked.tiles),
        motion=tuple(asked.motion),
        frames_per_snippet=asked.frames_per_snippet,
    )
    reads_text = detectors.reads_text(config.detector)
    _check(config, reads_text)
    extract = making.Extract(asked.encoder, asked.weights or None, options)
    embed = making.Embed(asked.text_weights or None, asked.captions or None, asked.caption_weights or None)
    clips = 2 * asked.pairs
    made: list[Stage] = []

    def add(name: str, out: Path, make: Callable[[Path], str], cost: str) -> str:
        made.append(Stage(name, out, make, cost))
        return str(out)

    descriptions = folder / "descriptions.jsonl"
    service = describe.Service(model=asked.model, base_url=asked.base_url)
    if asked.descriptions:
        given = records.read_descriptions(asked.descriptions)
        clips = len(given)
        add(
            "take descriptions", descriptions, lambda out: making.take(given, out), f"{clips:,} of {asked.descriptions}"
        )
    else:
        add(
            "describe",
            descriptions,
            lambda out: str(
                describe.describe(out, asked.describer, count=asked.pairs, seed=config.data_seed, service=service)
            ),
            costs.describing(asked.pairs, asked.describer, asked.model),
        )
    options_of_clips = _of_clips(config)
    generated = sets / "generated_videos"
    add(
        f"generate ({asked.generator})",
        generated,
        lambda out: str(generators.generate(descriptions, asked.generator, out, options_of_clips)),
        costs.generating(clips, asked.generator, options_of_clips.frames, options_of_clips.steps),
    )
    real = _real(config, sets, add, extract)
    own_features = add(
        "extract generated features",
        sets / "generated_features",
        lambda out: extract(records.reader(generated), out, "generated"),
        extract.cost(clips, clips * options_of_clips.frames if options_of_clips.frames else None),
    )
    halves = [real, making.Half(str(generated), own_features)]
    bank = data.prompts
    if reads_text:
        halves = [_captioned(half, data, sets, add, embed, is_real=half is real) for half in halves]
        if not bank and "multi_prompt" in detectors.switches(config.detector):
            bank = add(
                "embed prompts, the events described",
                folder / "prompts.npz",
                lambda out: embed.bank(descriptions, out),
                "free",
            )
    if asked.filter:
        chosen = config.filter
        own = rule.Rule(chosen.rule, chosen.limits.to_dict(), chosen.rates.to_dict(), chosen.weights.to_dict())
        add(
            f"filter ({chosen.rule})",
            folder / "selection.jsonl",
            lambda out: making.choose(
                out, halves[0], halves[1], own, chosen.duplicates.still, chosen.duplicates.moving, asked.filter_weights
            ),
            costs.filtering(clips),
        )
    checks: list[Callable[[], Any]] = [extract.check, *([embed.check] if reads_text else [])]
    if asked.describer == "openai" and not asked.descriptions and not descriptions.exists():
        checks.append(describe.Client(service).open)
    if asked.generator == "cogvideox":
        checks.append(lambda: making.require_sampler(options_of_clips))
    groups = 2 if data.sampler == "paired" else 1
    rows = groups * config.batch * extract.crops * (data.segments or SEGMENTS)
    return Plan(
        folder,
        made,
        halves[0],
        halves[1],
        bank,
        draws_real=asked.dataset == DRAWN and not data.features,
        training_cost=costs.training(config.detector, config.steps, config.seeds, rows),
        checks=checks,
    )


def make(chain: Sequence[Stage]) -> list[str]:
    """Makes what is not there yet, in order; gives what went wrong without ending the chain.

    A file is made again after something before it was: it is about the sets as they are now.
    """
    notes, is_fresh = [], False
    for stage in chain:
        if stage.is_done and (stage.is_set or not is_fresh):
            continue
        print(stage.make(stage.out))
        is_fresh = True
        if stage.is_set and not stage.is_done:
            failed = program.Errors(stage.out / "errors.jsonl").read()
            notes.append(f"{stage.name}: {len(failed)} failed, such as {failed[0]['id']} ({stage.out}/errors.jsonl)")
    return notes


def write_test_clips(made: Plan) -> None:
    """Drawn test videos as W/clips/<id>.mp4, which the report plays, and their sentences as W/captions.jsonl."""
    if not made.draws_real:
        return
    drawn = records.reader(made.real.videos, where=lambda row: row["split"] == "test")
    for video in drawn:
        path = made.folder / "clips" / f"{video.id}.mp4"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with records.atomic_write(path) as file:
                file.write(video.video)
    if made.real.text:
        texts = records.reader(made.real.text, where=lambda row: row["id"] in drawn)
        records.write_jsonl(made.folder / "captions.jsonl", [{text.id: list(text.sentences)} for text in texts])


def score_command(made: Plan, seed: int | None) -> str:
    """What scores a test clip as a user's own with the run's bundle; empty where no test clip was drawn.

    `seed`: the first of several.
    """
    if not made.draws_real:
        return ""
    anomalous = records.reader(made.real.videos, where=lambda row: row["split"] == "test" and row["label"] == 1)
    if not len(anomalous):
        return ""
    bundle = made.folder / (f"seed-{seed}/bundle" if seed is not None else "bundle")
    words = ["python", "tools/score.py", made.folder / "clips" / f"{anomalous.ids[0]}.mp4", f"--bundle={bundle}"]
    if made.real.text:
        words.append(f"--captions={made.folder / 'captions.jsonl'}")
    return shlex.join(map(str, [*words, f"--out={made.folder / 'scored'}"]))


def _of_clips(config: Any) -> generators.Options:
    """What the generator is told."""
    asked = config.pipeline
    own: dict[str, Any] = {}
    if asked.generator == "scenes":
        own = {"frames": asked.frames}
    elif asked.generator == "folder":
        own = {"root": Path(asked.clips)}
    elif asked.generator == "cogvideox":
        own = asked.cogvideox.to_dict()
    return generators.Options(**own, seed=config.data_seed, shards=1)


def _check(config: Any, reads_text: bool) -> None:
    asked = config.pipeline
    if asked.generator not in generators.GENERATORS:
        raise ValueError(
            f"pipeline.generator is {asked.generator!r}; choose one of {', '.join(generators.GENERATORS)}."
        )
    if asked.describer not in describe.DESCRIBERS:
        raise ValueError(f"pipeline.describer is {asked.describer!r}; choose one of {', '.join(describe.DESCRIBERS)}.")
    is_drawn = asked.generator == "scenes" or (asked.dataset == DRAWN and not config.data.features)
    if is_drawn and asked.frames < scenes.FEWEST:
        raise ValueError(f"pipeline.frames is {asked.frames}; a drawn clip has {scenes.FEWEST} or more.")
    if asked.pairs < 1:
        raise ValueError(f"pipeline.pairs is {asked.pairs}; give 1 or more.")
    if asked.generator == "folder" and not asked.clips:
        raise ValueError("pipeline.generator=folder needs pipeline.clips, the folder of the clips.")
    if asked.generator == "cogvideox" and not asked.cogvideox.weights:
        raise ValueError("pipeline.generator=cogvideox needs pipeline.cogvideox.weights, a folder or a hub name.")
    if asked.captions and asked.caption_weights:
        raise ValueError("give pipeline.captions (a file) or pipeline.caption_weights (a captioner), not both.")
    lacks = reads_text and not asked.captions and not asked.caption_weights
    ways = "give pipeline.caption_weights (GIT's folder) or pipeline.captions (a file), or take --config.detector=rtfm"
    if lacks and asked.generator != "scenes" and config.data.text_source == "caption":
        raise ValueError(
            f"{config.detector} reads text, but clips of pipeline.generator={asked.generator} have no captions; {ways}."
        )
    if config.data.features and asked.root:
        raise ValueError("give pipeline.root (raw videos) or data.features (a set of them), not both.")
    if config.data.features and reads_text and not config.data.text:
        raise ValueError(f"{config.detector} reads text; name the text set of data.features by data.text.")
    if config.data.selection:
        raise ValueError("mode=pipeline makes its own data.selection; leave it empty, or set mode=train.")
    if config.data.features or asked.dataset == DRAWN:
        return
    if not asked.root:
        raise ValueError(f"pipeline.dataset={asked.dataset} needs pipeline.root, the folder of its videos.")
    if lacks:
        raise ValueError(f"{config.detector} reads text, but videos of {asked.dataset} have no captions; {ways}.")


def _real(config: Any, sets: Path, add: Callable[..., str], extract: making.Extract) -> making.Half:
    """The real half: sets that are there, raw videos of a data set, or drawn ones."""
    asked = config.pipeline
    if config.data.features:
        for path in config.data.features.split(","):
            extract.require_like(path)
        return making.Half("", config.data.features, config.data.text)
    out = sets / "real_features"
    if asked.dataset != DRAWN:
        entries = datasets.entries(asked.dataset, asked.root)
        lengths = [entry.num_frames for entry in entries]
        known = None if None in lengths else sum(filter(None, lengths))
        cost = extract.cost(len(entries), known)
        name = f"extract {asked.dataset} features"
        features = add(name, out, lambda out: extract(entries, out, asked.dataset), cost)
        return making.Half("", features, raw=(asked.dataset, asked.root))
    counts = {"train": asked.real, "test": asked.test}
    if min(counts.values()) < 1:
        raise ValueError(f"pipeline.real and test are {asked.real} and {asked.test}; give 1 or more videos a class.")
    total, source = 2 * sum(counts.values()), sets / "real_videos"
    drawn = add(
        "draw real videos",
        source,
        lambda out: making.draw(out, counts, config.data_seed, asked.frames),
        costs.drawing(total, asked.frames),
    )
    cost = extract.cost(total, total * asked.frames)
    features = add("extract real features", out, lambda out: extract(records.reader(source), out, DRAWN), cost)
    return making.Half(drawn, features)


def _captioned(
    half: making.Half, data: Any, sets: Path, add: Callable[..., str], embed: making.Embed, *, is_real: bool
) -> making.Half:
    """The half with its text set; generated clips need none where their descriptions stand for it."""
    if half.text or (not is_real and data.text_source == "description"):
        return half
    name = "real" if is_real else "generated"
    text = add(f"caption {name} videos", sets / f"{name}_text", lambda out: embed(half, out), "sentences as given")
    return dataclasses.replace(half, text=text)
