"""What the arrays of published feature files mean: everything becomes [T, C, F], time first.

| layout | a video's files | arrays |
|---|---|---|
| `time_first` | one | [T, C, F] (RTFM, TEVAD: I3D) |
| `crops_first` | one | [C, T, F] (LAP, GV-VAD: CLIP, VideoMAE) |
| `single` | one | [T, F] |
| `crop_files` | one a crop | [T, F] each (UR-DMU, PEL4VAD, VadCLIP) |
| `segments` | one | a text of T rows of F numbers, or [T, F]: T equal parts of the video (Sultani et al.) |

`auto` asks all files of a list together. Rows of text are segments, several files crops. Of [a, b, F] arrays the crops
are the axis that is equal in most videos, since a set has one number of crops; where both axes are equally constant,
the one that is ten or five, as published. Where that leaves two answers it is a question for the user.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num

from gvvad_jax.features.published import lists

LAYOUTS = ("auto", "time_first", "crops_first", "single", "crop_files", "segments")
Shapes = Mapping[str, Sequence[tuple[int, ...]]]  # of each video's files


@dataclass(frozen=True)
class Plan:
    """How the files of a list are read, and the crops and width that all of its videos have."""

    layout: str
    crops: int
    width: int

    @property
    def snippet_frames(self) -> int:
        """Frames of a row; 0 where the rows are equal parts of the video."""
        return 0 if self.layout == "segments" else 16

    def rows(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """T of a video's files; 0 where it is not known before they are read."""
        found = _sizes(self.layout, shapes)
        return found[0] if found else 0

    def read(self, video: str, paths: Sequence[Path]) -> Float[np.ndarray, "snippets crops width"]:
        """The features of one video, float16 kept, all else float32; ValueError or OSError that names it."""
        arrays = [load(path, video) for path in paths]
        shapes = [array.shape for array in arrays]
        found = _sizes(self.layout, shapes)
        if found is None or found[1:] != (self.crops, self.width) or len(set(shapes)) > 1:
            raise ValueError(
                f"{video}: {_shown(paths, shapes)}, but most videos of the list have {self.crops} crops of width "
                f"{self.width} in the layout {self.layout}; fetch it again, leave it out, or give --layout."
            )
        whole = np.stack(arrays, axis=1) if arrays[0].ndim == 2 else arrays[0]
        whole = np.ascontiguousarray(np.swapaxes(whole, 0, 1) if self.layout == "crops_first" else whole)
        if not np.isfinite(whole).all():
            bad = int(whole.size - np.isfinite(whole).sum())
            raise ValueError(
                f"{video}: {bad:,} of the {whole.size:,} values in {paths[0]} are NaN or infinite; fetch the file "
                "again or leave the video out."
            )
        return whole


def decide(shapes: Shapes, text: bool, layout: str = "auto") -> Plan:
    """The plan of a list from the shapes of its videos' files; `text` where they are rows of text."""
    if layout not in LAYOUTS:
        raise ValueError(f"--layout={layout}; it is one of {', '.join(LAYOUTS)}.")
    if layout == "auto":
        layout = "segments" if text else _auto(shapes)
    sizes = Counter(found[1:] for each in shapes.values() if (found := _sizes(layout, each)) is not None)
    if not sizes:
        example = next(iter(shapes))
        raise ValueError(
            f"no video of the list is of the layout {layout}: {example} has {len(shapes[example])} files of shape "
            f"{list(shapes[example][0])}; give the right --layout."
        )
    (crops, width), _ = sizes.most_common(1)[0]
    return Plan(layout, crops, width)


def shape_of(path: Path, video: str) -> tuple[int, ...]:
    """The shape of a file's array without reading its numbers; of text, (0, width), for its rows are not counted."""
    if path.suffix.lower() == ".txt":
        with path.open("rb") as file:
            width = len(file.readline().split())
        return (0, width)
    return _open(path, video, mapped=True).shape


