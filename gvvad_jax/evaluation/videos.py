"""Test videos: what the records say of each, joined with its scores at one length."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int8, Int16

from gvvad_jax import datasets
from gvvad_jax.evaluation import frames, ground_truth, names


@dataclass(frozen=True, eq=False)
class VideoScores:
    """Scores of one video as a detector gives them: one a snippet, and the crop that was highest where C > 1."""

    scores: Float[np.ndarray, " n"]
    crops: Int16[np.ndarray, " n"] | None = None
    per_frame: bool = False  # other programs may give one score a frame


@dataclass(frozen=True, eq=False)
class TestVideo:
    """A scored video; `labels` is None where nobody marked its frames, and then it is in no frame metric."""

    __test__ = False  # not a class of tests

    id: str
    category: str
    label: int
    scores: Float[np.ndarray, " frames"]
    labels: Int8[np.ndarray, " frames"] | None = None
    crops: Int16[np.ndarray, " snippets"] | None = None
    snippet_frames: int = 16
    fps: float | int | None = None

    @property
    def is_anomalous(self) -> bool:
        """By its label, or, where that is unknown, by its frames."""
        return self.label == 1 or (self.label < 0 and self.labels is not None and bool(self.labels.any()))


@dataclass(frozen=True, eq=False)
class Known:
    """What records or annotations say of a video, without its features."""

    id: str
    label: int
    category: str = ""
    num_frames: int | None = None
    snippet_frames: int = 16
    intervals: tuple[tuple[int, int], ...] | None = None
    fps: float | int | None = None
    baselines: Float[np.ndarray, "snippets names"] | None = None
    baseline_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


UNLABELLED = "unlabelled"
_KNOWN: dict[tuple[str, str, str], Known] = {}  # so that evaluations during training read the test set once


def known(reader: Any) -> list[Known]:
    """What the records of a reader say, in its order."""
    ids = [row["id"] for row in reader.rows]
    where = (str(reader.path), str(reader.digest))
    for index, id in enumerate(ids):
        if (*where, id) not in _KNOWN:
            record = reader[index]
            _KNOWN[*where, id] = Known(
                id=id,
                label=int(record.label),
                category=record.category,
                num_frames=record.num_frames or None,
                snippet_frames=record.snippet_frames,
                intervals=None if record.intervals is None else tuple((int(s), int(e)) for s, e in record.intervals),
                fps=record.fps,
                baselines=None if record.baselines is None else np.asarray(record.baselines, np.float32),
                baseline_names=tuple(record.baseline_names),
                notes=tuple(record.notes),
            )
    return [_KNOWN[*where, id] for id in ids]


def test_videos(
    reader: Any,
    video_scores: Mapping[str, VideoScores],
    *,
    tail: str = "exact",
    labels: str | Path | None = None,
    label_list: str | Path | None = None,
    label_padding: str = "zero",
) -> tuple[list[TestVideo], list[str]]:
    """The records of `reader` with their scores and frame labels of the same length, and notes on what was done.

    Labels come from the records' intervals, or from a published ground truth (`labels`, see ground_truth).
    """
    return join(
        known(reader), video_scores, tail=tail, labels=labels, label_list=label_list, label_padding=label_padding
    )


def join(
    videos: Sequence[Known],
    video_scores: Mapping[str, VideoScores],
    *,
    tail: str = "exact",
    labels: str | Path | None = None,
    label_list: str | Path | None = None,
    label_padding: str = "zero",
) -> tuple[list[TestVideo], list[str]]:
    """`test_videos` of videos that need not be records."""
    missing = [video.id for video in videos if video.id not in video_scores]
    if missing:
        raise ValueError(f"{len(missing)} of {len(videos)} test videos have no scores: {names.some(missing)}")
    published, notes = _published(videos, video_scores, labels, label_list)
    left_out: dict[str, list[str]] = {}
    joined, inferred = [], []
    for video in videos:
        given = video_scores[video.id]
        if published is None:
            if video.num_frames is None:
                inferred.append(video.id)
            truth, reason, remarks = _labels(video, given)
            notes += remarks
        else:
            truth, reason = published.get(video.id), "no entry in the published labels"
        if truth is None:
            left_out.setdefault(reason, []).append(video.id)
            truth_length = video.num_frames or _inferred(video, given)
            scores, _ = _align(video, given, np.zeros(truth_length, np.int8), tail, label_padding)
            aligned = None
        else:
            scores, aligned = _align(video, given, truth, tail, label_padding)
        joined.append(
            TestVideo(
                id=video.id,
                category=video.category,
                label=video.label,
                scores=np.asarray(scores, np.float32),
                labels=aligned,
                crops=given.crops,
                snippet_frames=video.snippet_frames,
                fps=video.fps,
            )
        )
    if inferred:
        notes.append(f"frame count inferred from the scores: {len(inferred)} videos: {names.some(inferred)}")
    for reason, ids in left_out.items():
        # All are named: a figure over fewer videos than the data set has must say which. Unlabelled ones are legion.
        shown = 5 if reason == UNLABELLED else len(ids)
        notes.append(f"left out of frame metrics, {reason}: {len(ids)} videos: {names.some(ids, shown)}")
    empty = [video.id for video in joined if not len(video.scores)]
    if empty:
        notes.append(f"no frame left by tail={tail}: {names.some(empty)}")
    return joined, notes + _recorded(videos)


def _published(videos, video_scores, labels, label_list) -> tuple[dict[str, np.ndarray] | None, list[str]]:
    """Published labels by id, or None where the records' own intervals count."""
    if not labels:
        return None, []
    sizes = {
        v.id: (v.num_frames, None if video_scores[v.id].per_frame else len(video_scores[v.id].scores)) for v in videos
    }
    snippet_frames = (videos[0].snippet_frames if videos else 0) or frames.SNIPPET_FRAMES
    published, notes = ground_truth.load(Path(labels), Path(label_list) if label_list else None, sizes, snippet_frames)
    wrong, stray = ground_truth.contradictions(published, {video.id for video in videos if video.label == 0})
    if wrong and label_list:
        raise ValueError(
            f"{labels}: {len(wrong)} normal videos would hold anomalous frames ({names.some(wrong)}); {label_list} is "
            "not the list, or not the order, that the array was made with."
        )
    if wrong:
        notes.append(f"published labels mark frames in {len(wrong)} normal videos: {names.some(wrong)}")
    if stray:
        notes.append(
            f"published labels hold a stray anomalous frame in {len(stray)} normal videos: {names.some(stray)}"
        )
    return published, notes


