"""UBnormal (Acsintoae et al., CVPR 2022): split lists and track files, both read from the videos' root.

Their licence (CC BY-NC-ND 4.0) keeps the lists out of the package. `Scene<N>/<video>.mp4`, where N is the third part
of the name, has its tracks in `Scene<N>/<video>_annotations/<video>_tracks.txt`: a row an abnormal object, `id,first,
last`, frames 0-based and inclusive. The form is that of the published evaluation script; no sample was at hand.
"""

import math
import re
from dataclasses import replace
from pathlib import Path

from gvvad_jax.datasets import files, labels, text
from gvvad_jax.datasets.entry import NORMAL, Entry

LAYOUT = (
    "Scene<N>/<video>.mp4 with <video>_annotations/<video>_tracks.txt beside it, and the six published lists "
    "(normal_training_video_names.txt … abnormal_test_video_names.txt) there or in splits/ or scripts/"
)
LISTS = {
    f"{kind}_{part}_video_names.txt": (label, split)
    for label, kind in enumerate(("normal", "abnormal"))
    for part, split in (("training", "train"), ("validation", "validation"), ("test", "test"))
}


def annotated(known: dict[str, Entry], root: Path) -> dict[str, Entry]:
    """Every video of the lists under `root`; the intervals of abnormal ones are left to `complete`."""
    found: dict[str, Entry] = {}
    for name, (label, split) in LISTS.items():
        path = text.find(root, name)
        for number, line in text.lines(path) if path is not None else ():
            id = files.without_ending(line)
            if label_from_name(id) != label or id in found:
                kind = "abnormal" if label else "normal"
                raise text.malformed(path or root, number, f"{kind}_scene_N_scenario_M, in one list only", line)
            found[id] = _entry(id, split)
    return found


def complete(entry: Entry, root: Path) -> Entry:
    """`entry` with the union of its tracks; a normal video has no anomalous frame, whatever files lie beside it."""
    if entry.label == 0:
        return entry
    path = _tracks(entry.id, root)
    if path is None:
        return replace(entry, notes=(f"{entry.id}: no track file, so its frames are not labelled",))
    return replace(entry, intervals=read_tracks(path))


def from_name(id: str, root: Path | None) -> Entry | None:
    """A video that no list names, where its tracks lie under `root`, or where there are no lists and it is normal."""
    if root is None or label_from_name(id) < 0:
        return None
    entry = _entry(id, "test")
    has_place = _tracks(id, root) is not None or (entry.label == 0 and not annotated({}, root))
    return complete(entry, root) if has_place else None


def read_tracks(path: Path) -> tuple[tuple[int, int], ...]:
    """The union over `id,first,last` rows, which may be written as floats."""
    found = []
    for number, line in text.lines(path):
        try:
            numbers = [float(word) for word in line.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 3 or not all(math.isfinite(n) and n == int(n) for n in numbers):
            raise text.malformed(path, number, "object id, first frame, last frame", line)
        _, first, last = (int(n) for n in numbers)
        if not 0 <= first <= last:
            raise text.malformed(path, number, "frames 0 <= first <= last", line)
        found.append((first, last + 1))
    return labels.union(found)


def entries(root: Path, known: dict[str, Entry], skip_missing: bool) -> list[Entry]:
    """The 543 videos of the lists; intervals are None, with a note, for an abnormal one without a track file."""
    absent = [name for name in LISTS if text.find(root, name) is None]
    if absent:
        raise FileNotFoundError(f"no {absent[0]} under {root}; ubnormal expects {LAYOUT}")
    placed = files.locate(known, root, layout=LAYOUT, skip_missing=skip_missing)
    return [complete(entry, root) for entry in placed]


def label_from_name(id: str) -> int:
    """0 for normal_scene_…, 1 for abnormal_scene_…, else -1."""
    match = re.fullmatch(r"(ab)?normal_scene_\d+_\w+", id)
    return -1 if not match else int(match[1] is not None)


def _tracks(id: str, root: Path) -> Path | None:
    place = Path(f"Scene{id.split('_')[2]}", f"{id}_annotations", f"{id}_tracks.txt")
    return next((path for path in (root / place, root / "UBnormal" / place) if path.is_file()), None)


def _entry(id: str, split: str) -> Entry:
    normal = label_from_name(id) == 0
    entry = Entry(id=id, dataset="ubnormal", split=split, label=int(not normal), intervals=() if normal else None)
    return replace(entry, category=NORMAL if normal else "")
