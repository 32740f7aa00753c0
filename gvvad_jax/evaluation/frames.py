"""Snippet scores to frame scores and labels of equal length: the three tail policies and the one length rule."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int8, Num

TAILS = ("exact", "floor", "ceil")
PADDINGS = ("zero", "last")
SNIPPET_FRAMES = 16  # a snippet of features that do not say their own


def frame_scores(
    scores: Num[np.ndarray, "*snippets"] | Sequence[float | int],
    num_frames: int,
    snippet_frames: int = 16,
    tail: str = "exact",
    video: str = "video",
) -> Float[np.ndarray, " frames"]:
    """Repeats each snippet's score over its frames.

    With `snippet_frames=0` the scores are of T equal parts of the video: frame f takes score ⌊T·f/F⌋, whatever `tail`.

    `exact` gives F values, where frames after the last whole snippet take the last score; `floor` gives 16·⌊F/16⌋
    and `ceil` 16·T (the published programs' rule). More than one snippet between T and F/16 is refused: the scores
    are then of another video, or of features with other snippets.
    """
    scores = np.asarray(scores)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"{video}: scores have shape {scores.shape}; one number a snippet is needed, at least one.")
    if num_frames < 1 or snippet_frames < 0:
        raise ValueError(f"{video}: {num_frames} frames, {snippet_frames} a snippet; give 1 or more (0: equal parts).")
    check_tail(tail)
    if snippet_frames and abs(len(scores) * snippet_frames - num_frames) > snippet_frames:
        raise ValueError(
            f"{video}: {len(scores):,} snippet scores but {num_frames:,} frames (about "
            f"{num_frames / snippet_frames:,.1f} snippets of {snippet_frames}); more than one snippet apart: score the "
            "video again from its own features, or correct its frame count."
        )
    return stretch(scores, evaluated_frames(len(scores), num_frames, snippet_frames, tail), snippet_frames)


def evaluated_frames(num_snippets: int, num_frames: int, snippet_frames: int, tail: str) -> int:
    """How many frames a tail policy evaluates."""
    check_tail(tail)
    if snippet_frames == 0:
        return num_frames
    if tail == "ceil":
        return num_snippets * snippet_frames
    return num_frames // snippet_frames * snippet_frames if tail == "floor" else num_frames


def stretch(
    scores: Num[np.ndarray, " snippets"], length: int, snippet_frames: int = 16
) -> Float[np.ndarray, " frames"]:
    """Repeats each score, then cuts to `length` or goes on with the last score; lengths are not judged here.

    With `snippet_frames=0` the scores share `length` equally.
    """
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float32)
    if snippet_frames == 0:
        return scores[np.arange(length) * len(scores) // max(length, 1)]
    return resize(np.repeat(scores, snippet_frames), length, "last")


def resize(values: Num[np.ndarray, " frames"], length: int, padding: str) -> Num[np.ndarray, " length"]:
    """Cuts to `length`, or fills up with zeros or with the last value."""
    if padding not in PADDINGS:
        raise ValueError(f"label_padding={padding!r}; it is one of {', '.join(PADDINGS)}.")
    missing = length - len(values)
    if missing <= 0:
        return values[:length]
    fill = values[-1:] if padding == "last" else np.zeros(1, values.dtype)
    return np.concatenate([values, np.repeat(fill, missing)])


def align(
    scores: Num[np.ndarray, " n"],
    labels: Num[np.ndarray, " frames"],
    *,
    per_frame: bool,
    snippet_frames: int = 16,
    tail: str = "exact",
    padding: str = "zero",
    video: str = "video",
) -> tuple[Float[np.ndarray, " length"], Int8[np.ndarray, " length"]]:
    """Scores and labels of one video at one length; the labels say how many frames the video has.

    `ceil` keeps the length of the scores: labels are cut, or padded by `padding`. The other policies keep whole or
    floored labels. Frame scores may differ from the labels by one snippet, as snippet scores may.
    """
    num_frames = len(labels)
    if not per_frame:
        scores = frame_scores(scores, num_frames, snippet_frames, tail, video)
    elif abs(len(scores) - num_frames) > (snippet_frames or SNIPPET_FRAMES):
        raise ValueError(
            f"{video}: {len(scores):,} frame scores but {num_frames:,} labels, more than one snippet of "
            f"{snippet_frames or SNIPPET_FRAMES} apart: they are not of the same video."
        )
    else:
        length = evaluated_frames(0, num_frames, snippet_frames, tail) if tail != "ceil" else len(scores)
        scores = resize(scores.astype(np.result_type(scores.dtype, np.float32)), length, "last")
    return scores, resize(labels, len(scores), padding).astype(np.int8)


def check_tail(tail: str) -> None:
    """Refuses an unknown tail policy."""
    if tail not in TAILS:
        raise ValueError(f"tail={tail!r}; it is one of {', '.join(TAILS)}.")