def load(path: Path, video: str) -> Num[np.ndarray, "*shape"]:
    """The numbers of one file as float16 or float32; pickled objects are never run."""
    array = _table(path, video) if path.suffix.lower() == ".txt" else _open(path, video)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{video}: {path} holds {array.dtype}, but features are numbers; export them as float32.")
    if not array.size:
        raise ValueError(f"{video}: {path} holds no numbers, its shape is {list(array.shape)}; fetch it again.")
    half = array.dtype.kind == "f" and array.dtype.itemsize == 2
    with np.errstate(over="ignore"):  # what passes float32 becomes infinite, and is refused as that
        return array.astype(np.float16 if half else np.float32, copy=False)


def _table(path: Path, video: str) -> np.ndarray:
    if not path.stat().st_size:
        return np.zeros((0, 0), np.float32)
    try:
        return np.loadtxt(path, dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{video}: {path} is no table of numbers ({' '.join(str(error).split())}).") from None


def _open(path: Path, video: str, mapped: bool = False) -> np.ndarray:
    with path.open("rb") as file:
        start = file.read(6)
    if start != b"\x93NUMPY":
        kind = "is a pickle, which is never run" if start[:1] == b"\x80" else "is no .npy file"
        what = kind if start else "is empty"
        raise ValueError(f"{video}: {path} {what}; fetch it again, or save it as plain numbers with numpy.save.")
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError, TypeError, MemoryError) as error:
        if "bject" in str(error):
            raise ValueError(
                f"{video}: {path} holds Python objects (a pickle), which are never run; save it again as an array of "
                "float32 where it was made."
            ) from None
        raise ValueError(
            f"{video}: {path} is damaged or cut short ({' '.join(str(error).split())}); fetch it again."
        ) from None


def _auto(shapes: Shapes) -> str:
    kinds = Counter(_kind(each) for each in shapes.values())
    kind = kinds.most_common(1)[0][0]
    if kind != "3":
        return kind
    votes: Counter[tuple[str, int]] = Counter()
    for each in shapes.values():
        if _kind(each) == "3":
            votes.update([("time_first", each[0][1]), ("crops_first", each[0][0])])
    most = max(votes.values())
    best = [vote for vote, count in votes.items() if count == most]
    best = [vote for vote in best if vote[1] in lists.CROPS] or best
    if len(best) > 1:
        first = next(id for id, each in shapes.items() if _kind(each) == "3")
        raise ValueError(
            f"arrays such as {first}'s {list(shapes[first][0])} may be [T, C, F] or [C, T, F], and no other video of "
            "the list tells; give --layout=time_first or --layout=crops_first."
        )
    return best[0][0]


def _kind(each: Sequence[tuple[int, ...]]) -> str:
    return "crop_files" if len(each) > 1 else "single" if len(each[0]) == 2 else "3" if len(each[0]) == 3 else "none"


def _sizes(layout: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, int, int] | None:
    """(T, C, F) of a video's files under a layout; None where they are not of it."""
    first = shapes[0]
    match layout, len(first):
        case ("time_first", 3) if len(shapes) == 1:
            return first[0], first[1], first[2]
        case ("crops_first", 3) if len(shapes) == 1:
            return first[1], first[0], first[2]
        case ("single" | "segments", 2) if len(shapes) == 1:
            return first[0], 1, first[1]
        case ("crop_files", 2):
            return first[0], len(shapes), first[1]
    return None


def _shown(paths: Sequence[Path], shapes: Sequence[tuple[int, ...]]) -> str:
    different = list(dict.fromkeys(shapes))
    if len(different) > 1:
        return f"its {len(paths)} files have the shapes {lists.some([str(list(shape)) for shape in different], 3)}"
    files = f"{paths[0]} has" if len(paths) == 1 else f"its {len(paths)} files ({paths[0].name} …) have"
    return f"{files} the shape {list(different[0])}"
