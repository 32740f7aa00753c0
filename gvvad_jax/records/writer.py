"""Writes a set so that a killed program loses nothing and the finished bytes depend on the records alone.

`add` puts each record into a file of its own under `.unfinished/` (temporary name, synced, renamed): what a resumed run
finds. A clean exit packs these, sorted by id, into shards, then writes the index and last the manifest.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]

from gvvad_jax.records import blob, fields, files, manifest, schemas
from gvvad_jax.records.reader import Reader, reader  # the package has the function `reader` under the module's name

SHARD_OPTIONS = "group_size:1,uncompressed"
OPTIONS = "options.json"  # under .unfinished/
BESIDE = {"errors.jsonl"}  # what may lie in the folder of a set that is not begun


class Writer:
    """A set being written, a context manager: `add(record)` from any thread, `id in w`, `.done`."""

    def __init__(self, path: Path, kind: str, shards: int, options: Mapping[str, Any] | None):
        if kind not in schemas.KINDS:
            raise ValueError(f"{path}: no kind '{kind}' of record; the kinds are {', '.join(schemas.KINDS)}")
        if shards < 1:
            raise ValueError(f"{path}: {shards} shards; at least 1 is needed")
        given = None if options is None else fields.json_object(options, f"{path}: options")
        _refuse_strangers(path)
        self.path, self.kind, self._shards = path, kind, shards
        self._unfinished = path / manifest.UNFINISHED
        self._lock, self._adding = threading.Lock(), set()
        path.mkdir(parents=True, exist_ok=True)
        self._folder = _locked(path)
        try:
            self._old = self._finished_set()
            kept = self._kept_options()
            _refuse_other_options(path, kept, given)
            # The caller's, where equal: their order of keys is the manifest's.
            self.options: dict[str, Any] = given or (kept or {}).get("options", {})
            self._unfinished.mkdir(exist_ok=True)
            self._write_options()
            self._constants = self._find_kept()
        except BaseException:
            os.close(self._folder)
            raise

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            os.close(self._folder)
            self._folder = -1

    def __contains__(self, id: object) -> bool:
        return id in self._done

    @property
    def done(self) -> list[str]:
        """The ids that are there already, sorted."""
        return sorted(self._done)

    def add(self, record: schemas.Record) -> None:
        """Checks a record and keeps it on disk; when this returns, a killed program has it."""
        if self._folder < 0:
            raise ValueError(f"{self.path}: the writer is closed; open it again to add '{record.id}'")
        if schemas.kind_of(record) != self.kind:
            raise ValueError(f"{self.path} is a {self.kind} set, but '{record.id}' is a {type(record).__name__}")
        record = fields.checked(record)
        constants = schemas.constants(record)
        with self._lock:
            if record.id in self._done or record.id in self._adding:
                raise ValueError(
                    f"{self.path}: '{record.id}' is there already; ids are unique in a set (ask `id in writer`)"
                )
            self._require_same(record.id, constants)
            self._adding.add(record.id)
        try:
            _keep(self._unfinished, record)
            with self._lock:
                self._done.add(record.id)
                self._new.add(record.id)
        finally:
            with self._lock:
                self._adding.discard(record.id)

    def take(self, id: str) -> None:
        """Takes in a record that a helper has kept; one that is not there: FileNotFoundError."""
        file = self._unfinished / _file_name(id)
        if not file.exists() or _kept_id(file) != id:
            raise FileNotFoundError(
                f"{self.path}: another process made '{id}', but it is not here; all need one shared file system"
            )
        constants = schemas.constants(schemas.unpack(file.read_bytes(), self.kind))
        with self._lock:
            self._require_same(id, constants)
            self._done.add(id)
            self._new.add(id)

    def part(self, number: int) -> dict[str, Any]:
        """What helper `number` said at its end."""
        return json.loads((self._unfinished / _part_name(number)).read_bytes())

    def _require_same(self, id: str, constants: dict[str, Any]) -> None:
        if self._constants is None:
            self._constants = constants
        for name, value in constants.items():
            if value != self._constants[name]:
                raise ValueError(
                    f"{self.path}: '{id}' has {name} {value}, but the records before it have {self._constants[name]}; "
                    "one set holds one shape and encoder: write another set"
                )

    # What is there when the writer opens.

    def _finished_set(self) -> Reader | None:
        if not (self.path / manifest.NAME).exists():
            return None
        if (self.path / manifest.REPLACEMENT).exists():
            manifest.settle(self.path)
        return reader(self.path)

    def _kept_options(self) -> dict[str, Any] | None:
        """Kind and options of the set that is there, finished or not."""
        if self._old is not None:
            kept = {"kind": self._old.kind, "options": self._old.manifest["options"]}
        elif (self._unfinished / OPTIONS).exists():
            kept = json.loads((self._unfinished / OPTIONS).read_bytes())
        else:
            return None
        if kept["kind"] != self.kind:
            raise ValueError(
                f"{self.path} is a {kept['kind']} set, but a {self.kind} writer was asked for; name another folder"
            )
        return kept

    def _write_options(self) -> None:
        kept = {"schema": schemas.SCHEMA, "kind": self.kind, "options": self.options}
        with files.atomic_write(self._unfinished / OPTIONS, text=True) as file:
            file.write(files.dump(kept, f"{self.path}: options") + "\n")

    def _find_kept(self) -> dict[str, Any] | None:
        """Finds the records that are there, and gives what all of them share; remains of a killed program go."""
        old = self._old
        self._done: set[str] = set() if old is None else set(old.ids)
        self._new: set[str] = set()
        constants = None
        if old is not None and len(old):
            constants = schemas.constants(old[0])
        shutil.rmtree(self._unfinished / "packed", ignore_errors=True)
        for file in sorted(self._unfinished.iterdir()):
            if file.name == OPTIONS:
                continue
            id = _kept_id(file)
            if id is None or id in self._done:
                file.unlink()
                continue
            if constants is None:
                constants = schemas.constants(schemas.unpack(file.read_bytes(), self.kind))
            self._done.add(id)
            self._new.add(id)
        return constants

    # The end.

    def _finish(self) -> None:
        if self._old is None or self._new:
            packed = self._unfinished / "packed"
            packed.mkdir()
            self._pack(packed)
            manifest.publish(packed, self.path)
        shutil.rmtree(self._unfinished)
        files.sync_folder(self.path)

    def _pack(self, packed: Path) -> None:
        ids = self.done
        count = min(self._shards, len(ids))
        rows, names, dtypes = [], [], set()
        for number in range(count):
            name = manifest.shard_name(number, count)
            names.append(name)
            part = ids[len(ids) * number // count : len(ids) * (number + 1) // count]
            with _shard_writer(packed / name) as shard:
                for position, id in enumerate(part):
                    data = self._data(id)
                    record = schemas.unpack(data, self.kind)
                    arrays = (getattr(record, field) for field in ("visual", "vectors") if hasattr(record, field))
                    dtypes.update(array.dtype.name for array in arrays)
                    row = schemas.row(record)
                    rows.append({"id": id, "shard": name, "position": position} | row)
                    shard.write(data)
        with files.atomic_write(packed / manifest.INDEX, text=True) as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        contents = manifest.make(self.kind, packed, rows, names, self._constants, sorted(dtypes), self.options)
        manifest.write(packed / manifest.NAME, contents)

    def _data(self, id: str) -> bytes:
        if id in self._new:
            return (self._unfinished / _file_name(id)).read_bytes()
        assert self._old is not None
        return self._old.data(self._old.position(id))


class Helper:
    """Adds records to a set whose writer another process has open; that one takes them in. A context manager."""

    def __init__(self, path: Path, kind: str, options: Mapping[str, Any]):
        self.path, self.kind = path, kind
        self._unfinished = path / manifest.UNFINISHED
        if not (self._unfinished / OPTIONS).exists():
            raise FileNotFoundError(
                f"{path}: the set that process 0 has begun is not here; all processes need one shared file system"
            )
        kept = json.loads((self._unfinished / OPTIONS).read_bytes())
        _refuse_other_options(path, kept, fields.json_object(options, f"{path}: options"))
        there = reader(path).ids if (path / manifest.NAME).exists() else []
        self._done = {*there, *filter(None, map(_kept_id, self._unfinished.iterdir()))}

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __contains__(self, id: object) -> bool:
        return id in self._done

    @property
    def done(self) -> list[str]:
        """The ids that were there at its begin, and its own, sorted."""
        return sorted(self._done)

    def add(self, record: schemas.Record) -> None:
        """Checks a record and keeps it on disk beside the writer's."""
        if schemas.kind_of(record) != self.kind:
            raise ValueError(f"{self.path} is a {self.kind} set, but '{record.id}' is a {type(record).__name__}")
        if record.id in self._done:
            raise ValueError(f"{self.path}: '{record.id}' is there already; ids are unique in a set")
        record = fields.checked(record)
        _keep(self._unfinished, record)
        self._done.add(record.id)

    def beside(self, number: int) -> Path:
        """Where helper `number` may write its errors, which go with the unfinished set."""
        return self._unfinished / f"errors-{number}.jsonl"

    def end(self, number: int, part: Mapping[str, Any]) -> None:
        """Says, as helper `number`, what it did: JSON that the writer reads."""
        with files.atomic_write(self._unfinished / _part_name(number), text=True) as file:
            json.dump(part, file)


