"""Descriptions → a set of generated clips: a generator turns one description into one video, GENERATORS names them."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gvvad_jax import hosts, program, records
from gvvad_jax.records import Description, Video, manifest
from gvvad_jax.synthesis import scenes
from gvvad_jax.synthesis.generators import folder, sheets
from gvvad_jax.synthesis.options import Options as Options

# Opened with all descriptions and the options, so that what cannot work is refused before anything is written: gives a
# function of one description, whose ValueError or OSError is that clip's alone; a MemoryError ends the run. `settings`
# of its videos' `source` say all that they depend on.
Make = Callable[[Description], Video]
Generator = Callable[[Sequence[Description], Options], contextlib.AbstractContextManager[Make]]


def _cogvideox(descriptions: Sequence[Description], options: Options) -> contextlib.AbstractContextManager[Make]:
    from gvvad_jax.synthesis.generators import cogvideox  # here: its networks are slow to import

    return cogvideox.clips(descriptions, options)


GENERATORS: dict[str, Generator] = {"scenes": scenes.generator, "folder": folder.clips, "cogvideox": _cogvideox}


@runtime_checkable
class Prepares(Protocol):
    """A function that does some of its work for many descriptions at once, and whose set goes on with its settings."""

    settings: Mapping[str, Any]

    def prepare(self, descriptions: Sequence[Description], cache: Path) -> None:
        """Called once, before the first clip; what is to be kept goes into the folder `cache`."""
        ...

    def __call__(self, description: Description, /) -> Video:
        """The clip."""
        ...


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


def generate(
    descriptions: str | Path,
    generator: str,
    out: str | Path,
    options: Options,
    share: hosts.Share = hosts.Share(),  # noqa: B008, frozen
) -> Summary:
    """Writes the video set `out`, a clip a description, its id the description's, and a preview sheet a shard.

    A clip that cannot be made is a line in `out`/errors.jsonl and the rest goes on. Called again it makes what is
    missing, also in a finished set. ValueError where the set was begun with another generator, other settings or other
    descriptions. With a `share` every process calls it alike and makes its own clips; process 0's summary is of all.
    """
    if generator not in GENERATORS:
        raise ValueError(f"no generator '{generator}'; this version has {', '.join(GENERATORS)}.")
    out, asked = Path(out), records.read_descriptions(descriptions)
    if not asked:
        raise ValueError(f"{descriptions} holds no description.")
    if options.mp4 is not None:
        _require_inside(options.mp4, asked)
    errors, made = program.Errors(out / "errors.jsonl"), 0
    begun: dict[str, Any] = {"generator": generator, "descriptions": _digest(asked)}
    begun |= {"frames": options.frames} if options.frames else {}
    begun |= {"seed": options.seed} if options.seed else {}
    with GENERATORS[generator](asked, options) as make, contextlib.suppress(_Nothing):
        begun |= make.settings if isinstance(make, Prepares) else {}
        with share.open(out, "video", options.shards, begun) as writer:
            if isinstance(writer, records.Helper):
                errors = program.Errors(writer.beside(share.index))
            there = len(writer.done)
            todo = [description for description in asked if description.id not in writer]
            own = share.of(todo)
            if isinstance(make, Prepares):
                try:
                    make.prepare(own, Path(f"{out}.cache"))
                except MemoryError as error:
                    raise OSError(f"{error}.") from None
            for description in program.progress(own, "generate", unit="clip") if own else ():
                try:
                    video = make(description)
                except MemoryError as error:
                    raise OSError(f"{description.id}: {error}.") from None
                except (ValueError, OSError) as error:
                    errors.add(description.id, error)
                    continue
                _keep(writer, video, options.mp4)
                made += 1
            part = {"made": made, "errors": errors.rows, "failed": [row["id"] for row in errors.rows]}
            parts = share.join(writer, [description.id for description in todo], part)
            made, failed = sum(part["made"] for part in parts), [row for part in parts for row in part["errors"]]
            if not writer.done:
                raise _Nothing
    if share.index == 0:
        if failed:  # those of this call alone
            records.write_jsonl(errors.path, failed)
        else:
            errors.clear()
        if (out / manifest.NAME).exists():
            sheets.write(out, again=made > 0)
            _write_files(out, options.mp4)
    share.wait()
    return Summary(out, made, there, tuple(row["id"] for row in failed))


def _keep(writer: records.Writer | records.Helper, video: Video, files: Path | None) -> None:
    """Adds a clip to the set and, if asked for, to a folder of files; a full disk is one sentence."""
    try:
        writer.add(video)
        if files is not None:
            _write_file(files, video)
    except OSError as error:
        raise OSError(
            f"{writer.path}: '{video.id}' cannot be written ({error.strerror or error}); make room, then run the same "
            "command again: it goes on."
        ) from error


def _write_files(out: Path, files: Path | None) -> None:
    """The clips that an earlier run made, or of which a file was removed."""
    if files is None:
        return
    for video in records.reader(out):
        path = files / f"{video.id}.mp4"
        if not path.exists() or path.read_bytes() != video.video:
            _write_file(files, video)


def _write_file(files: Path, video: Video) -> None:
    path = files / f"{video.id}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    with records.atomic_write(path) as file:
        file.write(video.video)


def _require_inside(files: Path, descriptions: Sequence[Description]) -> None:
    for description in descriptions:
        if not (files / f"{description.id}.mp4").resolve().is_relative_to(files.resolve()):
            raise ValueError(f"the id {description.id!r} would be a file outside {files}; leave --mp4 out.")


class _Nothing(Exception):
    """Leaves the writer without a finished set: not one clip could be made."""


def _digest(descriptions: Sequence[Description]) -> str:
    rows = sorted((d.id, d.pair_id, d.label, d.category, d.text) for d in descriptions)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
