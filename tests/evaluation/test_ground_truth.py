import numpy as np
import pytest

from gvvad_jax import datasets
from gvvad_jax.evaluation import ground_truth


def lengths():
    return {"a": (100, 6), "b": (64, 4), "c": (35, 3)}


def test_the_rule_of_a_flat_array_is_found_by_its_length():
    wanted = {199: "F (exact", 192: "⌊F/16⌋", 224: "⌈F/16⌉", 208: "16·T"}
    for total, rule in wanted.items():
        found, spans = ground_truth.explain(total, lengths(), "gt.npy")
        assert rule in found
        assert spans[0][0] == 0 and spans[-1][1] == total
        assert all(a[1] == b[0] for a, b in zip(spans, spans[1:], strict=False))


def test_a_length_that_no_rule_gives_is_refused_with_all_sums():
    with pytest.raises(ValueError, match="gt.npy: 200 labels for 3 videos.*208.*199.*192.*224"):
        ground_truth.explain(200, lengths(), "gt.npy")
    with pytest.raises(ValueError, match="not known for every video"):
        ground_truth.explain(200, {"a": (None, 6)}, "gt.npy")


def test_a_flat_array_is_cut_in_list_order(tmp_path):
    flat = np.concatenate([np.full(100, 0), np.full(35, 1), np.full(64, 0)]).astype(np.float64)
    np.save(tmp_path / "gt.npy", flat)
    (tmp_path / "test.list").write_text("/mnt/a_i3d.npy\n/mnt/c_i3d.npy\n\n/mnt/b_i3d.npy")
    labels, notes = ground_truth.load(tmp_path / "gt.npy", tmp_path / "test.list", lengths())
    assert {id: len(x) for id, x in labels.items()} == {"a": 100, "c": 35, "b": 64}
    assert labels["c"].all() and not labels["a"].any() and "exact" in notes[0]


def test_a_flat_array_needs_its_list(tmp_path):
    np.save(tmp_path / "gt.npy", np.zeros(199))
    with pytest.raises(ValueError, match="list of its videos"):
        ground_truth.load(tmp_path / "gt.npy", None, lengths())
    (tmp_path / "test.list").write_text("a\nb\nunheard")
    with pytest.raises(ValueError, match="unheard"):
        ground_truth.load(tmp_path / "gt.npy", tmp_path / "test.list", lengths())
    (tmp_path / "test.list").write_text("a\na\nb")
    with pytest.raises(ValueError, match="twice"):
        ground_truth.load(tmp_path / "gt.npy", tmp_path / "test.list", lengths())


def test_a_dictionary_is_read_by_stem_and_our_own_scores_by_their_labels(tmp_path):
    np.savez(tmp_path / "gt.npz", a_x264=np.zeros(100), other=np.ones(5))
    labels, _ = ground_truth.load(tmp_path / "gt.npz", None, lengths())
    assert list(labels) == ["a"] and labels["a"].dtype == np.int8
    np.savez(tmp_path / "scores.npz", **{"scores/a": np.full(4, 0.5), "labels/a": np.array([0, 1, 1, 0])})
    assert ground_truth.read(tmp_path / "scores.npz")["a"].tolist() == [0, 1, 1, 0]


def test_a_dictionary_of_other_videos_is_refused(tmp_path):
    np.savez(tmp_path / "gt.npz", x=np.zeros(100), y=np.ones(5))
    with pytest.raises(ValueError, match=r"gt.npz: none of its 2 names \(x, y\) is a video here \(a, b, c\)"):
        ground_truth.load(tmp_path / "gt.npz", None, lengths())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no numpy"])
def test_a_damaged_file_is_one_sentence_with_its_name(tmp_path, content):
    (tmp_path / "gt.npz").write_bytes(content)
    with pytest.raises(ValueError, match="gt.npz"):
        ground_truth.read(tmp_path / "gt.npz")


def test_pickles_and_numbers_other_than_0_and_1_are_refused(tmp_path):
    np.save(tmp_path / "gt.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="gt.npy"):
        ground_truth.read(tmp_path / "gt.npy")
    np.save(tmp_path / "gt.npy", np.array([0, 2]))
    with pytest.raises(ValueError, match="0 and 1"):
        ground_truth.read(tmp_path / "gt.npy")


def test_published_lengths_of_ucf_crime():
    tests = {id: (e.num_frames, None) for id, e in datasets.facts("ucf").items() if e.split == "test"}
    assert "ceil" in ground_truth.explain(1_114_144, tests, "gt-ucf.npy")[0]
    assert "exact" in ground_truth.explain(1_111_808, tests, "gt")[0]
    assert "floor" in ground_truth.explain(1_109_824, tests, "gt")[0]
    assert "nine" in ground_truth.explain(1_109_680, tests, "gt-ucf.npy")[0]


def test_pel4vads_arrays_are_the_annotation_under_the_rule_of_nine(shared):
    path = shared / "data/ucf_annotations/pel4vad_single_gt.npz"
    facts = {id: e for id, e in datasets.facts("ucf").items() if e.split == "test"}
    labels, _ = ground_truth.load(path, None, {id: (e.num_frames, None) for id, e in facts.items()})
    assert len(labels) == 290
    _, spans = ground_truth.explain(1_109_680, {id: (facts[id].num_frames, None) for id in labels}, "gt")
    assert [stop - start for start, stop in spans] == [len(x) for x in labels.values()]
    for id, x in labels.items():
        wanted = np.zeros(len(x), np.int8)
        for start, stop in facts[id].intervals:
            wanted[start:stop] = 1
        assert (wanted == x).all(), id


def test_tads_published_labels_hold_a_stray_frame_in_each_normal_video(shared):
    path = shared / "data/tad_annotations/frame_labels_published.npz"
    facts = {id: e for id, e in datasets.facts("tad").items() if e.split == "test"}
    labels, _ = ground_truth.load(path, None, {id: (e.num_frames, None) for id, e in facts.items()})
    wrong, stray = ground_truth.contradictions(labels, {id for id, e in facts.items() if e.label == 0})
    assert not wrong and len(stray) == 40
