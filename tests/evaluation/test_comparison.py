import numpy as np
import pytest

from gvvad_jax import evaluation
from gvvad_jax.evaluation import comparison
from tests.evaluation.cases import video


def test_gains_of_the_videos_sum_to_the_gain_in_auc():
    rng = np.random.default_rng(0)
    labels = [np.r_[np.zeros(20), np.ones(20) * (k % 2)].astype(np.int8) for k in range(8)]
    first = [video(str(k), rng.random(40) + x, x) for k, x in enumerate(labels)]
    second = [video(str(k), rng.random(40), x) for k, x in enumerate(labels)]
    found = comparison.compare(first, second[:-1], "mine", "theirs")
    assert found["names"] == ["mine", "theirs"] and len(found["videos"]) == 7
    wanted = [
        evaluation.metrics([v.scores for v in videos[:-1]], [v.labels for v in videos[:-1]])["auc"]
        for videos in (first, second)
    ]
    assert found["auc"] == pytest.approx(wanted)
    assert sum(row["difference"] for row in found["videos"]) == pytest.approx(wanted[0] - wanted[1])
    gains = [abs(row["difference"]) for row in found["videos"]]
    assert gains == sorted(gains, reverse=True) and found["interval_of_difference"]["auc"][0] > 0


def test_nothing_in_common_is_an_empty_table():
    assert comparison.compare([video("a", [0.5], [1])], [video("b", [0.5], [1])], "x", "y")["videos"] == []
