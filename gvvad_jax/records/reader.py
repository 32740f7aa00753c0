"""Reads a set: its index at once, its records as they are asked for, from any thread or spawned process."""

import json
import operator
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]

from gvvad_jax.records import files, manifest, schemas, selection

Where = Callable[[dict[str, Any]], bool]


class Reader:
    """The records of a set, or of a view of it, sorted by id: `len`, `[i]`, iteration, `.by_id`, `.select`.

    Arrays are NumPy's, read-only. A damaged record or a changed, cut or missing shard is a ValueError or OSError that
    names the shard. Shards are opened when first read; a pickled reader opens its own.
    """

    def __init__(self, path: Path, rows: list[dict[str, Any]], contents: dict[str, Any], digest: str, shards: "Shards"):
        self.path, self.rows, self.manifest, self.digest = path, rows, contents, digest
        self.kind: str = contents["kind"]
        self._shards = shards
        self._positions: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._view(self.rows[index])
        return self._record(self.rows[operator.index(index)])

    def __iter__(self) -> Iterator[Any]:
        return map(self._record, self.rows)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def __repr__(self) -> str:
        return f"<{len(self)} {self.kind} records of {self.path}>"

    @property
    def ids(self) -> list[str]:
        """The ids in the order of the records."""
        return [row["id"] for row in self.rows]

    @property
    def _by_id(self) -> dict[str, int]:
        if self._positions is None:
            self._positions = {row["id"]: i for i, row in enumerate(self.rows)}
        return self._positions

    def by_id(self, id: str) -> Any:
        """The record of one video."""
        return self[self.position(id)]

    def position(self, id: str) -> int:
        """The number of one video's record."""
        if id not in self:
            raise ValueError(f"{self.path}: no record '{id}' among {len(self)}; its index.jsonl lists the ids")
        return self._by_id[id]

    def select(self, where: "Where | selection.Selection | None") -> "Reader":
        """A view that keeps the records whose row of the index `where` accepts; nothing is copied or opened."""
        if where is None:
            return self
        if isinstance(where, selection.Selection):
            where.require_known(self._by_id, str(self.path))
        return self._view([row for row in self.rows if where(row)])

    def data(self, index: int) -> bytes:
        """The stored bytes of a record (a safetensors blob)."""
        row = self.rows[index]
        return self._shards.read(row["shard"], row["position"], row["id"])

    def _view(self, rows: list[dict[str, Any]]) -> "Reader":
        return Reader(self.path, rows, self.manifest, self.digest, self._shards)

    def _record(self, row: Mapping[str, Any]) -> Any:
        data = self._shards.read(row["shard"], row["position"], row["id"])
        try:
            record = schemas.unpack(data, self.kind)
            if record.id != row["id"]:
                raise ValueError(f"it holds '{record.id}'; the set was changed since it was opened: open it again")
        except ValueError as error:
            raise ValueError(self._shards.damaged(row["shard"], row["position"], row["id"], error)) from None
        return record


class Shards:
    """The open shards of a set, shared by all views of it."""

    def __init__(self, folder: Path, entries: Sequence[Mapping[str, Any]]):
        self.folder = folder
        self.entries = {entry["file"]: entry for entry in entries}
        self.__setstate__({})
        for name in self.entries:
            self._check_size(name)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "entries": self.entries}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self, name: str, position: int, id: str) -> bytes:
        """The bytes of one record."""
        shard = self._open.get(name) or self._opened(name)
        try:
            return shard.read([position])[0]
        except (RuntimeError, IndexError, ValueError) as error:
            raise ValueError(self.damaged(name, position, id, error)) from None

    def damaged(self, name: str, position: int, id: str, error: BaseException) -> str:
        """The sentence for a record that cannot be read."""
        reason = str(error).partition("\n")[0].partition(";")[0].strip()
        return (
            f"{self.folder / name}: record {position} ('{id}') is damaged ({reason}); copy this shard "
            "again from its origin, or make the set again"
        )

    def _check_size(self, name: str) -> None:
        path, want = self.folder / name, self.entries[name]["bytes"]
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path} is missing; copy this shard from the set's origin, or make it again"
            ) from None
        if size != want:
            raise ValueError(
                f"{path} has {size:,} bytes, but its manifest says {want:,}: a cut copy, or a set that has "
                "changed since it was opened; copy this shard again, or open the set again"
            )

    def _opened(self, name: str) -> Any:
        with self._lock:
            if name not in self._open:
                path, want = self.folder / name, self.entries[name]["records"]
                self._check_size(name)
                try:
                    # no read-ahead: single records are asked for, in any order
                    shard = array_record_module.ArrayRecordReader(
                        str(path), "readahead_buffer_size:0,max_parallelism:0", file_reader_buffer_size=65536
                    )
                    count = shard.num_records()
                except RuntimeError as error:
                    reason = str(error).partition("\n")[0].partition(";")[0]
                    raise ValueError(
                        f"{path} cannot be opened ({reason}); copy this shard again, or make the set again"
                    ) from None
                if count != want:
                    raise ValueError(
                        f"{path} holds {count} records, but its manifest says {want}; copy this shard again"
                    )
                self._open[name] = shard
            return self._open[name]


def reader(path: str | os.PathLike, where: "Where | selection.Selection | None" = None) -> Reader:
    """Opens a set; refused with the file's name: no manifest, another schema version, a shard or index not whole.

    `where` sees a record's row of the index (id, split, label, synthetic, category, num_frames, num_snippets …) and
    says whether to keep it; a Selection keeps the ids it keeps.
    """
    path = Path(path)
    folder, contents, digest = manifest.read(path)
    shards = Shards(folder, contents["shards"])
    rows = read_index(folder, contents)
    return Reader(path, rows, contents, digest, shards).select(where)


def read_index(folder: Path, contents: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the index; one that is not the manifest's, byte for byte: ValueError that names it."""
    entry = contents["index"]
    index = folder / entry["file"]
    if not index.is_file():
        raise FileNotFoundError(f"{index} is missing; copy it from the set's origin, or make the set again")
    if (size := index.stat().st_size) != entry["bytes"] or files.sha256(index) != entry["sha256"]:
        raise ValueError(
            f"{index} is not the index of its manifest ({size:,} bytes, {entry['bytes']:,} expected, or others); "
            "copy the set again, or make it again"
        )
    try:
        rows = [json.loads(line) for line in index.read_bytes().split(b"\n") if line]
    except ValueError as error:
        raise ValueError(f"{index} holds a line that is not JSON ({error}); make the set again") from None
    if len(rows) != entry["records"]:
        raise ValueError(f"{index} has {len(rows)} rows, but its manifest says {entry['records']}; make the set again")
    shards, seen = {shard["file"] for shard in contents["shards"]}, set()
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{index}, row {number}: a {type(row).__name__}, but every row is one JSON object")
        if missing := [name for name in schemas.ROW[contents["kind"]] if name not in row]:
            raise ValueError(f"{index}, row {number}: no {', '.join(missing)}; docs/records.md lists what a row holds")
        place = row["shard"], row["position"]
        if not isinstance(row["id"], str) or not isinstance(place[0], str) or type(place[1]) is not int or place[1] < 0:
            raise ValueError(
                f"{index}, row {number}: id {row['id']!r}, shard {place[0]!r}, position {place[1]!r}, but id and shard "
                "are text and a position is a whole number from 0"
            )
        if row["shard"] not in shards or row["id"] in seen:
            raise ValueError(
                f"{index}, row {number}: '{row['id']}' is there twice, or its shard is not in the manifest"
            )
        seen.add(row["id"])
    return rows
