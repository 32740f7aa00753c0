"""Files that are whole or not there at all: written under a temporary name, synced, renamed; and JSON lines."""

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, text: bool = False) -> Iterator[IO]:
    """Opens a file that appears under `path` only when the block ends well; an earlier file stays until then.

    The bytes lie under `.<name>.<host>.<process>.tmp` beside it, are synced to disk, then renamed. An exception
    removes them.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") if text else temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # a full disk does not say for which file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Makes renames inside a folder survive a power cut, where the file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse to sync a folder; a rename is still whole there
        pass
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dump(value: Any, what: str) -> str:
    """Compact JSON with sorted keys; what JSON cannot carry bit for bit is refused, `what` saying whose it is."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        text.encode("utf-8")
    except (TypeError, ValueError) as error:  # UnicodeEncodeError (a lone surrogate) is a ValueError
        raise ValueError(
            f"{what} cannot be kept as JSON ({error}); use text, finite numbers, lists and dicts"
        ) from None
    return text


def read_jsonl(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, empty lines left out; a bad line is a ValueError that names file and line."""
    rows = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error}); every line holds one object") from None
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: a {type(row).__name__}, but every line holds one JSON object")
        rows.append(row)
    return rows


def write_jsonl(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one JSON object a line, atomically; key order is kept, a NaN is refused."""
    with atomic_write(path, text=True) as file:
        for number, row in enumerate(rows, 1):
            dump(row, f"{path}, row {number}")
            file.write(json.dumps(dict(row), ensure_ascii=False) + "\n")
