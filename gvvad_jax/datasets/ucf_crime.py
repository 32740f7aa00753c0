"""UCF-Crime (Sultani, Chen, Shah, CVPR 2018): split lists, temporal annotation, frame counts where a copy has them.

The official annotation numbers frames as the video does at its own 30 fps and is read as [start, end), as VadCLIP and
PEL4VAD do. Five of its 156 ends lie one or two frames past the video; they stay as annotated until labels are made.
"""

import re
from dataclasses import replace
from pathlib import Path

from gvvad_jax.datasets import files, text
from gvvad_jax.datasets.entry import NORMAL, Entry

LAYOUT = (
    "the videos in their class folders (Abuse/Abuse001_x264.mp4, Testing_Normal_Videos_Anomaly/…) at any depth, "
    "if at hand with Temporal_Anomaly_Annotation.txt, Anomaly_Train.txt and Anomaly_Test.txt"
)
SOURCE = (
    "UCF-Crime: Temporal_Anomaly_Annotation.txt, Anomaly_Train.txt, Anomaly_Test.txt as in github.com/nwpu-zxr/VadCLIP "
    "(Apache-2.0); frame counts: UCF_Annotation.txt of github.com/henrryzh1/UR-DMU (MIT)",
    "Cite: Sultani, Chen, Shah, Real-world Anomaly Detection in Surveillance Videos, CVPR 2018. For research.",
)
# Fifty normal videos of the two splits lie a second time in these folders of UCF's own archive.
COPIES = ("Normal_Videos_for_Event_Recognition", "Normal_Videos_event")


def annotated(known: dict[str, Entry], root: Path) -> dict[str, Entry]:
    """`known` as the official files under `root` say it; any of the four may be absent."""
    known = dict(known)
    for split in ("train", "test"):
        path = text.find(root, f"Anomaly_{split.title()}.txt")
        for entry in read_split(path, split).values() if path is not None else ():
            before = known.get(entry.id, entry)
            known[entry.id] = replace(entry, intervals=before.intervals, num_frames=before.num_frames)
    for name in ("Temporal_Anomaly_Annotation.txt", "UCF_Annotation_frames.txt", "UCF_Annotation.txt"):
        path = text.find(root, name)
        for entry in read_annotation(path).values() if path is not None else ():
            before = known.get(entry.id, entry)
            known[entry.id] = replace(entry, num_frames=entry.num_frames or before.num_frames)
    return known


def read_split(path: Path, split: str) -> dict[str, Entry]:
    """A split list, `Class/name.mp4` a line; normal videos' intervals are (), the others' unknown."""
    found: dict[str, Entry] = {}
    for number, line in text.lines(path):
        folder, _, name = line.replace("\\", "/").rpartition("/")
        id = files.without_ending(name)
        if not folder or not id or id in found:
            raise text.malformed(path, number, "Class/name.mp4, every name once", line)
        category = NORMAL if label_from_name(id) == 0 else folder.rpartition("/")[2]
        found[id] = _entry(id, split, category, None if category != NORMAL else ())
    return found


def read_annotation(path: Path) -> dict[str, Entry]:
    """The test videos of `name class start end start end` (-1 -1: none), or of UR-DMU's form with a frame count:
    `Class/name.mp4 frames class start end start end`."""
    found: dict[str, Entry] = {}
    for number, line in text.lines(path):
        words = line.split()
        count = words.pop(1) if len(words) in (5, 7) else None
        numbers = text.integers(words[2:] + ([count] if count is not None else []))
        frames = numbers.pop() if numbers and count is not None else None
        intervals = text.pairs(numbers or [])
        if len(words) not in (4, 6) or not numbers or intervals is None or (frames is not None and frames < 1):
            raise text.malformed(path, number, "name [frames] class start end start end", line)
        id = files.without_ending(words[0].replace("\\", "/").rpartition("/")[2])
        if id in found or (words[1] == NORMAL) != (not intervals):
            raise text.malformed(path, number, "every name once, and intervals unless the class is Normal", line)
        found[id] = replace(_entry(id, "test", words[1], intervals), num_frames=frames)
    return found


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """The 1,610 training and 290 test videos."""
    return files.locate(known, root, layout=LAYOUT, skip_missing=skip_missing, avoid=COPIES)


def label_from_name(id: str) -> int:
    """0 where `Normal` is in the name, 1 for a class and a number (Abuse001…), else -1."""
    return 0 if "Normal" in id else 1 if re.match(r"[A-Za-z]+\d{3}", id) else -1


def _entry(id: str, split: str, category: str, intervals: tuple[tuple[int, int], ...] | None) -> Entry:
    label = int(category != NORMAL)
    return Entry(id=id, dataset="ucf", split=split, label=label, category=category, intervals=intervals)
