"""Lines of annotation files, and the one sentence that a malformed one gets (file, line, what was expected)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

# Where annotation files lie under a root: beside the videos, or where a publisher's own archive puts them.
ARCHIVES = ("Anomaly_Detection_splits", "test_frame_mask", "testing/test_frame_mask", "splits", "scripts")
PED2 = ("Test", "UCSDped2/Test", "UCSD_Anomaly_Dataset.v1p2/UCSDped2/Test")
FOLDERS = ("", "annotations", *ARCHIVES, *PED2)
ENDINGS = (".txt", ".list", ".json", ".npz", ".npy", ".m")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without surrounding space) of every line that is not blank; a byte-order mark is dropped."""
    for number, raw in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise malformed(path, number, "text in UTF-8", repr(raw[:60])) from None
        if line:
            yield number, line


def malformed(path: Path, number: int, expected: str, got: str) -> ValueError:
    """The error for line `number` of `path`."""
    shown = " ".join(got.split())
    return ValueError(f"{path}, line {number}: expected {expected}, found '{shown[:120]}'")


def integers(words: list[str]) -> list[int] | None:
    """Decimal integers, or None where a word is anything else (int() alone takes '1_0' and foreign digits)."""
    if not all(re.fullmatch(r"[+-]?[0-9]{1,12}", word) for word in words):
        return None
    return [int(word) for word in words]


def pairs(numbers: list[int]) -> tuple[tuple[int, int], ...] | None:
    """Consecutive (start, end) pairs without the -1 -1 that stand for none; None where a pair is no range."""
    if len(numbers) % 2:
        return None
    both = [(s, e) for s, e in zip(numbers[::2], numbers[1::2], strict=True) if (s, e) != (-1, -1)]
    return tuple(both) if all(0 <= s < e for s, e in both) else None


def find(root: Path, *names: str) -> Path | None:
    """The first of `names` that exists in `root` or one of `FOLDERS` in it."""
    candidates = (root / folder / name for name in names for folder in FOLDERS)
    return next((path for path in candidates if path.is_file()), None)


def stamp(root: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of every file that `find` may find: two equal stamps mean the same annotation."""
    found = []
    for folder in (root / folder for folder in FOLDERS):
        if folder.is_dir():
            with os.scandir(folder) as files:
                found += [file for file in files if os.path.splitext(file.name)[1].lower() in ENDINGS]
    return tuple(sorted((file.path, file.stat().st_mtime_ns, file.stat().st_size) for file in found))
