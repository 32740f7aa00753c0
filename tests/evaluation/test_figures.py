import dataclasses

import numpy as np
import pytest

from gvvad_jax import evaluation
from gvvad_jax.evaluation import comparison, figures, report
from gvvad_jax.evaluation.videos import VideoScores
from tests.evaluation.cases import features, video


def a_set():
    rng = np.random.default_rng(0)
    videos = []
    for number in range(12):
        labels = np.zeros(64, np.int8)
        labels[16:40] = number % 3 == 1 or number % 3 == 2
        videos.append(video(f"v{number}", rng.random(64), labels, category=["Normal", "Fire", "Fight"][number % 3]))
    return videos


def test_every_key_of_the_summary_is_there():
    found = evaluation.full_metrics(a_set())
    assert set(found) == {"auc", "ap", "ap_trapezoid", "auc_anomalous", "far_normal", "per_class", "interval"}
    videos = a_set()
    plain = evaluation.metrics([v.scores for v in videos], [v.labels for v in videos])
    assert all(found[key] == value for key, value in plain.items())


def test_a_class_is_measured_with_all_normal_videos_and_alone():
    videos = a_set()
    table = evaluation.full_metrics(videos)["per_class"]
    assert list(table) == ["Fight", "Fire"] and table["Fire"]["videos"] == 4
    with_normal = [v for v in videos if v.category in ("Fire", "Normal")]
    alone = [v for v in videos if v.category == "Fire"]
    for key, chosen in (("auc", with_normal), ("auc_alone", alone)):
        wanted = evaluation.metrics([v.scores for v in chosen], [v.labels for v in chosen])["auc"]
        assert table["Fire"][key] == pytest.approx(wanted)


def test_without_labelled_videos_there_are_no_figures():
    assert evaluation.full_metrics([]) is None
    assert evaluation.full_metrics([video("v", [0.5] * 16)]) is None


def test_with_one_class_single_figures_are_null():
    found = evaluation.full_metrics([video("v", [0.2, 0.9], [0, 0])])
    assert found["auc"] is None and found["ap"] is None and found["auc_anomalous"] is None
    assert found["far_normal"] == 0.5 and found["interval"]["auc"] is None


def test_unlabelled_videos_change_nothing():
    assert evaluation.full_metrics([*a_set(), video("x", [0.5] * 16)]) == evaluation.full_metrics(a_set())


def test_a_stray_frame_does_not_make_a_normal_video_anomalous():
    videos = a_set()
    stray = videos[0].labels.copy()
    stray[-2] = 1
    videos[0] = video("v0", videos[0].scores, stray, label=0, category="Normal")
    found = evaluation.full_metrics(videos)
    inside = [v for v in videos if v.label == 1]
    published = [v for v in videos if v.labels.any()]
    wanted, other = (
        evaluation.metrics([v.scores for v in chosen], [v.labels for v in chosen])["auc"]
        for chosen in (inside, published)
    )
    assert found["auc_anomalous"] == pytest.approx(wanted)
    assert found["auc_positive_frames"] == pytest.approx(other)


def test_where_no_label_is_known_frames_say_which_videos_are_anomalous():
    unknown = [dataclasses.replace(v, label=-1) for v in a_set()]
    found, wanted = evaluation.full_metrics(unknown), evaluation.full_metrics(a_set())
    assert found == wanted
    told = figures.baselines_of([], unknown)
    assert told["video_label"] is None, "an unknown label is no score"
    assert told["time_position"] == figures.baselines_of([], a_set())["time_position"]
    compared = [comparison.compare(videos, videos, "a", "b")["auc_anomalous"] for videos in (unknown, a_set())]
    assert compared[0] == compared[1] and report._roc(unknown).keys() == report._roc(a_set()).keys()


def test_baselines_stand_on_the_same_frames(tmp_path):
    reader = features(tmp_path / "set")
    scores = {r.id: VideoScores(np.asarray(r.baselines[:, 0])) for r in reader}
    videos, _ = evaluation.test_videos(reader, scores)
    table = evaluation.untrained_baselines(reader, videos)
    assert table["frame_difference"]["auc"] == pytest.approx(evaluation.full_metrics(videos)["auc"])
    assert table["video_label"]["auc_anomalous"] == 0.5
    place = [np.arange(len(v.scores)) / len(v.scores) for v in videos]
    wanted = evaluation.metrics(place, [v.labels for v in videos])
    assert table["time_position"]["auc"] == pytest.approx(wanted["auc"])
    assert table["time_position"]["auc_anomalous"] == pytest.approx(wanted["auc_anomalous"])


def test_a_baseline_that_extraction_did_not_store_is_null(tmp_path):
    reader = features(tmp_path / "set", baselines=None, baseline_names=())
    scores = {row["id"]: VideoScores(np.zeros(row["num_snippets"], np.float32)) for row in reader.rows}
    videos, _ = evaluation.test_videos(reader, scores)
    table = evaluation.untrained_baselines(reader, videos)
    assert table["frame_difference"] is None and table["video_label"] is not None
    assert evaluation.untrained_baselines(reader, [])["video_label"] is None
