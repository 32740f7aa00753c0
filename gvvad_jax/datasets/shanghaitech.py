"""ShanghaiTech Campus (Luo, Liu, Gao, ICCV 2017) in the weakly supervised split of Zhong et al. (CVPR 2019).

Names with four digits after `_` (01_0014, from the original test part) are anomalous and have official frame masks;
names with three (01_001, the original training part) are normal and only ever had 16 x snippets as a length, which is
no frame count. Both kinds are in both parts of the weak split.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from gvvad_jax.datasets import files, labels, text
from gvvad_jax.datasets.entry import NORMAL, Entry

LAYOUT = (
    "training/videos/01_001.avi … and testing/frames/01_0014/*.jpg … at any depth, if at hand with SH_Train.txt, "
    "SH_Test.txt and testing/test_frame_mask/*.npy"
)
SOURCE = (
    "ShanghaiTech Campus: weak split SH_Train.txt, SH_Test.txt of Zhong et al.; frame masks: official test_frame_mask "
    "(equal to list/gt-sh2-dic.pickle of github.com/shiwoaz/lap on all 107 anomalous videos); classes of the anomalous "
    "training videos: list/sh/relabel.list of github.com/yujiangpu20/PEL4VAD (MIT). Frame counts: the 107 alone.",
    "Cite: Luo, Liu, Gao, A Revisit of Sparse Coding Based Anomaly Detection in Stacked RNN Framework, ICCV 2017; "
    "Zhong et al., Graph Convolutional Label Noise Cleaner, CVPR 2019. For research.",
)


def annotated(known: dict[str, Entry], root: Path) -> dict[str, Entry]:
    """`known` as split lists, frame masks (or one .npz of them) and classes under `root` say it."""
    known = dict(known)
    for split in ("train", "test"):
        path = text.find(root, f"SH_{split.title()}.txt")
        for id in read_split(path) if path is not None else ():
            entry = _entry(id, split)
            before = known.get(id, entry)
            known[id] = replace(before, split=split)
    for id, intervals, num_frames in _masks(root):
        known[id] = replace(known.get(id, _entry(id, "test")), intervals=intervals, num_frames=num_frames)
    path = text.find(root, "video_classes.txt")
    for id, category in (read_classes(path) if path is not None else {}).items():
        known[id] = replace(known.get(id, _entry(id, "train")), category=category)
    return known


def read_split(path: Path) -> list[str]:
    """A name a line."""
    found: list[str] = []
    for number, line in text.lines(path):
        if label_from_name(line) < 0 or line in found:
            raise text.malformed(path, number, "a name such as 01_001 or 01_0014, once", line)
        found.append(line)
    return found


def read_classes(path: Path) -> dict[str, str]:
    """`name class` a line."""
    found: dict[str, str] = {}
    for number, line in text.lines(path):
        words = line.split()
        if len(words) != 2 or label_from_name(words[0]) != 1 or words[0] in found:
            raise text.malformed(path, number, "an anomalous video's name, once, and its class", line)
        found[words[0]] = words[1]
    return found


def read_mask(path: Path) -> np.ndarray:
    """One official frame mask: a number a frame, 0 or 1."""
    try:
        mask = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path}: not a frame mask ({' '.join(str(error).split())})") from None
    if not isinstance(mask, np.ndarray) or mask.ndim != 1 or not len(mask) or not np.isin(mask, (0, 1)).all():
        raise ValueError(f"{path}: expected a frame mask, one number 0 or 1 a frame")
    return mask


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """The 238 training and 199 test videos of the weak split."""
    return files.locate(known, root, layout=LAYOUT, skip_missing=skip_missing)


def label_from_name(id: str) -> int:
    """1 for two digits, `_`, four digits; 0 for three after the `_`; else -1."""
    match = re.fullmatch(r"\d{2}_(\d{3,4})", id)
    return -1 if not match else int(len(match[1]) == 4)


def _masks(root: Path) -> list[tuple[str, tuple[tuple[int, int], ...], int]]:
    """(id, intervals, frame count) of every anomalous video with a mask; those of normal ones have no true length."""
    masks = {}
    arrays = text.find(root, "frame_labels.npz")
    if arrays is not None:
        with np.load(arrays, allow_pickle=False) as file:
            masks |= {id: file[id] for id in file.files if label_from_name(id) == 1}
    for folder in (root / folder for folder in text.FOLDERS if folder.endswith("test_frame_mask")):
        masks |= {
            path.stem: read_mask(path) for path in sorted(folder.glob("*.npy")) if label_from_name(path.stem) == 1
        }
    return [(id, labels.intervals_from_labels(mask), len(mask)) for id, mask in sorted(masks.items())]


def _entry(id: str, split: str) -> Entry:
    normal = label_from_name(id) == 0
    entry = Entry(id=id, dataset="shanghaitech", split=split, label=int(not normal), intervals=() if normal else None)
    return replace(entry, category=NORMAL if normal else "")
