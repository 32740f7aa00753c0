"""UCSD Ped2 (Mahadevan et al., CVPR 2010) with the published weakly supervised split (RTFM, TEVAD).

The split trains on six anomalous `Test…` and four normal `Train…` videos and tests on the other eighteen.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

from gvvad_jax.datasets import files, text
from gvvad_jax.datasets.entry import NORMAL, Entry
from gvvad_jax.datasets.labels import SNIPPET_FRAMES

LAYOUT = (
    "UCSD's own tree (Train/Train001/*.tif … and Test/Test001/*.tif …, also inside UCSDped2/) or "
    "frames/Train001/*.jpg … frames/Test012/*.jpg"
)
SOURCE = (
    "UCSD Ped2: UCSDped2.m (frame intervals, 1-based inclusive there, 0-based half-open here) and frame counts of "
    "UCSD_Anomaly_Dataset.v1p2; weak split: ped2-i3d.list, ped2-i3d-test.list of github.com/coranholmes/TEVAD",
    "Cite: Mahadevan, Li, Bhalodia, Vasconcelos, Anomaly Detection in Crowded Scenes, CVPR 2010; split: Chen et al., "
    "TEVAD, CVPR Workshops 2023; Tian et al., RTFM, ICCV 2021. Terms: UCSD asks for citation and states no licence.",
)


def annotated(known: dict[str, Entry], root: Path) -> dict[str, Entry]:
    """`known` as annotation files under `root` say it: labels.json with split.json, then UCSD's own UCSDped2.m."""
    labels, split = text.find(root, "labels.json"), text.find(root, "split.json")
    if labels is not None and split is not None:
        known = known | _read_json(labels, split)
    matlab = text.find(root, "UCSDped2.m")
    intervals = read_matlab(matlab) if matlab is not None else {}
    return {id: replace(entry, intervals=intervals.get(id, entry.intervals)) for id, entry in known.items()}


def read_matlab(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    """Test001 … in the order of the lines `TestVideoFile{end+1}.gt_frame = [61:180];`; several ranges a line work."""
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for number, line in text.lines(path):
        if "gt_frame" not in line or line.startswith("%"):
            continue
        match = re.fullmatch(r"TestVideoFile\{[^}]*\}\.gt_frame\s*=\s*\[([\d:,\s]*)\]\s*;?\s*(?:%.*)?", line)
        ranges = re.split(r"[,\s]+", match[1].strip(" ,")) if match else []
        numbers = [text.integers(word.split(":")) or [] for word in ranges]
        if not match or any(len(n) != 2 or not 1 <= n[0] <= n[1] for n in numbers):
            raise text.malformed(path, number, "TestVideoFile{end+1}.gt_frame = [first:last];", line)
        found[f"Test{len(found) + 1:03}"] = tuple((first - 1, last) for first, last in numbers)
    return found


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """The 28 videos of the weak split with their folders of pictures, sorted by name."""
    base = home(files.check_root(root, "ped2", LAYOUT))
    places = ("frames", "Train", "Test", "")
    placed, missing = [], []
    for id, entry in sorted(known.items()):
        folders = [base / place / id for place in places]
        counts = {folder: files.count_pictures(folder) for folder in folders if folder.is_dir()}
        folder = next((folder for folder, count in counts.items() if count), None)
        if folder is None:
            missing.append(id)
            continue
        count, notes = counts[folder], entry.notes
        if not 0 <= (entry.num_frames or 0) - count <= SNIPPET_FRAMES:
            raise ValueError(
                f"{id}: {count} pictures in {folder}, but {entry.num_frames} frames as published; is this UCSDped1, "
                "are frames there twice, or is the copy incomplete?"
            )
        if count != entry.num_frames:
            notes += (f"{id}: {count} pictures in {folder}, but {entry.num_frames} frames as published",)
        placed.append(replace(entry, path=folder, num_frames=count, notes=notes))
    if not placed:
        raise FileNotFoundError(f"no video of ped2 under {root}; ped2 expects {LAYOUT}")
    files.refuse_missing(missing, "ped2", root, len(known), skip_missing)
    return placed


def home(root: Path) -> Path:
    """The folder of Ped2 itself: UCSD's archive has UCSDped1, with the same video names, beside it."""
    inside = [root / "UCSDped2", root / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped2"]
    return next((folder for folder in inside if folder.is_dir()), root)


def label_from_name(id: str) -> int:
    """0 for Train…, 1 for Test… (every Test video has an anomaly), else -1."""
    return {"Train": 0, "Test": 1}.get(id.rstrip("0123456789"), -1)


def _read_json(labels: Path, split: Path) -> dict[str, Entry]:
    try:
        splits = {id: name.split("_")[0] for name, ids in json.loads(split.read_text()).items() for id in ids}
        return {
            id: Entry(
                id=id,
                dataset="ped2",
                split=splits[id],
                label=row["label"],
                category="" if row["label"] else NORMAL,
                num_frames=row["num_frames"],
                intervals=tuple((start, end) for start, end in row["intervals"]),
            )
            for id, row in json.loads(labels.read_text()).items()
        }
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{labels}: not a table of video -> num_frames, label, intervals ({error!r})") from None
