"""The three checkpoint rules side by side: the last step, the best on held-out training videos, the best on the test.

The last needs no choice. `best_on_test` is what published tables often give, and is named so wherever it is printed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvvad_jax import bags, evaluation
from gvvad_jax.evaluation import frame_metrics, frames
from gvvad_jax.training import checkpoints
from gvvad_jax.training import log as logs
from gvvad_jax.training import state as states

RULES = ("last", "validation", "best_on_test")


def alignment(config: Any) -> dict[str, Any]:
    """What `config.eval` says of frames and labels, as evaluation.test_videos takes it, refused where it cannot be."""
    frames.check_tail(config.tail)
    if config.label_padding not in ("zero", "last"):
        raise ValueError(f"eval.label_padding is {config.label_padding!r}; choose one of zero, last.")
    for key in ("labels", "label_list"):
        if config[key] and not Path(config[key]).is_file():
            raise FileNotFoundError(f"eval.{key} names {config[key]}, which is no file.")
    return {key: config[key] for key in ("tail", "labels", "label_list", "label_padding")}


class Rules:
    """Scores held-out and test videos while training goes on, and keeps each rule's best weights."""

    def __init__(
        self,
        structure: states.Structure,
        sets: bags.Sets,
        folder: Path,
        *,
        alignment: Mapping[str, Any],
        log: logs.Log,
    ):
        """`alignment`: tail, labels, label_list and label_padding, as evaluation.test_videos takes them."""
        self.structure, self.sets, self.alignment, self.log = structure, sets, alignment, log
        self.best = {name: checkpoints.Best(folder / f"{name}.safetensors") for name in RULES[1:]}

    def __call__(self, state: states.State) -> None:
        """Evaluate a state under the two rules that choose."""
        detector = self.detector(state.params, state.rest)
        values = {"validation": self.validation_auc(detector), "best_on_test": self.test_auc(detector)}
        for name, value in values.items():
            self.best[name].offer(value, state)
        self.log.figures(
            int(state.step),
            {"eval/video_auc_validation": values["validation"], "eval/auc_test": values["best_on_test"]},
        )

    def detector(self, params: states.Arrays, rest: states.Arrays) -> Any:
        """The detector with these arrays, taken to the host so that any mesh may score with it."""
        return self.structure.detector(*jax.tree.map(np.asarray, (params, rest)))

    def chosen(self, state: states.State) -> dict[str, tuple[int, Any] | None]:
        """(step, detector) of each rule after training; None where the rule has nothing to choose by."""
        found: dict[str, tuple[int, Any] | None] = {"last": (int(state.step), self.detector(state.params, state.rest))}
        for name, best in self.best.items():
            found[name] = (best.step, self.detector(*best.weights(state))) if best.arrays is not None else None
        return found

    def validation_auc(self, detector: Any) -> float | None:
        """Video-level AUC of the held-out videos, a video's score its highest snippet's; None without both classes."""
        import sklearn.metrics  # takes a second, which --help should not

        labels, scores = [], []
        for reader in self.sets.validation:
            found = evaluation.score_set(detector, reader, texts=self.texts(detector))
            labels += [row["label"] for row in reader.rows]
            scores += [found[row["id"]].scores.max() for row in reader.rows]
        known = [i for i, label in enumerate(labels) if label in (0, 1)]
        if len({labels[i] for i in known}) < 2:
            return None
        return float(sklearn.metrics.roc_auc_score([labels[i] for i in known], [scores[i] for i in known]))

    def test_auc(self, detector: Any) -> float | None:
        """Frame AUC of the test videos; None where there are none, or frames of one class alone."""
        videos = self.test_videos(detector)[0]
        known = [(video.scores, video.labels) for video in videos if video.labels is not None]
        if not known:
            return None
        return frame_metrics.auc(frame_metrics.runs([s for s, _ in known], [labels for _, labels in known]))

    def test_videos(self, detector: Any) -> tuple[list[evaluation.TestVideo], list[str]]:
        """Test videos with frame scores and labels, and notes."""
        if self.sets.test is None:
            return [], []
        scores = evaluation.score_set(detector, self.sets.test, texts=self.texts(detector))
        return evaluation.test_videos(self.sets.test, scores, **self.alignment)

    def texts(self, detector: Any) -> Any:
        """Text for a detector that reads it."""
        return self.sets.texts if detector.inputs.text else None
