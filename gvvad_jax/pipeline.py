"""The chain from nothing to feature sets, as a list of stages, each done or not by its manifest (`mode=pipeline`).

So far the videos are drawn on the spot (synthesis/scenes.py); descriptions, generators and the filter join the list
later. Real and generated videos are separate sets, so that the same detector can be trained with and without.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import logging

from gvvad_jax import program, records
from gvvad_jax.features import encoders, extraction
from gvvad_jax.features import video as videos
from gvvad_jax.records import manifest
from gvvad_jax.synthesis import scenes


@dataclasses.dataclass(frozen=True)
class Stage:
    """What is made, where, and by what; `make` may be called again after a kill and goes on."""

    name: str
    out: Path
    make: Callable[[Path], str]

    @property
    def is_done(self) -> bool:
        """Whether the set is there, whole."""
        return (self.out / manifest.NAME).exists()


def stages(
    folder: Path, *, generator: str, real: int, generated: int, test: int, seed: int, options: videos.Options
) -> list[Stage]:
    """Two video sets and their features under `folder`: `real` + `test` videos a class, and `generated` ones a class."""
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


def run(chain: Sequence[Stage]) -> None:
    """Prints the plan, then makes what is not there yet, in order."""
    for stage in chain:
        print(f"{'done ' if stage.is_done else 'to do'}  {stage.name}: {stage.out}")
    if all(stage.is_done for stage in chain):
        return
    encoders.use_all_cores()
    for stage in chain:
        if not stage.is_done:
            print(stage.make(stage.out))


def _drawer(style: str, splits: dict[str, int], seed: int) -> Callable[[Path], str]:
    def make(out: Path) -> str:
        total = 2 * sum(splits.values())
        with records.writer(out, "video", 1, {"generator": "scenes", "style": style, "seed": seed} | splits) as writer:
            for video in program.progress(_clips(style, splits, seed), f"draw {style}", total, "video"):
                if video.id not in writer:
                    writer.add(video)
        return f"{total} videos drawn: {out}"

    return make


def _clips(style: str, splits: dict[str, int], seed: int) -> Iterator[records.Video]:
    for split, count in splits.items():
        for label in (0, 1):
            yield from scenes.clips(count, label=label, style=style, split=split, seed=seed)


def _extractor(source: Path, options: videos.Options) -> Callable[[Path], str]:
    def make(out: Path) -> str:
        encoder = encoders.create("efficientnet_lite0")
        done = extraction.extract(records.reader(source), encoder, options, out, dataset="scenes", shards=1)
        if done.failed:
            raise ValueError(f"{len(done.failed)} videos of {source} gave no features; {out}/errors.jsonl says why.")
        logging.info("%s", done)
        return str(done)

    return make
