import numpy as np
import pytest

from gvvad_jax import evaluation
from gvvad_jax.evaluation.videos import Known, VideoScores, join
from tests.evaluation.cases import features


def scores_of(reader):
    return {row["id"]: VideoScores(np.linspace(0, 1, row["num_snippets"], dtype=np.float32)) for row in reader.rows}


def test_labels_come_from_intervals_at_the_videos_own_length(tmp_path):
    reader = features(tmp_path / "set")
    videos, notes = evaluation.test_videos(reader, scores_of(reader))
    assert [video.id for video in videos] == reader.ids and notes == []
    for video, row in zip(videos, reader.rows, strict=True):
        assert len(video.scores) == len(video.labels) == row["num_frames"]
        assert video.labels.dtype == np.int8 and video.scores.dtype == np.float32
        start, stop = row["num_frames"] // 3, row["num_frames"] // 2
        assert video.labels.sum() == (stop - start if video.label else 0)


def test_videos_without_scores_are_named(tmp_path):
    reader = features(tmp_path / "set", count=4)
    with pytest.raises(ValueError, match="1 of 4 test videos have no scores: v02"):
        evaluation.test_videos(reader, {k: v for k, v in scores_of(reader).items() if k != "v02"})


def test_a_set_of_equal_parts_is_scored_over_its_exact_frames(tmp_path):
    rows, frames = 32, 1001
    baselines = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    reader = features(
        tmp_path / "set",
        count=2,
        num_frames=frames,
        snippet_frames=0,
        visual=np.ones((rows, 1, 4), np.float32),
        baselines=baselines,
    )
    videos, notes = evaluation.test_videos(reader, scores_of(reader), tail="ceil")
    wanted = np.linspace(0, 1, rows, dtype=np.float32)[rows * np.arange(frames) // frames]
    assert notes == [] and all(np.array_equal(video.scores, wanted) for video in videos)
    table = evaluation.untrained_baselines(reader, videos, "exact")
    own = evaluation.metrics([wanted, wanted], [video.labels for video in videos])
    assert table["frame_difference"]["auc"] == pytest.approx(own["auc"])


def test_equal_parts_without_a_frame_count_are_refused():
    with pytest.raises(ValueError, match="v: scores of equal parts of the video say nothing of its length"):
        join([known(frames=None, snippet_frames=0)], scored(known()))


def known(id="v", label=1, frames=100, intervals=((10, 20),), **more):
    return Known(id=id, label=label, num_frames=frames, intervals=intervals, **more)


def scored(*videos, snippets=6):
    return {video.id: VideoScores(np.linspace(0, 1, snippets, dtype=np.float32)) for video in videos}


def test_lengths_that_do_not_match_are_refused_with_video_and_both_numbers():
    with pytest.raises(ValueError, match="Arrest001: 6 snippet scores but 300 frames"):
        join([known("Arrest001", frames=300)], scored(known("Arrest001")))


def test_an_anomalous_video_without_intervals_is_scored_and_left_out():
    for intervals in (None, ()):
        videos, notes = join([known(intervals=intervals), known("w")], scored(known(), known("w")))
        assert videos[0].labels is None and len(videos[0].scores) == 100
        assert videos[1].labels is not None
        assert any("anomalous without intervals" in note and "v" in note for note in notes)


def test_all_that_are_left_out_are_named():
    videos = [known(f"v{k}", intervals=None) for k in range(8)]
    _, notes = join(videos, scored(*videos))
    assert notes == ["left out of frame metrics, anomalous without intervals: 8 videos: v0, v1, v2, v3, v4, v5, v6, v7"]


def test_an_unlabelled_video_is_scored_and_left_out():
    videos, notes = join([known(label=-1, intervals=None)], scored(known()))
    assert videos[0].labels is None and "unlabelled" in notes[0]


def test_an_unknown_frame_count_is_inferred_and_said():
    videos, notes = join([known(frames=None, intervals=((10, 105),))], scored(known()))
    assert len(videos[0].scores) == 96 and videos[0].labels.sum() == 86
    assert any("inferred" in note and "v" in note for note in notes)


def test_notes_of_the_records_are_passed_on_once():
    videos = [known(str(i), notes=(f"{i}: decoded with 1 error", "rotated")) for i in range(4)]
    _, notes = join(videos, scored(*videos))
    assert notes == ["decoded with 1 error (4 videos: 0, 1, 2 and 1 more)", "rotated (4 videos: 0, 1, 2 and 1 more)"]


def test_nan_scores_are_refused_by_name():
    with pytest.raises(ValueError, match="v: 1 of its 6 scores are NaN"):
        join([known()], {"v": VideoScores(np.array([0, 1, np.nan, 0, 0, 0], np.float32))})


def test_published_labels_decide_the_length(tmp_path):
    np.savez(tmp_path / "gt.npz", v=np.r_[np.zeros(90), np.ones(6)])
    videos, notes = join([known()], scored(known()), labels=tmp_path / "gt.npz")
    assert len(videos[0].scores) == 96 and videos[0].labels.sum() == 6
    videos, _ = join(
        [known()], scored(known(), snippets=7), labels=tmp_path / "gt.npz", tail="ceil", label_padding="last"
    )
    assert len(videos[0].scores) == 112 and videos[0].labels.sum() == 22


def test_published_labels_far_from_the_scores_are_refused(tmp_path):
    np.savez(tmp_path / "gt.npz", v=np.zeros(50))
    with pytest.raises(ValueError, match="v: 6 snippet scores but 50 frames"):
        join([known()], scored(known()), labels=tmp_path / "gt.npz")


def test_a_list_in_the_wrong_order_is_noticed(tmp_path):
    videos = [known("a"), known("n", label=0, intervals=())]
    np.save(tmp_path / "gt.npy", np.r_[np.zeros(10), np.ones(20), np.zeros(70), np.zeros(100)])
    (tmp_path / "right.list").write_text("a\nn")
    (tmp_path / "wrong.list").write_text("n\na")
    found, _ = join(videos, scored(*videos), labels=tmp_path / "gt.npy", label_list=tmp_path / "right.list")
    assert found[0].labels.sum() == 20
    with pytest.raises(ValueError, match="wrong.list is not the list"):
        join(videos, scored(*videos), labels=tmp_path / "gt.npy", label_list=tmp_path / "wrong.list")


def test_evaluations_during_training_read_the_set_once(tmp_path, monkeypatch):
    reader = features(tmp_path / "set", count=4)
    scores = scores_of(reader)
    evaluation.test_videos(reader, scores)
    monkeypatch.setattr(type(reader), "_record", lambda *_: pytest.fail("the set was read again"))
    assert len(evaluation.test_videos(reader, scores)[0]) == 4
