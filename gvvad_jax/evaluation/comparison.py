"""Two sets of scores of the same videos beside each other, video by video."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gvvad_jax.evaluation import frame_metrics
from gvvad_jax.evaluation.videos import TestVideo


def compare(first: Sequence[TestVideo], second: Sequence[TestVideo], name: str, other: str) -> dict[str, Any]:
    """Figures of both over the videos that both have, a paired interval of the difference, and a row a video.

    A row's `difference` is how much more of the area above the ROC curve the second causes there: positive where the
    first is better. The rows with labels sum to the difference of the two AUCs. Largest difference first.
    """
    seconds = {video.id: video for video in second}
    firsts = [v for v in first if v.id in seconds and v.labels is not None and len(v.labels)]
    pairs = [(v, seconds[v.id]) for v in firsts if seconds[v.id].labels is not None]
    if not pairs:
        return {"names": [name, other], "videos": []}
    joined = [frame_metrics.runs([p[k].scores for p in pairs], [p[k].labels for p in pairs]) for k in (0, 1)]  # pyright: ignore
    anomalous = np.array([video.is_anomalous for video, _ in pairs])
    costs = [frame_metrics.costs(x, len(pairs)) for x in joined]
    rows = [
        {
            "id": a.id,
            "category": a.category,
            "auc": [_own(a), _own(b)],
            "mean": [float(a.scores.mean()), float(b.scores.mean())],
            "cost": [float(costs[0][k]), float(costs[1][k])],
            "difference": float(costs[1][k] - costs[0][k]),
        }
        for k, (a, b) in enumerate(pairs)
    ]
    return {
        "names": [name, other],
        "auc": [frame_metrics.auc(x) for x in joined],
        "auc_anomalous": [frame_metrics.auc(frame_metrics.of_videos(x, anomalous)) for x in joined],
        "interval_of_difference": frame_metrics.difference(joined[0], joined[1], anomalous),
        "videos": sorted(rows, key=lambda row: (-abs(row["difference"]), row["id"])),
    }


def _own(video: TestVideo) -> float | None:
    return frame_metrics.auc(frame_metrics.runs([video.scores], [video.labels]))  # pyright: ignore
