"""Snippets: T = max(1, F // 16) runs of 16 frames, the last taking what is left, and which of their frames are kept.

The decode worker imports this module, so it needs nothing heavier than NumPy.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Int, UInt8

Keep = int | Literal["all"]
Frame = TypeVar("Frame")


@dataclass(frozen=True, eq=False)
class Snippet:
    """Frames [start, stop) of a video; `indices` are the kept ones, `frames` their upright RGB pixels."""

    start: int
    stop: int
    indices: Int[np.ndarray, " n"]
    frames: UInt8[np.ndarray, "n height width 3"]


def bounds(num_frames: int, snippet_frames: int = 16) -> Int[np.ndarray, "snippets 2"]:
    """Gives each snippet's half-open frame range; a video shorter than one snippet is one snippet."""
    if num_frames < 1 or snippet_frames < 1:
        raise ValueError(f"{num_frames} frames in snippets of {snippet_frames}: both must be at least 1.")
    starts = np.arange(max(1, num_frames // snippet_frames), dtype=np.int64) * snippet_frames
    return np.stack([starts, np.append(starts[1:], num_frames)], axis=1)


def chosen(start: int, stop: int, frames_per_snippet: Keep) -> Int[np.ndarray, " n"]:
    """Lists the kept frames of [start, stop): the middles of `frames_per_snippet` equal parts, so 1 is the middle one.

    Where the snippet has no more frames than that, or for "all", every frame is kept.
    """
    length = stop - start
    if frames_per_snippet == "all" or frames_per_snippet >= length:
        return np.arange(start, stop, dtype=np.int64)
    if frames_per_snippet < 0:
        raise ValueError(
            f"frames_per_snippet is {frames_per_snippet}; give a number from 1 on (0 keeps none) or 'all'."
        )
    parts = np.arange(frames_per_snippet, dtype=np.int64)
    return start + (2 * parts + 1) * length // max(1, 2 * frames_per_snippet)


def stream(
    frames: Iterable[Frame], keep: Keep, snippet_frames: int = 16
) -> Iterator[tuple[int, int, list[int], list[Frame]]]:
    """Groups a stream of unknown length as `bounds` does, yielding (start, stop, kept indices, kept frames).

    Whether a snippet is the last, and so how long, is known only once the next one is complete: up to two snippets
    wait here, of which the frames that no length would keep are let go at once.
    """
    useful = {int(i) for length in range(snippet_frames, 2 * snippet_frames) for i in chosen(0, length, keep)}
    start: int = 0
    waiting: list = []
    for frame in frames:
        place = len(waiting)
        if place < snippet_frames or place in useful or place - snippet_frames in useful:
            waiting.append(frame)
        else:
            waiting.append(None)
        if len(waiting) == 2 * snippet_frames:
            indices = chosen(0, snippet_frames, keep)
            yield start, start + snippet_frames, [start + int(i) for i in indices], [waiting[i] for i in indices]
            start, waiting = start + snippet_frames, waiting[snippet_frames:]
        if len(waiting) == snippet_frames:  # from here on it cannot be a video shorter than one snippet
            waiting = [f if i in useful else None for i, f in enumerate(waiting)]
    if waiting:
        indices = chosen(0, len(waiting), keep)
        yield start, start + len(waiting), [start + int(i) for i in indices], [waiting[i] for i in indices]
