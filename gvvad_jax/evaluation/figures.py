"""All figures of a scored test set: frame metrics, per class, with an interval; and what needs no training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gvvad_jax.evaluation import frame_metrics, frames
from gvvad_jax.evaluation.videos import Known, TestVideo, known


def full_metrics(videos: Sequence[TestVideo], seed: int = 0) -> dict[str, Any] | None:
    """The figures of summary.json over the videos with labels; None without any, single ones None where undefined.

    `auc_anomalous` takes videos labelled anomalous (where no label is known, those with a positive frame), so that a
    stray positive frame of a published array does not make a normal video count; where the two differ,
    `auc_positive_frames` gives the published reading. `per_class` holds for each class its anomalous videos with all
    normal ones (`auc`) and these videos alone (`auc_alone`). `interval` is the bootstrap's.
    """
    videos = [video for video in videos if video.labels is not None and len(video.labels)]
    if not videos:
        return None
    scores, labels = frame_metrics.checked([v.scores for v in videos], [v.labels for v in videos])
    joined = frame_metrics.runs(scores, labels)
    positive = np.array([bool(x.any()) for x in labels])
    anomalous = np.array([video.is_anomalous for video in videos])
    figures: dict[str, Any] = frame_metrics.summarise(joined, anomalous, ~anomalous)
    if (anomalous != positive).any():
        figures["auc_positive_frames"] = frame_metrics.auc(frame_metrics.of_videos(joined, positive))
    figures["per_class"] = _per_class(videos, joined, anomalous)
    figures["interval"] = frame_metrics.interval(joined, anomalous, seed)
    return figures


def _per_class(videos: Sequence[TestVideo], joined: frame_metrics.Runs, anomalous: np.ndarray) -> dict[str, Any]:
    categories = np.array([video.category for video in videos])
    table = {}
    for category in sorted({str(c) for c in categories[anomalous] if c}):
        own = anomalous & (categories == category)
        table[category] = {
            "auc": frame_metrics.auc(frame_metrics.of_videos(joined, own | ~anomalous)),
            "auc_alone": frame_metrics.auc(frame_metrics.of_videos(joined, own)),
            "videos": int(own.sum()),
        }
    return table


def untrained_baselines(
    reader: Any, videos: Sequence[TestVideo], tail: str = "exact"
) -> dict[str, dict[str, float | None] | None]:
    """AUC of scores that nobody trained: what extraction stored, the video's own label, the time within the video.

    On Ped2 the label alone reaches 0.96: most test videos are wholly normal, so a figure means little without these.
    """
    frames.check_tail(tail)
    return baselines_of(known(reader), videos)


def baselines_of(facts: Sequence[Known], videos: Sequence[TestVideo]) -> dict[str, dict[str, float | None] | None]:
    """`untrained_baselines` of videos that need not be records."""
    stored = sorted({name for fact in facts for name in fact.baseline_names})
    by_id = {video.id: video for video in videos if video.labels is not None and len(video.labels)}
    table: dict[str, Any] = {name: None for name in ("frame_difference", *stored)}
    for name in stored:
        table[name] = _baseline(by_id, {fact.id: _column(fact, name) for fact in facts if _has(fact, name)})
    own = {id: np.array([video.label], np.float32) for id, video in by_id.items() if video.label >= 0}
    table["video_label"] = _baseline(by_id, own)
    place = {id: np.arange(len(video.scores)) / len(video.scores) for id, video in by_id.items()}
    table["time_position"] = _baseline(by_id, place, per_frame=True)
    return table


def _has(fact: Known, name: str) -> bool:
    return fact.baselines is not None and name in fact.baseline_names


def _column(fact: Known, name: str) -> np.ndarray:
    assert fact.baselines is not None
    return fact.baselines[:, fact.baseline_names.index(name)]


def _baseline(
    videos: Mapping[str, TestVideo], scores: Mapping[str, np.ndarray], per_frame: bool = False
) -> dict[str, float | None] | None:
    """AUC and anomalous-only AUC; None where one video lacks the score."""
    if not videos or any(id not in scores for id in videos):
        return None
    stretched = [
        frames.stretch(scores[id], len(video.scores), 1 if per_frame else video.snippet_frames)
        for id, video in videos.items()
    ]
    joined = frame_metrics.runs(stretched, [video.labels for video in videos.values() if video.labels is not None])
    anomalous = np.array([video.is_anomalous for video in videos.values()])
    return {
        "auc": frame_metrics.auc(joined),
        "auc_anomalous": frame_metrics.auc(frame_metrics.of_videos(joined, anomalous)),
    }