def writer(path: str | os.PathLike, kind: str, shards: int = 8, options: Mapping[str, Any] | None = None) -> Writer:
    """Opens a set for writing: a new one, one that a killed program left, or a finished one to which records are added.

    `options` (a JSON dict of how the records are made) goes into the manifest; opening a set again with other ones is
    a ValueError that names them, None takes those that are there. An exit by an exception keeps what was added.
    """
    return Writer(Path(path), kind, shards, options)


def _keep(unfinished: Path, record: schemas.Record) -> None:
    """A record as a file of its own."""
    with files.atomic_write(unfinished / _file_name(record.id)) as file:
        file.write(schemas.pack(record))


def _part_name(number: int) -> str:
    return f"part-{number}.json"


def _file_name(id: str) -> str:
    return hashlib.sha256(id.encode("utf-8")).hexdigest() + ".safetensors"


def _kept_id(file: Path) -> str | None:
    """The id of a record under `.unfinished/`; None for anything else there, or a file that is not whole."""
    if file.suffix != ".safetensors" or file.name.startswith("."):
        return None
    try:
        size = file.stat().st_size
        with file.open("rb") as handle:
            start = handle.read(8)
            header, begin = blob.read_header(start + handle.read(min(size, int.from_bytes(start, "little"))))
        id = blob.header_record(header)["id"]
        end = max(entry["data_offsets"][1] for entry in header.values())
        return id if begin + end == size and _file_name(id) == file.name else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@contextlib.contextmanager
