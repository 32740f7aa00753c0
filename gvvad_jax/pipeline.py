"""The chain as a list of stages, each done or not by its manifest, then training without and with generated data.

So far the videos are drawn on the spot (synthesis/scenes/); descriptions, generators and the filter join the list
later. Real and generated videos are separate sets, so that the same detector can be trained on the real ones alone.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from gvvad_jax import program, records
from gvvad_jax.features import encoders, extraction
from gvvad_jax.features import video as videos
from gvvad_jax.records import manifest
from gvvad_jax.synthesis import scenes
from gvvad_jax.training import runs, settings


@dataclasses.dataclass(frozen=True)
class Stage:
    """What is made, where, and by what; `make` may be called again after a kill and goes on."""

    name: str
    out: Path
    make: Callable[[Path], str]

    @property
    def is_done(self) -> bool:
        """Whether the set is there, whole: a set without the videos that failed is made again, those alone."""
        return (self.out / manifest.NAME).exists() and not (self.out / "errors.jsonl").exists()


def run(config: Any, folder: Path) -> dict[str, Any]:
    """Makes the sets in W/sets/, trains in W/real_only on the real videos alone and in W on real ∪ generated ones.

    In this order, so that summary and page of W hold the figures of both ("real_only": {"auc", "auc_anomalous"}).
    """
    if config.data.features:
        raise ValueError("mode=pipeline makes its own features; leave data.features empty, or set mode=train.")
    asked, folder = config.pipeline, folder.resolve()  # the same run, from whichever folder it is started
    if len(asked.tiles) != 2 or not all(isinstance(n, int) for n in asked.tiles):
        raise ValueError(f"pipeline.tiles is {asked.tiles}; give columns and rows: --config.pipeline.tiles=5,3.")
    options = videos.Options(crops=asked.crops, tiles=tuple(asked.tiles), motion=tuple(asked.motion))
    chain = stages(
        folder / "sets",
        generator=asked.generator,
        real=asked.real,
        generated=asked.generated,
        test=asked.test,
        seed=config.data_seed,
        options=options,
    )
    real, both = str(chain[1].out), f"{chain[1].out},{chain[3].out}"
    # A run that cannot be, or does not fit what W holds, is refused before hours of making sets.
    runs.check(config)
    for features, place in ((both, folder), (real, folder / "real_only")):
        settings.require_same(_training(config, features), place)
    # W's own config is written when training starts; sets that a killed chain left are of these settings, too.
    origin = {"pipeline": asked.to_dict(), "data_seed": config.data_seed}
    settings.require_same(origin, folder / "sets")
    if jax.process_index() == 0:
        settings.write(origin, folder / "sets")
    make(chain)
    alone = runs.train_seeds(_training(config, real), folder / "real_only")
    headline = alone["metrics"][alone["rule"]] or {}
    figures = {key: headline.get(key) for key in ("auc", "auc_anomalous")}
    each = [{key: settings.of_run(value, k) for key, value in figures.items()} for k in range(config.seeds)]
    found = runs.train_seeds(_training(config, both), folder, [{"real_only": less} for less in each])
    if jax.process_index() == 0:
        print(_real_only(figures))
    return found


def _real_only(figures: dict[str, Any]) -> str:
    """One line; of several seeds the mean."""
    every, anomalous = (value["mean"] if isinstance(value, dict) else value for value in figures.values())
    if every is None or anomalous is None:
        return "real only: no frame metrics"
    return f"real only: {every:.4f} over all videos, {anomalous:.4f} over anomalous ones"


def _training(config: Any, features: str) -> Any:
    own = copy.deepcopy(config)
    own.mode, own.data.features = "train", features
    return own


def stages(
    folder: Path, *, generator: str, real: int, generated: int, test: int, seed: int, options: videos.Options
) -> list[Stage]:
    """Two video sets and their features under `folder`; `real`, `test` and `generated` are videos a class."""
    if generator != "scenes":
        raise ValueError(f"pipeline.generator is {generator!r}; this version has scenes alone.")
    if min(real, generated, test) < 1:
        raise ValueError(f"pipeline.real, generated and test are {real}, {generated}, {test}; give 1 or more a class.")
    counts = {"real": {"train": real, "test": test}, "synthetic": {"train": generated}}
    made = []
    for style, splits in counts.items():
        source = folder / f"{style}_videos"
        made.append(Stage(f"draw {style} videos", source, _drawer(style, splits, seed)))
        made.append(Stage(f"extract {style} features", folder / f"{style}_features", _extractor(source, options)))
    return made


def make(chain: Sequence[Stage]) -> None:
    """Prints the plan, then makes what is not there yet, in order."""
    for stage in chain:
        print(f"{'done ' if stage.is_done else 'to do'}  {stage.name}: {stage.out}")
    for stage in chain:
        if not stage.is_done:
            print(stage.make(stage.out))


def _drawer(style: str, splits: dict[str, int], seed: int) -> Callable[[Path], str]:
    def draw(out: Path) -> str:
        total = 2 * sum(splits.values())
        with records.writer(out, "video", 1, {"generator": "scenes", "style": style, "seed": seed} | splits) as writer:
            for video in program.progress(_clips(style, splits, seed), f"draw {style}", total, "video"):
                if video.id not in writer:
                    writer.add(video)
        return f"{total} videos drawn: {out}"

    return draw


def _clips(style: str, splits: dict[str, int], seed: int) -> Iterator[records.Video]:
    for split, count in splits.items():
        for label in (0, 1):
            yield from scenes.clips(count, label=label, style=style, split=split, seed=seed, num_frames=96)


def _extractor(source: Path, options: videos.Options) -> Callable[[Path], str]:
    def extract(out: Path) -> str:
        encoder = encoders.create("efficientnet_lite0")
        done = extraction.extract(records.reader(source), encoder, options, out, dataset="scenes", shards=1)
        if done.failed:
            raise ValueError(f"{len(done.failed)} videos of {source} gave no features; {out}/errors.jsonl says why.")
        return str(done)

    return extract
