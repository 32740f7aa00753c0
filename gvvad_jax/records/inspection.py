"""What is wrong with a set, byte for byte: for the doctor, and for whoever copied one."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gvvad_jax.records import fields, files, manifest, schemas
from gvvad_jax.records.reader import Shards, read_index

LINES = 5  # problems told of one shard; the rest is a count


def check(path: str | os.PathLike) -> list[str]:
    """Every problem of a set, a sentence each that names the file; an empty list: every byte is as it was written.

    Compares the SHA-256 of index and shards with the manifest, opens every record, checks its fields, and compares it
    with its row of the index and with what the manifest says of all.
    """
    path = Path(path)
    try:
        folder, contents, _ = manifest.read(path)
        rows = read_index(folder, contents)
    except (ValueError, OSError) as error:
        return [str(error)]
    problems = list(_folder(path, contents))
    if (found := manifest.counts(rows)) != contents["counts"]:
        problems.append(f"{folder / manifest.NAME}: 'counts' says {contents['counts']}, but the index gives {found}")
    for entry in contents["shards"]:
        told = list(_shard(folder, entry, contents, [row for row in rows if row["shard"] == entry["file"]]))
        problems += told[:LINES]
        if len(told) > LINES:
            problems.append(f"{folder / entry['file']}: {len(told) - LINES} problems more")
    return problems


def _folder(path: Path, contents: Mapping[str, Any]) -> Iterator[str]:
    if (path / manifest.REPLACEMENT).exists() or (path / manifest.UNFINISHED).exists():
        yield f"{path}: a program that was adding records was stopped; run it again to end it (what was there reads on)"
    named = {entry["file"] for entry in contents["shards"]}
    for file in sorted(path.iterdir()):
        if manifest.SHARD.fullmatch(file.name) and file.name not in named:
            yield f"{file} is a shard that the manifest does not name; it is never read, remove it"


def _shard(
    folder: Path, entry: Mapping[str, Any], contents: Mapping[str, Any], rows: Sequence[dict[str, Any]]
) -> Iterator[str]:
    try:
        shard = Shards(folder, [entry])
    except (ValueError, OSError) as error:
        yield str(error)
        return
    path = folder / entry["file"]
    if (digest := files.sha256(path)) != entry["sha256"]:
        yield (
            f"{path} has the SHA-256 {digest[:12]}…, but its manifest says {entry['sha256'][:12]}…; copy this shard "
            "again from its origin, or make the set again"
        )
    if sorted(row["position"] for row in rows) != list(range(entry["records"])):
        yield f"{path}: {entry['records']} records, but {len(rows)} rows of the index, or not each position once"
    for row in rows:
        try:
            record = schemas.unpack(shard.read(entry["file"], row["position"], row["id"]), contents["kind"])
            fields.checked(record)
        except (ValueError, OSError) as error:
            yield (
                str(error) if str(path) in str(error) else f"{path}: record {row['position']} ('{row['id']}'): {error}"
            )
            continue
        said = {"shard": row["shard"], "position": row["position"]} | schemas.row(record)
        facts = schemas.constants(record)
        for name, value in (said | facts).items():
            there = row[name] if name in said else contents[name]
            if there != value:
                where = manifest.INDEX if name in said else manifest.NAME
                yield f"{path}: record '{row['id']}' has {name} {value!r}, but {where} says {there!r}"
