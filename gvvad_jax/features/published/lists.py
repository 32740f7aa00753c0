"""Published lists: foreign paths, a line a file, into videos with a label, a split and a synthetic flag.

Released programs take a training list's first n lines as anomalous and never look at names. Here the name decides; the
position is used only where a name says nothing, and must agree where the number of lines is a published one.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gvvad_jax import datasets
from gvvad_jax.datasets import files, text
from gvvad_jax.features.published import counts

ENDINGS = ("_i3d", "_clip_large", "_clip", "_videomae")  # what publishers append to a video's name
MARKS = ("GeneratedVideos", "description")  # in the listed path of a synthetic video's features
LAST_ANOMALOUS = 300  # GV-VAD's generated videos: ids 1 to 300 are anomalous, 301 to 600 normal
LINE = re.compile(r"(?P<path>.+\.(?:npy|npz|txt|mp4|avi))(?:(?:\s*[,;]\s*|\s+)(?P<column>\S+))?", re.IGNORECASE)
CROPS = (10, 5)  # as published
CROP = re.compile(r"(.+)__(\d)")
SHANGHAITECH_CROP = re.compile(r"(\d{2}_\d{3,4})_(\d)")


@dataclass(frozen=True)
class Line:
    """One line: its number from 1, the path with `/`, and the label column where the list has one."""

    number: int
    path: str
    column: str = ""

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        name = self.path.rpartition("/")[2]
        stem, dot, ending = name.rpartition(".")
        return stem if dot and stem and ending.lower() in ("npy", "npz", "txt") else files.without_ending(name)


@dataclass(frozen=True, kw_only=True)
class Video:
    """A listed video. `lines` are the files that the list names of it, in the order of their crops."""

    id: str
    label: int
    synthetic: int
    split: str
    lines: tuple[Line, ...]
    crops: tuple[int | None, ...]  # the number in each line's name, None where it has none
    entry: datasets.Entry | None  # what the data set says of it


def read(path: Path) -> list[Line]:
    """The lines of a list, foreign absolute paths and `\\` and a csv header understood; a file twice: ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; name the published list, a path a line.")
    found: dict[str, Line] = {}
    for number, row in text.lines(path):
        if not found and row.replace(" ", "").lower() == "path,label":
            continue
        match = LINE.fullmatch(row)
        line = Line(number, (match["path"] if match else row).replace("\\", "/"), (match and match["column"]) or "")
        if not line.stem:
            raise text.malformed(path, number, "the path of a feature file", row)
        if line.path in found:
            raise ValueError(f"{path}: lines {found[line.path].number} and {number} are the same, {row}; keep one.")
        found[line.path] = line
    if not found:
        raise ValueError(f"{path}: no line names a file; a list has one path a line.")
    return list(found.values())


def videos(path: Path, dataset: str, split: str | None = None) -> tuple[list[Video], list[str]]:
    """The videos of a list in its order, and notes.

    `split` is by default `test` where the list's file name contains it, else `train`. ValueError where a published
    number of lines goes with other labels or flags, and where nothing tells a training video's label.
    """
    lines = read(path)
    split = split or ("test" if "test" in path.name.lower() else "train")
    published = counts.find(dataset, lines)
    shared = _shared([line.path.split("/")[:-1] for line in lines])
    shares_mark = any(mark in folder for mark in MARKS for folder in shared)
    place = {line.number: position for position, line in enumerate(lines)}
    found, labels, spared = [], {}, []
    for name, group in _grouped(path, dataset, lines).items():
        entry, first = _entry(dataset, name), group[0][1]
        synthetic = int(any(mark in line.path for _, line in group for mark in MARKS))
        if synthetic and shares_mark and entry is not None:
            # A user's own folder may be called descriptions: what all paths share says nothing of a known video.
            synthetic = 0
            spared.append(name)
        said = label = _said(path, dataset, name, entry, synthetic, first)
        if label < 0 and published and published.ordered:
            label = int(place[first.number] < published.anomalous)
        labels |= {line.number: (label, said, synthetic) for _, line in group}
        found.append(
            Video(
                id=name if synthetic or entry is None else entry.id,
                label=label,
                synthetic=synthetic,
                split=split,
                lines=tuple(line for _, line in group),
                crops=tuple(crop for crop, _ in group),
                entry=None if synthetic else entry,
            )
        )
    if published:
        counts.check(path, dataset, published, lines, [labels[line.number] for line in lines])
    notes = _notes(path, dataset, found)
    if spared:
        notes.append(
            f"{len(spared)} videos lie in a folder named as for generated ones, but are {dataset}'s own, so real "
            f"({some(spared)})"
        )
    return found, notes


