"""Scores of whole test sets → frame scores → figures, curves, a page and summary.json."""

from gvvad_jax.evaluation.figures import full_metrics, untrained_baselines
from gvvad_jax.evaluation.frame_metrics import metrics
from gvvad_jax.evaluation.frames import frame_scores
from gvvad_jax.evaluation.output import write
from gvvad_jax.evaluation.scoring import score_set
from gvvad_jax.evaluation.videos import TestVideo, VideoScores, test_videos

__all__ = [
    "TestVideo",
    "VideoScores",
    "frame_scores",
    "full_metrics",
    "metrics",
    "score_set",
    "test_videos",
    "untrained_baselines",
    "write",
]
