import numpy as np
import pytest

from gvvad_jax.evaluation import score_files


def test_a_folder_of_arrays_and_tables(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0.1], [0.2]]))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.csv").write_text("frame,second,score\n0,0.0,0.5\n1,0.04,0.75\n")
    (tmp_path / "c.txt").write_text("0.5\n1\n0\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "scores.csv").write_text("score;frame\n0.25;0\n")
    found = score_files.read(tmp_path)
    assert {k: v.tolist() for k, v in found.items()} == {
        "a": [0.1, 0.2], "deep/b": [0.5, 0.75], "c": [0.5, 1.0, 0.0], "d": [0.25]
    }  # fmt: skip


def test_our_own_file_is_found_in_a_runs_folder(tmp_path):
    np.savez(
        tmp_path / "scores.npz", **{"scores/a/b": np.ones(3, np.float32), "labels/a/b": np.ones(3), "crops/a/b": [0]}
    )
    assert list(score_files.read(tmp_path)) == list(score_files.read(tmp_path / "scores.npz")) == ["a/b"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no numpy"])
def test_a_damaged_archive_is_named(tmp_path, content):
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(ValueError, match="s.npz: not a .npz file"):
        score_files.read(tmp_path / "s.npz")


def test_an_archive_without_arrays_is_named(tmp_path):
    np.savez(tmp_path / "s.npz")
    with pytest.raises(ValueError, match="s.npz: no array in it"):
        score_files.read(tmp_path / "s.npz")


@pytest.mark.parametrize("name, content", [("a.npy", b"nothing"), ("a.csv", b"x,y\nhello,you\n"), ("a.txt", b"")])
def test_a_file_that_holds_no_scores_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        score_files.read(tmp_path)


def test_scores_of_ten_crops_are_refused(tmp_path):
    np.savez(tmp_path / "s.npz", a=np.zeros((10, 32)))
    with pytest.raises(ValueError, match=r"a: shape \(10, 32\)"):
        score_files.read(tmp_path / "s.npz")


def test_missing_and_empty_places_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        score_files.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no .npy"):
        score_files.read(tmp_path)


def test_frames_or_snippets_are_told_by_their_counts():
    frames = {"a": 100, "b": 333}
    assert score_files.per_frame({"a": np.zeros(6), "b": np.zeros(20)}, frames)[0] is False
    assert score_files.per_frame({"a": np.zeros(7), "b": np.zeros(21)}, frames)[0] is False
    assert score_files.per_frame({"a": np.zeros(100), "b": np.zeros(333)}, frames)[0] is True
    assert score_files.per_frame({"a": np.zeros(96), "b": np.zeros(336)}, frames)[0] is True
    assert score_files.per_frame({"a": np.zeros(16)}, {"a": 16})[0] is True
    assert score_files.per_frame({"a": np.zeros(1)}, {"a": 16})[0] is False


def test_counts_that_fit_neither_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="b: 40 scores fit neither its 333 frames nor its 20.8 snippets"):
        score_files.per_frame({"a": np.zeros(6), "b": np.zeros(40)}, {"a": 100, "b": 333})


def test_without_frame_counts_blocks_of_equal_scores_tell():
    assert score_files.per_frame({"a": np.repeat([0.1, 0.2], 16)}, {"a": None})[0] is True
    assert score_files.per_frame({"a": np.linspace(0, 1, 40)}, {"a": None})[0] is False
    assert score_files.per_frame({"a": np.zeros(40)}, {"a": None}, unit="frame")[0] is True


def test_a_flat_array_is_cut_by_the_rule_that_fits(tmp_path):
    frames = {"a": 100, "b": 35}
    for total, sizes in ((135, [100, 35]), (128, [96, 32]), (160, [112, 48]), (8, [6, 2]), (10, [7, 3])):
        found, _ = score_files.split(np.arange(total), ["a", "b"], frames, tmp_path)
        assert [len(v) for v in found.values()] == sizes
    with pytest.raises(ValueError, match="136 scores for 2 videos"):
        score_files.split(np.arange(136), ["a", "b"], frames, tmp_path)
