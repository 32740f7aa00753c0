"""Descriptions → a set of generated clips: a generator turns one description into one video, GENERATORS names them."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gvvad_jax import program, records
from gvvad_jax.records import Description, Video
from gvvad_jax.synthesis import scenes
from gvvad_jax.synthesis.generators import folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the program's flags say; a generator refuses what it does not know."""

    root: Path | None = None
    weights: Path | None = None
    frames: int | None = None  # of a clip; None: the generator's own
    seed: int = 0
    shards: int = 8


# Opened with all descriptions and the options, so that what cannot work is refused before anything is written: gives a
# function of one description, whose ValueError or OSError is that clip's alone. `settings` of its videos' `source` say
# all that they depend on.
Make = Callable[[Description], Video]
Generator = Callable[[Sequence[Description], Any], contextlib.AbstractContextManager[Make]]
GENERATORS: dict[str, Generator] = {"scenes": scenes.generator, "folder": folder.clips}


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a call did. Ids in `failed` are in errors.jsonl in the set's folder."""

    path: Path
    made: int
    there: int
    failed: tuple[str, ...]

    @property
    def status(self) -> int:
        """The program's: 0 where every description has its clip, else 1."""
        return int(bool(self.failed))

    def __str__(self) -> str:
        said = [f"{self.made} clips made"]
        said += [f"{self.there} were there"] if self.there else []
        said += [f"{len(self.failed)} failed (errors.jsonl)"] if self.failed else []
        return f"{', '.join(said)}: {self.path}"


def generate(descriptions: str | Path, generator: str, out: str | Path, options: Options) -> Summary:
    """Writes the video set `out`, a clip a description, its id the description's.

    A clip that cannot be made is a line in `out`/errors.jsonl and the rest goes on. Called again it makes what is
    missing, also in a finished set. ValueError where the set was begun with another generator or other descriptions.
    """
    if generator not in GENERATORS:
        raise ValueError(f"no generator '{generator}'; this version has {', '.join(GENERATORS)}.")
    out, asked = Path(out), records.read_descriptions(descriptions)
    if not asked:
        raise ValueError(f"{descriptions} holds no description.")
    errors, made = program.Errors(out / "errors.jsonl"), 0
    begun = {"generator": generator, "descriptions": _digest(asked)}
    begun |= {"frames": options.frames} if options.frames else {}
    begun |= {"seed": options.seed} if options.seed else {}
    with (
        GENERATORS[generator](asked, options) as make,
        contextlib.suppress(_Nothing),
        records.writer(out, "video", options.shards, begun) as writer,
    ):
        there = len(writer.done)
        todo = [description for description in asked if description.id not in writer]
        for description in program.progress(todo, "generate", unit="clip") if todo else ():
            try:
                video = make(description)
            except (ValueError, OSError) as error:
                errors.add(description.id, error)
                continue
            writer.add(video)
            made += 1
        if not writer.done:
            raise _Nothing
    if errors.rows:  # those of this call alone
        records.write_jsonl(errors.path, errors.rows)
    else:
        errors.clear()
    return Summary(out, made, there, tuple(row["id"] for row in errors.rows))


class _Nothing(Exception):
    """Leaves the writer without a finished set: not one clip could be made."""


def _digest(descriptions: Sequence[Description]) -> str:
    rows = sorted((d.id, d.pair_id, d.label, d.category, d.text) for d in descriptions)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
