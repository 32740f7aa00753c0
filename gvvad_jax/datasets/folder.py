"""Anyone's own videos: labels from labels.csv, else from folder names, else none (see `LAYOUT`)."""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from absl import logging

from gvvad_jax.datasets import files, labels, text
from gvvad_jax.datasets.entry import NORMAL, Entry

LAYOUT = (
    "video files or folders of pictures, labelled by a labels.csv (id, label, split, category, start, end) or by "
    "folders [train/, validation/ or test/]normal/… and anomalous/…, or not labelled"
)
SPLITS = ("train", "validation", "test")
COLUMNS = ("id", "label", "split", "category", "start", "end")


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """Every video under `root`, sorted by id: its path under `root` without the ending.

    With a labels.csv, videos that it does not name are unlabelled (label -1, split test: they are only scored).
    """
    files.check_root(root, "folder", LAYOUT)
    found: dict[str, Path] = {}
    for id, path in files.videos(root):
        if id in found:
            raise ValueError(f"{id}: two files with one id, {found[id]} and {path}; rename one of them")
        found[id] = path
    table = root / "labels.csv"
    if not table.is_file():
        if not found:
            raise FileNotFoundError(f"no video under {root}; folder expects {LAYOUT}")
        by_place = [_from_place(id, path) for id, path in sorted(found.items())]
        _warn_of_unlabelled(by_place, root)
        return by_place
    listed = read_labels(table)
    missing = [row.id for row in listed.values() if _match(row.id, found) is None]
    files.refuse_missing(missing, "labels.csv", root, len(listed), skip_missing)
    placed: dict[str, Entry] = {}
    for row in listed.values():
        id = _match(row.id, found)
        if id in placed:
            raise ValueError(f"{table}: '{row.id}' and '{id}' name one video, {found[id]}; use one spelling")
        if id is not None:
            placed[id] = _from_row(id, found[id], row)
    unlisted = sorted(found.keys() - placed.keys())
    if unlisted:
        logging.warning("%d videos under %s are not in labels.csv, such as %s", len(unlisted), root, unlisted[0])
    for id in unlisted:
        placed[id] = Entry(
            id=id, dataset="folder", split="test", label=-1, path=found[id], notes=(f"{id}: not in labels.csv",)
        )
    if not placed:
        raise FileNotFoundError(f"no video under {root}; folder expects {LAYOUT}")
    return [placed[id] for id in sorted(placed)]


@dataclass
class Row:
    """What the lines of one id in labels.csv say together."""

    id: str
    label: int
    split: str
    category: str
    intervals: list[tuple[int, int]] = field(default_factory=list)


def read_labels(path: Path) -> dict[str, Row]:
    """labels.csv by id: a line an interval, so an id may have several, which must agree in all else.

    Only `id` and `label` are required columns; an empty label is unknown (-1), an empty split train (test where the
    label is unknown). Commas or semicolons separate.
    """
    numbered = list(text.lines(path))
    if not numbered:
        raise ValueError(f"{path}: empty; expected a header ({','.join(COLUMNS)}) and a line a video or interval")
    header = numbered[0][1]
    delimiter = ";" if ";" in header and "," not in header else ","
    names = [name.lower() for name in _cells(path, *numbered[0], delimiter)]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or len(set(names)) < len(names) or not {"id", "label"} <= set(names):
        raise text.malformed(path, numbered[0][0], f"the columns {','.join(COLUMNS)} (id and label at least)", header)
    rows: dict[str, Row] = {}
    for number, line in numbered[1:]:
        cells = _cells(path, number, line, delimiter)
        if len(cells) != len(names):
            raise text.malformed(path, number, f"{len(names)} cells ({','.join(names)})", line)
        row = _read_row(path, number, line, defaultdict(str, zip(names, cells, strict=True)))
        first = rows.setdefault(row.id, row)
        if first is not row:
            if (first.label, first.split, first.category) != (row.label, row.split, row.category):
                raise text.malformed(
                    path, number, f"the label, split and category of the lines of '{row.id}' above", line
                )
            first.intervals += row.intervals
    return rows


def label_from_name(id: str) -> int:
    """-1: a name in one's own folder says nothing."""
    return -1


def _cells(path: Path, number: int, line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error as error:
        raise text.malformed(path, number, f"comma-separated cells ({error})", line) from None


def _read_row(path: Path, number: int, line: str, cells: dict[str, str]) -> Row:
    id = cells["id"].replace("\\", "/").removeprefix("./")
    if not id or cells["label"] not in ("0", "1", "-1", ""):
        raise text.malformed(path, number, "an id and a label 0 or 1", line)
    label = int(cells["label"] or -1)
    split = cells["split"].lower() or ("test" if label < 0 else "train")
    if split not in SPLITS:
        raise text.malformed(path, number, "the split train, validation or test", line)
    row = Row(id, label, split, cells["category"])
    if cells["start"] or cells["end"]:
        both = text.integers([cells["start"], cells["end"]])
        if both is None or not 0 <= both[0] < both[1]:
            raise text.malformed(path, number, "frames 0 <= start < end (end excluded), or both empty", line)
        if label != 1:
            raise text.malformed(path, number, "no interval where the label is not 1", line)
        row.intervals.append((both[0], both[1]))
    return row


def _match(id: str, found: dict[str, Path]) -> str | None:
    """The video that a listed id means; it may be written with its ending."""
    return next((name for name in (id, files.without_ending(id)) if name in found), None)


def _from_row(id: str, path: Path, row: Row) -> Entry:
    intervals = labels.union(row.intervals) if row.intervals else () if row.label == 0 else None
    category = row.category or (NORMAL if row.label == 0 else "")
    return Entry(
        id=id, dataset="folder", split=row.split, label=row.label, category=category, intervals=intervals, path=path
    )


def _from_place(id: str, path: Path) -> Entry:
    """Label and split from the folders that the id begins with."""
    parts = id.split("/")[:-1]
    split = parts.pop(0) if parts and parts[0] in SPLITS else ""
    label = {"normal": 0, "anomalous": 1}.get(parts[0], -1) if parts else -1
    return Entry(
        id=id,
        dataset="folder",
        split=split or ("test" if label < 0 else "train"),
        label=label,
        category=NORMAL if label == 0 else "",
        intervals=() if label == 0 else None,
        path=path,
    )


def _warn_of_unlabelled(entries: list[Entry], root: Path) -> None:
    """Where folders give labels, a video without one is most likely in a folder of another name."""
    unlabelled = [entry.id for entry in entries if entry.label < 0]
    if unlabelled and any(entry.label >= 0 or entry.split != "test" for entry in entries):
        logging.warning(
            "%d of %d videos under %s lie in no folder normal/ or anomalous/ and have no label, such as %s",
            len(unlabelled),
            len(entries),
            root,
            unlabelled[0],
        )
