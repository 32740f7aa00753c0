"""TAD, the traffic anomaly dataset (Lv et al., TIP 2021).

The official line is `name.mp4 frames start end …`, 1-based inclusive, -1 -1 for a normal video. Published label arrays
used that -1 as an index: each of the 40 normal test videos has one positive frame, at F − 2. Ours have none.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from gvvad_jax.datasets import files, labels, tables, text
from gvvad_jax.datasets.entry import NORMAL, Entry

LAYOUT = (
    "videos (01_Accident_001.mp4, Normal_001.mp4) or folders of frames with those names at any depth, if at hand with "
    "vals.txt (name.mp4 frames start end)"
)
SOURCE = (
    "TAD: lists tad-clip-{train,test}_large.list and list/gt-tad-dic.pickle of github.com/shiwoaz/lap and "
    "github.com/Sumutan/GV-VAD; the one positive frame of each of the 40 normal videos there (an index of -1) is "
    "dropped. 05_else_038 and 06_PedestrianOnRoad_027 are anomalous without a marked frame.",
    "Cite: Lv, Zhou, Cui, Xu, Li, Yang, Localizing Anomalies from Weakly-Labeled Videos, IEEE TIP 2021. Terms not "
    "stated.",
)
ANNOTATIONS = ("vals.txt", "tad_annotation.txt", "annotation.txt")
NAME = re.compile(r"(?:\d{2}_([A-Za-z]+)|(Normal))_\d+")


def annotated(known: dict[str, Entry], root: Path) -> dict[str, Entry]:
    """`known` as LAP's lists and label arrays, then the official annotation, under `root` say it."""
    known = dict(known)
    for split in ("train", "test"):
        path = text.find(root, f"tad-clip-{split}_large.list")
        for id in read_list(path) if path is not None else ():
            known[id] = replace(known.get(id, _entry(id, split)), split=split)
    arrays = text.find(root, "frame_labels_published.npz")
    if arrays is not None:
        with np.load(arrays, allow_pickle=False) as file:
            for id in filter(NAME.fullmatch, file.files):
                found = () if label_from_name(id) == 0 else labels.intervals_from_labels(file[id])
                known[id] = _marked(known.get(id, _entry(id, "test")), found, len(file[id]))
    path = text.find(root, *ANNOTATIONS)
    for id, (found, frames) in (read_annotation(path) if path is not None else {}).items():
        known[id] = _marked(known.get(id, _entry(id, "test")), found, frames)
    return known


def read_list(path: Path) -> list[str]:
    """Names from a feature list, `…/01_Accident_001_clip_large.npy` a line."""
    found: list[str] = []
    for number, line in text.lines(path):
        match = NAME.match(line.replace("\\", "/").rpartition("/")[2])
        if not match or match[0] in found:
            raise text.malformed(path, number, "a path to 01_Accident_001… or Normal_001…, once", line)
        found.append(match[0])
    return found


def read_annotation(path: Path) -> dict[str, tuple[tuple[tuple[int, int], ...], int]]:
    """(intervals, frame count) by name; 53 118 of 190 frames is [52, 118)."""
    found: dict[str, tuple[tuple[tuple[int, int], ...], int]] = {}
    for number, line in text.lines(path):
        words = line.split()
        id, numbers = files.without_ending(words[0].replace("\\", "/").rpartition("/")[2]), text.integers(words[1:])
        marks = [n for n in numbers[1:] if n != -1] if numbers else []
        starts = [start - 1 for start in marks[::2]]
        intervals = text.pairs([n for both in zip(starts, marks[1::2], strict=False) for n in both])
        if not numbers or len(numbers) < 3 or len(numbers) % 2 == 0 or len(marks) % 2 or intervals is None:
            raise text.malformed(path, number, "name.mp4 frames start end …", line)
        if numbers[0] < 1 or id in found or label_from_name(id) < 0 or (intervals and label_from_name(id) == 0):
            raise text.malformed(path, number, "a name such as 01_Accident_001 once, and -1 -1 for Normal_…", line)
        found[id] = (intervals, numbers[0])
    return found


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """The 400 training and 100 test videos."""
    return files.locate(known, root, layout=LAYOUT, skip_missing=skip_missing)


def label_from_name(id: str) -> int:
    """0 for Normal_…, 1 for a number, class and number, else -1."""
    match = NAME.fullmatch(id)
    return -1 if not match else int(match[2] is None)


def _marked(entry: Entry, intervals: tuple[tuple[int, int], ...], num_frames: int) -> Entry:
    notes = tables.unmarked(entry.id, entry.label, intervals)
    return replace(entry, intervals=intervals, num_frames=num_frames, notes=notes)


def _entry(id: str, split: str) -> Entry:
    match = NAME.fullmatch(id)
    category = (match[1] or NORMAL) if match else ""
    normal = category == NORMAL
    return Entry(
        id=id, dataset="tad", split=split, label=int(not normal), category=category, intervals=() if normal else None
    )
