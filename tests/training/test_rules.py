import dataclasses

import numpy as np
import pytest
import sklearn.metrics

from gvvad_jax import bags, detectors, evaluation
from gvvad_jax.training import log as logs
from gvvad_jax.training import rules
from gvvad_jax.training import state as states
from tests.training import toys

ALIGNMENT = {"tail": "exact", "labels": "", "label_list": "", "label_padding": "zero"}


@pytest.fixture
def judge(tmp_path):
    """Rules over a toy set with held-out videos, and the state of an untrained detector."""
    sets = bags.open_sets(str(toys.write_set(tmp_path / "set")), validation=0.5)
    detector = detectors.create("linear", detectors.Inputs(toys.WIDTH), normalise="none", components=0, smooth=1)
    structure, state = states.create(detector, synthetic_weight=0.5, learning_rate=0.1, weight_decay=0.0)
    log = logs.Log(tmp_path, 0)
    yield rules.Rules(structure, sets, tmp_path / "checkpoints", alignment=ALIGNMENT, log=log), state
    log.close()


def at(state, step, weight):
    """The state at a step, scoring by column 0 alone, which anomalous snippets raise."""
    kernel = np.zeros_like(state.params["fc.kernel"])
    kernel[0] = weight
    return dataclasses.replace(
        state, step=np.int32(step), params={**state.params, "fc.kernel": kernel, "fc.bias": np.zeros(1, np.float32)}
    )


def test_validation_is_the_video_level_auc_of_the_highest_snippets(judge):
    judge, state = judge
    detector = judge.detector(at(state, 1, 1.0).params, state.rest)
    (reader,) = judge.sets.validation
    assert len(reader) == 6
    scores = [evaluation.score_set(detector, reader)[id].scores.max() for id in reader.ids]
    want = sklearn.metrics.roc_auc_score([row["label"] for row in reader.rows], scores)
    assert judge.validation_auc(detector) == pytest.approx(want) and want > 0.8
    assert judge.validation_auc(judge.detector(at(state, 1, -1.0).params, state.rest)) < 0.5


def test_each_rule_keeps_its_own_best_step(judge):
    judge, state = judge
    last = at(state, 3, -1.0)
    for now in (at(state, 1, -0.5), at(state, 2, 1.0), last):
        judge(now)
    chosen = judge.chosen(last)
    assert {name: found[0] for name, found in chosen.items()} == {"last": 3, "validation": 2, "best_on_test": 2}
    kernels = {name: float(detector.fc.kernel[...][0, 0]) for name, (_, detector) in chosen.items()}
    assert kernels == {"last": -1.0, "validation": 1.0, "best_on_test": 1.0}
    videos, _ = judge.test_videos(chosen["best_on_test"][1])
    figures = evaluation.full_metrics(videos)
    assert figures is not None and figures["auc"] == pytest.approx(judge.test_auc(chosen["best_on_test"][1]))


def test_a_rule_without_videos_chooses_nothing(judge):
    judge, state = judge
    judge.sets = dataclasses.replace(judge.sets, validation=[], test=None)
    judge(at(state, 1, 1.0))
    assert judge.chosen(state)["validation"] is None and judge.chosen(state)["best_on_test"] is None
    assert judge.test_videos(judge.detector(state.params, state.rest)) == ([], [])


def test_labels_that_are_no_file_are_refused_beforehand():
    config = toys.config("", eval__labels="/nowhere.npy").eval
    with pytest.raises(FileNotFoundError, match="eval.labels names /nowhere.npy, which is no file"):
        rules.alignment(config)
    with pytest.raises(ValueError, match="eval.label_padding is 'none'"):
        rules.alignment(toys.config("", eval__label_padding="none").eval)
