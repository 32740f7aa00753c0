"""What each benchmark says: annotation files → intervals → frame labels; splits; small tables of facts."""

import difflib
import functools
from pathlib import Path
from types import ModuleType

import numpy as np
from absl import logging
from jaxtyping import Int8

from gvvad_jax.datasets import files, folder, ped2, shanghaitech, tables, tad, text, ubnormal, ucf_crime, xd_violence
from gvvad_jax.datasets.entry import Entry
from gvvad_jax.datasets.labels import SNIPPET_FRAMES, clip, intervals_from_labels, labels_from_intervals

__all__ = [
    "Entry",
    "clip",
    "entries",
    "facts",
    "frame_labels",
    "intervals_from_labels",
    "label_from_name",
    "labels_from_intervals",
    "lookup",
    "names",
]

DATASETS: dict[str, ModuleType] = {
    "ucf": ucf_crime,
    "xd": xd_violence,
    "shanghaitech": shanghaitech,
    "tad": tad,
    "ped2": ped2,
    "ubnormal": ubnormal,
    "folder": folder,
}
FEATURE_ENDINGS = ("_i3d", "_clip_large", "_clip", "_videomae", "_emb")


def names() -> list[str]:
    """The data sets there are."""
    return list(DATASETS)


def entries(name: str, root: str | Path, skip_missing: bool = False) -> list[Entry]:
    """The videos of data set `name` under `root`, with their paths, sorted by id.

    Annotation files under `root` go before the table that ships with the package. Videos that should be there and are
    not: FileNotFoundError with up to five of them and their count, unless `skip_missing`.
    """
    module, root = _dataset(name), Path(root)
    files.check_root(root, name, module.LAYOUT)
    return module.entries(root, _known(name, root), skip_missing)


def facts(name: str) -> dict[str, Entry]:
    """The table that ships with the package, by id; empty for `folder` and `ubnormal` (whose licence keeps it out)."""
    _dataset(name)
    return dict(_table(name))


def lookup(name: str, video: str, root: str | Path | None = None) -> Entry:
    """The entry of `video`, given by its id, a path, or a published feature file's name; unknown: ValueError."""
    module = _dataset(name)
    if root is None and not _table(name):
        raise ValueError(
            f"{name} keeps its annotation with the videos; pass root, the folder that holds {module.LAYOUT}"
        )
    known = _known(name, None if root is None else Path(root))
    if name == "folder" and root is not None:
        known = {entry.id: entry for entry in entries(name, root)}
    for id in _spellings(video):
        if id in known:
            return (
                module.complete(known[id], Path(root))
                if root is not None and hasattr(module, "complete")
                else known[id]
            )
    if hasattr(module, "from_name"):
        entry = module.from_name(_spellings(video)[2], None if root is None else Path(root))
        if entry is not None:
            return entry
    near = difflib.get_close_matches(_spellings(video)[1], known, n=3)
    hint = f"nearest: {', '.join(near)}" if near else f"it has {len(known)}, such as {', '.join(sorted(known)[:3])}"
    raise ValueError(f"{name} has no video '{video}'; {hint}")


def frame_labels(
    name: str, video: str, num_frames: int, root: str | Path | None = None
) -> Int8[np.ndarray, " {num_frames}"]:
    """Frame labels of one video (1 = anomalous) at any frame count within a snippet of its own.

    Published arrays are up to 16 frames shorter than their videos, so an interval is cut where `num_frames` is at most
    a snippet short of it; further off: ValueError with both numbers. `folder` and `ubnormal` need `root`.
    """
    entry = lookup(name, video, root)
    if entry.intervals is None:
        raise ValueError(
            f"{name}: nobody marked frames of '{entry.id}' (split {entry.split}, label {entry.label}); "
            "frame labels exist where the annotation has intervals or the video is normal"
        )
    labels, notes = labels_from_intervals(entry.intervals, num_frames, entry.id, slack=SNIPPET_FRAMES)
    if entry.num_frames is not None and abs(entry.num_frames - num_frames) > SNIPPET_FRAMES:
        logging.warning("%s: %d frames asked for, but %d as published", entry.id, num_frames, entry.num_frames)
    for note in notes:
        logging.info("%s", note)
    return labels


def label_from_name(name: str, video: str) -> int:
    """0 normal, 1 anomalous by the field's naming rule of data set `name` alone; -1 where the name says nothing."""
    return _dataset(name).label_from_name(_spellings(video)[2])


def make_table(name: str, folder: str | Path) -> str:
    """The text of the table of facts of data set `name`, from its raw annotation files in `folder` alone."""
    module = _dataset(name)
    found = module.annotated({}, files.check_root(Path(folder), name, "a folder of its raw annotation files"))
    if not found:
        raise FileNotFoundError(f"no annotation file of {name} in {folder}")
    return tables.write(found.values(), module.SOURCE)


def _dataset(name: str) -> ModuleType:
    if name not in DATASETS:
        raise ValueError(f"no data set '{name}'; there are {', '.join(DATASETS)}")
    return DATASETS[name]


@functools.cache
def _table(name: str) -> dict[str, Entry]:
    path = tables.FACTS / f"{name}.tsv"
    return tables.read(path, name) if path.is_file() else {}


def _known(name: str, root: Path | None) -> dict[str, Entry]:
    module = _dataset(name)
    if root is None or not hasattr(module, "annotated"):
        return facts(name)
    files.check_root(root, name, module.LAYOUT)
    return _annotated(name, root, text.stamp(root))


@functools.lru_cache(maxsize=8)
def _annotated(name: str, root: Path, stamp: tuple[tuple[str, int, int], ...]) -> dict[str, Entry]:
    """Parsed once while the files stay as they are: a data set has hundreds of videos to look up."""
    return _dataset(name).annotated(facts(name), root)


def _spellings(video: str) -> list[str]:
    """Ids that `video` may mean, the likeliest first: as given, without folder and ending, without a feature ending."""
    path = video.replace("\\", "/").removesuffix(".npy")
    last = files.without_ending(path.rpartition("/")[2])
    bare = last
    for ending in FEATURE_ENDINGS:
        bare = bare.removesuffix(ending)
    bare = files.without_ending(bare)
    return [video, last, bare, files.without_ending(path), f"{bare}_x264"]