def _labels(video: Known, given: VideoScores) -> tuple[np.ndarray | None, str, list[str]]:
    """Labels from intervals: (labels or None, why None, notes)."""
    num_frames = video.num_frames or _inferred(video, given)
    if video.label == 0:
        return np.zeros(num_frames, np.int8), "", []
    if video.label < 0:
        return None, UNLABELLED, []
    if not video.intervals:
        return None, "anomalous without intervals", []
    # An inferred count is whole snippets; the video may have gone on for less than one more.
    slack = 2 if video.num_frames else video.snippet_frames
    labels, notes = datasets.labels_from_intervals(video.intervals, num_frames, video.id, slack)
    return np.asarray(labels, np.int8), "", list(notes)


def _inferred(video: Known, given: VideoScores) -> int:
    if not given.per_frame and not video.snippet_frames:
        raise ValueError(f"{video.id}: scores of equal parts of the video say nothing of its length; give its frames.")
    return len(given.scores) * (1 if given.per_frame else video.snippet_frames)


def _align(video: Known, given: VideoScores, truth: np.ndarray, tail: str, padding: str):
    if not np.isfinite(given.scores).all():
        bad = (~np.isfinite(given.scores)).sum()
        raise ValueError(f"{video.id}: {bad} of its {len(given.scores)} scores are NaN or infinite.")
    return frames.align(
        given.scores,
        truth,
        per_frame=given.per_frame,
        snippet_frames=video.snippet_frames,
        tail=tail,
        padding=padding,
        video=video.id,
    )


def _recorded(videos: Iterable[Known]) -> list[str]:
    """Notes that extraction or import left in the records, equal ones joined."""
    grouped: dict[str, list[str]] = {}
    for video in videos:
        for note in video.notes:
            grouped.setdefault(note.removeprefix(f"{video.id}: "), []).append(video.id)
    return [f"{note} ({len(ids)} videos: {names.some(ids, 3)})" for note, ids in grouped.items()]