def bare(stem: str) -> str:
    """A stem without one of the endings that publishers append."""
    return next((stem.removesuffix(ending) for ending in ENDINGS if stem.endswith(ending) and stem != ending), stem)


def crop_of(stem: str) -> tuple[str, int | None]:
    """(name, crop) of a file with one crop: `X__3`, of ShanghaiTech `01_0014_3`; (stem, None) of any other."""
    match = CROP.fullmatch(stem) or SHANGHAITECH_CROP.fullmatch(stem)
    return (match[1], int(match[2])) if match else (stem, None)


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


Group = list[tuple[int | None, Line]]  # the files of one video with their crops


def _grouped(path: Path, dataset: str, lines: Sequence[Line]) -> dict[str, Group]:
    """The lines of each video, by its name without endings, in the order of crops."""
    groups: dict[str, Group] = {}
    for line in lines:
        name, crop = crop_of(line.stem)
        groups.setdefault(bare(name), []).append((crop, line))
    if dataset not in counts.LISTS:  # elsewhere walk__1 and walk__2 may be two videos
        for name, group in list(groups.items()):
            numbers = sorted(-1 if crop is None else crop for crop, _ in group)
            if numbers not in [list(range(n)) for n in CROPS] + [[-1, *range(1, n)] for n in CROPS]:
                groups.pop(name)
                for _, line in group:
                    groups.setdefault(bare(line.stem), []).append((None, line))
    for name, group in groups.items():
        group.sort(key=lambda item: (-1 if item[0] is None else item[0], item[1].number))
        if len({crop for crop, _ in group}) < len(group):
            named = " and ".join(str(line.number) for _, line in group[:2])
            raise ValueError(f"{path}: lines {named} name one video, {name}; give each layout a list of its own.")
    return groups


def _entry(dataset: str, name: str) -> datasets.Entry | None:
    known = datasets.facts(dataset)
    for spelling in (name, f"{name}_x264"):
        if spelling in known:
            return known[spelling]
    if datasets.label_from_name(dataset, name) < 0:
        return None
    try:
        return datasets.lookup(dataset, name)
    except ValueError:
        return None


def _said(path: Path, dataset: str, name: str, entry: datasets.Entry | None, synthetic: int, line: Line) -> int:
    """The label by name or id, else by the list's own column; -1 where neither says one. Both must agree."""
    if synthetic:
        by_id = re.fullmatch(r"[0-9]{1,9}", name)
        label = int(int(name) <= LAST_ANOMALOUS) if by_id else datasets.label_from_name(dataset, name)
    else:
        label = entry.label if entry is not None else datasets.label_from_name(dataset, name)
    column = _column(path, line)
    if column >= 0 and label >= 0 and column != label:
        raise ValueError(
            f"{path}, line {line.number}: the list says {line.column} of {line.stem}, but by its name it is "
            f"{'anomalous' if label else 'normal'}; correct the list."
        )
    return label if label >= 0 else column


def _column(path: Path, line: Line) -> int:
    """0 or 1 from `1.0`, a class (`Normal`, `A` of XD-Violence: 0, any other 1); -1 without a column."""
    if not line.column:
        return -1
    if re.fullmatch(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?", line.column):
        if line.column not in ("0", "1", "0.0", "1.0", "0.", "1."):
            raise text.malformed(path, line.number, "a label 0 or 1, or a class, after the path", line.column)
        return int(line.column[0])
    return int(line.column.lower() not in ("normal", "a"))


def _shared(folders: Sequence[list[str]]) -> list[str]:
    """The folders that all paths begin with."""
    low, high = min(folders), max(folders)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]


def _notes(path: Path, dataset: str, found: Sequence[Video]) -> list[str]:
    id, times = Counter(video.id for video in found).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{path}: {times} of its videos are {id}; keep one of them.")
    unlabelled = [video.id for video in found if video.label < 0]
    if unlabelled and found[0].split != "test":
        raise ValueError(
            f"{path}: neither name nor position says whether {len(unlabelled)} of its {len(found)} videos are normal "
            f"({some(unlabelled)}); write a label 0 or 1 after each path, or import them with --split=test."
        )
    notes = [f"{len(unlabelled)} videos without a label, only to be scored ({some(unlabelled)})"] if unlabelled else []
    other = [v.id for v in found if v.entry and v.entry.split != v.split]
    if other:
        notes.append(
            f"{len(other)} videos of {path.name}, imported as {found[0].split}, are in another split of {dataset} as "
            f"published ({some(other)})"
        )
    return notes
