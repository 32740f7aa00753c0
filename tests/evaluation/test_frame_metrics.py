import time

import numpy as np
import pytest
import sklearn.metrics

from gvvad_jax import evaluation
from gvvad_jax.evaluation import frame_metrics


def random_videos(seed, count=12, ties=True):
    rng = np.random.default_rng(seed)
    scores, labels = [], []
    for number in range(count):
        frames = int(rng.integers(20, 400))
        values = rng.random(-(-frames // 16)).astype(np.float32)
        values = np.round(values, 1) if ties else values
        x = np.zeros(frames, np.int8)
        if number % 2:
            start = int(rng.integers(0, frames - 5))
            x[start : start + int(rng.integers(3, frames))] = 1
        scores.append(np.repeat(values, 16)[:frames])
        labels.append(x)
    return scores, labels


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_scikit_learn_on_all_frames(seed, ties):
    scores, labels = random_videos(seed, ties=ties)
    found = evaluation.metrics(scores, labels)
    s, x = np.concatenate(scores), np.concatenate(labels)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(x, s)
    assert found["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(x, s), abs=1e-12)
    assert found["ap"] == pytest.approx(sklearn.metrics.average_precision_score(x, s), abs=1e-12)
    assert found["ap_trapezoid"] == pytest.approx(sklearn.metrics.auc(recall, precision), abs=1e-12)
    inside = [i for i, label in enumerate(labels) if label.any()]
    s, x = (np.concatenate([v[i] for i in inside]) for v in (scores, labels))
    assert found["auc_anomalous"] == pytest.approx(sklearn.metrics.roc_auc_score(x, s), abs=1e-12)
    normal = np.concatenate([scores[i] for i in range(len(scores)) if i not in inside])
    assert found["far_normal"] == pytest.approx((normal > 0.5).mean(), abs=1e-12)


def test_a_case_by_hand():
    scores = [np.array([0.5, 0.5, 0.6]), np.array([0.2, 0.9, 0.5])]
    labels = [np.array([0, 0, 0]), np.array([0, 1, 1])]
    found = evaluation.metrics(scores, labels)
    # Pairs of 2 anomalous with 4 normal frames: 0.9 beats all 4; 0.5 beats 0.2, ties twice, loses to 0.6: 4 + 2 of 8.
    assert found["auc"] == pytest.approx(6 / 8)
    assert found["auc_anomalous"] == 1.0
    assert found["far_normal"] == pytest.approx(1 / 3)  # 0.5 itself is no alarm
    assert found["ap"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 5)


@pytest.mark.parametrize(
    "scores, labels, words",
    [
        ([np.zeros(3)], [np.zeros(3)], "0 anomalous and 3 normal frames"),
        ([np.zeros(3)], [np.ones(3)], "3 anomalous and 0 normal frames"),
        ([np.zeros(3)], [np.array([0, 1])], "shape"),
        ([np.zeros(3)], [np.array([0, 1, 1])] * 2, "1 videos have scores but 2"),
        ([np.array([0, np.nan, 1])], [np.array([0, 1, 1])], "1 of 3 scores are NaN"),
        ([np.array([0, np.inf, 1])], [np.array([0, 1, 1])], "infinite"),
        ([np.zeros(3)], [np.array([0, 1, 2])], "must be 0 or 1"),
        ([], [], "0 videos"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores, labels, words):
    with pytest.raises(ValueError, match=words):
        evaluation.metrics(scores, labels)


def test_plain_lists_are_taken():
    assert evaluation.metrics([[0.1, 0.9]], [[0, 1]])["auc"] == 1.0


def test_wholly_anomalous_videos_have_no_figure_of_their_own():
    found = evaluation.metrics([np.zeros(4), np.ones(4)], [np.zeros(4), np.ones(4)])
    assert found["auc"] == 1.0 and found["auc_anomalous"] is None


def test_costs_sum_to_what_the_area_lacks_and_rise_with_false_alarms():
    scores, labels = random_videos(3)
    before = frame_metrics.costs(frame_metrics.runs(scores, labels), len(scores))
    scores[4] = np.ones_like(scores[4])  # a normal video with nothing but alarms
    joined = frame_metrics.runs(scores, labels)
    costs = frame_metrics.costs(joined, len(scores))
    assert costs.sum() == pytest.approx(1 - frame_metrics.auc(joined), abs=1e-12)
    assert (costs - before).argmax() == 4


def plain_bootstrap(scores, labels, draws):
    """AUC and AP of every resample, frame by frame."""
    found = []
    for draw in draws:
        s, x = (np.concatenate([np.tile(v, n) for v, n in zip(part, draw, strict=True)]) for part in (scores, labels))
        both = 0 < x.sum() < len(x)
        found.append(
            (sklearn.metrics.roc_auc_score(x, s), sklearn.metrics.average_precision_score(x, s))
            if both
            else (np.nan,) * 2
        )
    return np.array(found)


@pytest.mark.parametrize("ties", [True, False])
def test_the_bootstrap_equals_resampling_frames(ties):
    scores, labels = random_videos(1, count=8, ties=ties)
    anomalous = np.array([x.any() for x in labels])
    auc, ap, _ = frame_metrics._resampled(frame_metrics.runs(scores, labels), anomalous, seed=5, resamples=30)
    draws = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=30)
    wanted = plain_bootstrap(scores, labels, draws)
    np.testing.assert_allclose(auc, wanted[:, 0], atol=1e-12)
    np.testing.assert_allclose(ap, wanted[:, 1], atol=1e-12)


def test_binned_scores_move_the_bootstrap_by_little(monkeypatch):
    scores, labels = random_videos(2, count=10, ties=False)
    anomalous = np.array([x.any() for x in labels])
    joined = frame_metrics.runs(scores, labels)
    exact = frame_metrics.interval(joined, anomalous)
    monkeypatch.setattr(frame_metrics, "BINS", 64)
    binned = frame_metrics.interval(joined, anomalous)
    np.testing.assert_allclose(exact["auc"], binned["auc"], atol=0.01)


def test_the_interval_holds_the_figure_and_narrows_with_videos():
    widths = []
    for count in (10, 80):
        scores, labels = random_videos(0, count=count)
        joined = frame_metrics.runs(scores, labels)
        found = frame_metrics.interval(joined, np.array([x.any() for x in labels]))
        low, high = found["auc"]
        assert low < frame_metrics.auc(joined) < high
        widths.append(high - low)
    assert widths[1] < widths[0] * 0.6


def test_resamples_without_both_classes_are_dropped_and_counted():
    scores, labels = random_videos(0, count=2)
    found = frame_metrics.interval(frame_metrics.runs(scores, labels), np.array([x.any() for x in labels]))
    assert 200 < found["dropped"] < 300  # the normal one drawn twice: a quarter of the time
    assert found["auc"] is not None


def test_a_difference_is_paired():
    scores, labels = random_videos(6, count=20)
    anomalous = np.array([x.any() for x in labels])
    joined = frame_metrics.runs(scores, labels)
    assert frame_metrics.difference(joined, joined, anomalous)["auc"] == [0.0, 0.0]
    better = [s + 2 * x for s, x in zip(scores, labels, strict=True)]
    low, high = frame_metrics.difference(frame_metrics.runs(better, labels), joined, anomalous)["auc"]
    assert 0.3 < low < high


def test_a_million_frames_take_about_a_second():
    rng = np.random.default_rng(0)
    scores = [np.repeat(rng.random(240).astype(np.float32), 16) for _ in range(290)]
    labels = [np.zeros(3840, np.int8) for _ in range(290)]
    for x in labels[::2]:
        x[1000:1500] = 1
    start = time.process_time()
    joined = frame_metrics.runs(scores, labels)
    frame_metrics.interval(joined, np.array([x.any() for x in labels]))
    evaluation.metrics(scores, labels)
    assert time.process_time() - start < 10  # 1.5 s alone; 1,000 plain resamples take minutes


def test_roc_points_run_from_corner_to_corner():
    scores, labels = random_videos(0)
    points = frame_metrics.roc(frame_metrics.runs(scores, labels))
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    assert (np.diff(points, axis=0) >= 0).all()
