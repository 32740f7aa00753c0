"""XD-Violence (Wu et al., ECCV 2020): the label and classes from the name, test intervals from annotations.txt.

A name ends in `_label_A` (normal) or in up to three classes, `_label_B4-0-0`: B1 fighting, B2 shooting, B4 riot, B5
abuse, B6 car accident, G explosion. Fourteen of the 500 official test names carry `.mp4`, the others do not.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import logging

from gvvad_jax.datasets import files, text
from gvvad_jax.datasets.entry import NORMAL, Entry

LAYOUT = (
    "videos named …_label_A.mp4 or …_label_B1-0-0.mp4 at any depth (800 of them are the test part), if at hand with "
    "annotations.txt"
)
SOURCE = (
    "XD-Violence: annotations.txt as in github.com/nwpu-zxr/VadCLIP (Apache-2.0); the 300 normal test names: frame "
    "label files of github.com/yujiangpu20/PEL4VAD (MIT). No frame counts are published; a training video's label is "
    "in its name.",
    "Cite: Wu et al., Not only Look, but also Listen: Learning Multimodal Violence Detection under Weak Supervision, "
    "ECCV 2020. For research.",
)


def annotated(known: dict[str, Entry], root: Path) -> dict[str, Entry]:
    """`known` as annotations.txt under `root` (and PEL4VAD's arrays, for the names of normal videos) say it."""
    known = dict(known)
    path = text.find(root, "annotations.txt")
    if path is not None:
        known |= {id: _entry(id, "test", pairs) for id, pairs in read_intervals(path).items()}
    arrays = text.find(root, "pel4vad_xd_gt.npz")
    if arrays is not None:
        with np.load(arrays, allow_pickle=False) as file:
            known |= {id: _entry(id, "test", ()) for id in file.files if label_from_name(id) == 0}
    return known


def read_intervals(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    """`name start end start end …` a line; the 300 normal test videos are not listed."""
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for number, line in text.lines(path):
        words = line.split()
        intervals = text.pairs(text.integers(words[1:]) or [0])
        id = files.without_ending(words[0].replace("\\", "/").rpartition("/")[2])
        if not intervals or id in found or label_from_name(id) != 1:
            raise text.malformed(path, number, "a name with …_label_B… or G, once, then start end pairs", line)
        found[id] = intervals
    return found


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """Every video under `root` with a label in its name: the 800 known ones are test, all others train."""
    named = {id: from_name(id) for id in files.by_stem(root)}
    odd = sorted(id for id, entry in named.items() if entry is None)
    if odd:
        logging.warning("%d videos under %s without _label_ in their names, such as %s", len(odd), root, odd[0])
    training = {id: entry for id, entry in named.items() if entry is not None and id not in known}
    return files.locate(known | training, root, layout=LAYOUT, skip_missing=skip_missing)


def from_name(id: str, root: Path | None = None) -> Entry | None:
    """The training video that a name describes; None where it has no label."""
    return None if label_from_name(id) < 0 else _entry(id, "train", () if label_from_name(id) == 0 else None)


def label_from_name(id: str) -> int:
    """0 for `_label_A`, 1 for `_label_B…` or `_label_G…`, else -1."""
    codes = _codes(id)
    return -1 if not codes else int(codes != ["A"])


def _codes(id: str) -> list[str]:
    match = re.search(r"_label_((?:A|B\d|G|0)(?:-(?:A|B\d|G|0))*)$", id)
    return [code for code in match[1].split("-") if code != "0"] if match else []


def _entry(id: str, split: str, intervals: tuple[tuple[int, int], ...] | None) -> Entry:
    codes = _codes(id)
    entry = Entry(id=id, dataset="xd", split=split, label=label_from_name(id), intervals=intervals)
    return replace(entry, category=NORMAL if codes == ["A"] else "-".join(codes))