def _shard_writer(path: Path) -> Iterator[Any]:
    shard = array_record_module.ArrayRecordWriter(str(path), SHARD_OPTIONS)
    try:
        yield shard
    finally:
        shard.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _locked(path: Path) -> int:
    """Keeps a second writer off the folder, as long as the descriptor is open or until the process dies."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(f"{path} is being written by another program; wait for it, or name another folder") from None
    except OSError:  # a file system without locks
        pass
    return descriptor


def _refuse_strangers(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise ValueError(f"{path} is a file, but a set is a folder; name another")
    if (path / manifest.NAME).exists():
        manifest.parse((path / manifest.NAME).read_bytes(), path / manifest.NAME)
        return
    if (path / manifest.UNFINISHED).is_dir():
        return
    strangers = sorted(p.name for p in path.iterdir() if p.name not in BESIDE)
    if strangers:
        raise ValueError(
            f"{path} is no set of records and not empty (it holds '{strangers[0]}'); name an empty or new folder"
        )


def _refuse_other_options(path: Path, kept: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> None:
    if kept is None or given is None or kept["options"] == given:
        return
    have = kept["options"]
    keys = sorted(k for k in have.keys() | given.keys() if k not in have or k not in given or have[k] != given[k])
    named = ", ".join(f"{k} ({have.get(k, 'not set')!r} before, {given.get(k, 'not set')!r} now)" for k in keys)
    raise ValueError(f"{path} was begun with other options: {named}; give the same, or name another folder")
