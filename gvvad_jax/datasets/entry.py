"""One video of a data set: what its name, its split and its annotation say, and where its frames lie."""

from dataclasses import dataclass
from pathlib import Path

Intervals = tuple[tuple[int, int], ...]

NORMAL = "Normal"  # the category of every normal video of a benchmark


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A video before its frames are read.

    `label` is 0 normal, 1 anomalous, -1 unknown. `intervals` are the anomalous frame ranges, 0-based and half-open, as
    annotated (an end may lie a frame or two past the video); None where nobody marked frames, () where no frame is
    anomalous. `num_frames` is None where no true count is known. `path` is a video file or a folder of pictures.
    """

    id: str
    dataset: str
    split: str  # train | validation | test
    label: int
    category: str = ""
    intervals: Intervals | None = None
    path: Path | None = None
    num_frames: int | None = None
    fps: float | None = None
    notes: tuple[str, ...] = ()
