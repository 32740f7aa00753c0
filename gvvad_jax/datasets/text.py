"""Lines of annotation files, and the one sentence that a malformed one gets (file, line, what was expected)."""

import re
from collections.abc import Iterator
from pathlib import Path


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


def find(root: Path, *names: str, folders: tuple[str, ...] = ("", "annotations")) -> Path | None:
    """The first of `names` that exists in `root` or one of its `folders`."""
    candidates = (root / folder / name for name in names for folder in folders)
    return next((path for path in candidates if path.is_file()), None)
