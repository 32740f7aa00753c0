"""The manifest of a set: what the folder holds, and when it counts as whole.

A set is `manifest.json`, `index.jsonl` and the shards `part-00000-of-00008.array_record` …; without a manifest there is
none. A set that grows is written whole into `.replacement/` (its manifest last, the folder renamed into place at once),
then put over the old files one by one. While `.replacement/manifest.json` is there *it* is the set, so that a program
killed at any moment leaves one that reads.
"""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gvvad_jax.records import files, schemas

NAME, INDEX = "manifest.json", "index.jsonl"
UNFINISHED, REPLACEMENT = ".unfinished", ".replacement"
FORMAT = "gvvad records"
SHARD = re.compile(r"part-\d{5,}-of-\d{5,}\.array_record")


def shard_name(number: int, count: int) -> str:
    """`part-00000-of-00008.array_record`."""
    return f"part-{number:05d}-of-{count:05d}.array_record"


def read(path: Path) -> tuple[Path, dict[str, Any], str]:
    """The folder whose files are the set's, its manifest, and the SHA-256 of the manifest's bytes."""
    for folder in (path / REPLACEMENT, path):
        try:
            data = (folder / NAME).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        manifest = parse(data, folder / NAME)
        return folder, manifest, hashlib.sha256(data).hexdigest()
    if (path / UNFINISHED).is_dir():
        raise FileNotFoundError(
            f"{path} is an unfinished set (no {NAME}); run the program that writes it again to end it"
        )
    what = "no such folder" if not path.exists() else f"no {NAME} in it"
    raise FileNotFoundError(f"{path} is no set of records ({what}); make one with tools/extract.py or records.writer")


def parse(data: bytes, name: Path) -> dict[str, Any]:
    """A manifest from its bytes; a file that is none of ours, or of another schema: ValueError that names it."""
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{name} is damaged ({error}); copy the set again, or make it again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{name} is not the manifest of a set of records; name another folder")
    if manifest.get("schema") != schemas.SCHEMA:
        raise ValueError(
            f"{name} has schema version {manifest.get('schema')}, but this program reads version {schemas.SCHEMA}; "
            "read it with the release that wrote it, or make the set again"
        )
    if (kind := manifest.get("kind")) not in schemas.KINDS:
        raise ValueError(f"{name} has the kind {kind!r}, but the kinds of record are {', '.join(schemas.KINDS)}")
    if missing := [k for k in ("counts", "options", "index", "shards", *schemas.CONSTANTS[kind]) if k not in manifest]:
        raise ValueError(f"{name} lacks {', '.join(missing)} (docs/records.md); copy the set again, or make it again")
    if not isinstance(manifest["shards"], list):
        raise ValueError(f"{name} has 'shards' that are no list (docs/records.md)")
    entries = [manifest["index"], *manifest["shards"]]
    for entry in entries:
        if not isinstance(entry, dict) or not {"file", "bytes", "sha256", "records"} <= entry.keys():
            raise ValueError(f"{name} lacks file, bytes, sha256 or records of its index or a shard (docs/records.md)")
        if not isinstance(entry["file"], str) or entry["file"] != os.path.basename(entry["file"]):
            raise ValueError(f"{name} names the file '{entry['file']}', but a set's files lie beside their manifest")
    return manifest


def make(
    kind: str,
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    shards: Sequence[str],
    constants: Mapping[str, Any] | None,
    dtypes: Sequence[str],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest of files that lie in `folder`."""
    per_shard = Counter(row["shard"] for row in rows)

    def entry(name: str, count: int) -> dict[str, Any]:
        path = folder / name
        return {"file": name, "records": count, "bytes": path.stat().st_size, "sha256": files.sha256(path)}

    return {
        "format": FORMAT,
        "schema": schemas.SCHEMA,
        "kind": kind,
        "counts": counts(rows),
        **{key: _by_key(value) for key, value in (constants or dict.fromkeys(schemas.CONSTANTS[kind])).items()},
        "dtypes": list(dtypes),
        "options": dict(options),
        "index": entry(INDEX, len(rows)),
        "shards": [entry(name, per_shard[name]) for name in shards],
    }


def _by_key(value: Any) -> Any:
    # Records read back have their keys sorted, new ones do not: a set that went on would differ from one made at once.
    return json.loads(json.dumps(value, sort_keys=True))


def counts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How many records there are of each split, label and synthetic flag; nothing for texts, which have none."""
    keys = ("split", "label", "synthetic")
    found = Counter(tuple(row[k] for k in keys) for row in rows if all(k in row for k in keys))
    return [dict(zip(keys, key, strict=True)) | {"records": n} for key, n in sorted(found.items())]


def write(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a manifest atomically."""
    with files.atomic_write(path, text=True) as file:
        file.write(json.dumps(manifest, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def publish(packed: Path, path: Path) -> None:
    """Makes the files of `packed` the set `path`: renamed into a folder that is no set yet, put over one that is."""
    files.sync_folder(packed)
    if (path / NAME).exists():
        shutil.rmtree(path / REPLACEMENT, ignore_errors=True)
        os.rename(packed, path / REPLACEMENT)
        files.sync_folder(path)
        settle(path)
        return
    for name in _in_order(packed):
        if name == NAME:
            files.sync_folder(path)
        os.replace(packed / name, path / name)
    files.sync_folder(path)
    _remove_strangers(path)


def settle(path: Path) -> None:
    """Ends a replacement, also one that a killed program left: its files over the old ones, then it goes."""
    replacement = path / REPLACEMENT
    if (replacement / NAME).exists():
        for name in _in_order(replacement):
            temporary = path / f".{name}.tmp"
            temporary.unlink(missing_ok=True)
            try:
                os.link(replacement / name, temporary)
            except OSError:  # a file system without hard links
                shutil.copyfile(replacement / name, temporary)
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            os.replace(temporary, path / name)
            temporary.unlink(missing_ok=True)  # renaming one link of a file over another link of it does nothing
        files.sync_folder(path)
        (replacement / NAME).unlink()  # from here on the folder itself is the set again
        files.sync_folder(replacement)
    shutil.rmtree(replacement, ignore_errors=True)
    _remove_strangers(path)


def _in_order(folder: Path) -> list[str]:
    return sorted((p.name for p in folder.iterdir()), key=lambda name: (name == NAME, name == INDEX, name))


def _remove_strangers(path: Path) -> None:
    """Removes shards that the manifest does not name: those of an earlier number of shards."""
    named = {entry["file"] for entry in parse((path / NAME).read_bytes(), path / NAME)["shards"]}
    for file in path.iterdir():
        if SHARD.fullmatch(file.name) and file.name not in named:
            file.unlink()
