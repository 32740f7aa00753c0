"""Intervals to frame labels and back. An interval [start, end) holds frames start … end − 1, counted from 0."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Integer, Shaped

SNIPPET_FRAMES = 16


def clip(
    intervals: Iterable[Sequence[int]], num_frames: int, video: str, slack: int = 2
) -> tuple[list[tuple[int, int]], list[str]]:
    """Cuts intervals at the video's end: (intervals, one note each that was cut).

    Official annotations end up to two frames past five UCF-Crime videos. An end more than `slack` frames past
    `num_frames` means another video or another frame rate and is refused.
    """
    if num_frames < 1:
        raise ValueError(f"{video}: {num_frames} frames, but a video has at least one")
    kept, notes = [], []
    for start, end in intervals:
        if not 0 <= start < end:
            raise ValueError(f"{video}: interval {start}-{end} is not a half-open range of frames counted from 0")
        if end > num_frames + slack:
            raise ValueError(
                f"{video}: an annotated interval ends at frame {end}, but the video has {num_frames} frames; "
                "check that it is the published file at its own frame rate"
            )
        if end > num_frames:
            notes.append(f"{video}: interval {start}-{end} clipped to the video's {num_frames} frames")
        if start < num_frames:
            kept.append((int(start), int(min(end, num_frames))))
    return kept, notes


def labels_from_intervals(
    intervals: Iterable[Sequence[int]], num_frames: int, video: str, slack: int = 2
) -> tuple[Integer[np.ndarray, " {num_frames}"], list[str]]:
    """Frame labels (int8, 1 = anomalous) of a video of `num_frames` frames, and the notes of `clip`.

    `slack` is how far an interval may pass the video: two frames where `num_frames` is the video's own count, a snippet
    (16) where it was inferred as 16·T from T snippets or is an array's length that a publisher rounded.
    """
    kept, notes = clip(intervals, num_frames, video, slack)
    labels = np.zeros(num_frames, np.int8)
    for start, end in kept:
        labels[start:end] = 1
    return labels, notes


def intervals_from_labels(labels: Shaped[np.ndarray, " frames"]) -> tuple[tuple[int, int], ...]:
    """The runs of non-zero labels; merged and sorted, so `labels_from_intervals` gives the labels back."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (np.asarray(labels) != 0).astype(np.int8), [0]])))
    return tuple((int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True))


def union(intervals: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted intervals, those that overlap or touch made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
