import numpy as np
import pytest

from gvvad_jax import datasets
from gvvad_jax.doctor import truth


def ceil_array():
    """A stand-in for gt-ucf.npy: make_gt_ucf's rule, anomalous videos first, ends inclusive."""
    tests = [e for e in datasets.facts("ucf").values() if e.split == "test"]
    parts = []
    for entry in sorted(tests, key=lambda e: (-e.label, e.id)):
        labels = np.zeros(-(-entry.num_frames // 16) * 16)
        for start, stop in entry.intervals or ():
            labels[start : stop + 1 if stop + 1 <= len(labels) else stop] = 1
        parts.append(labels)
    return np.concatenate(parts)


def said(*arguments):
    found = list(truth.explain(*arguments))
    return "\n".join(map(str, found)), any(f.problem for f in found)


def test_the_flat_array_of_ucf_crime_is_explained(tmp_path):
    np.save(tmp_path / "gt-ucf.npy", ceil_array())
    text, wrong = said(tmp_path / "gt-ucf.npy")
    assert not wrong
    assert "1,114,144 = sum of 16·⌈F/16⌉ (ceil) over ucf's 290 test videos" in text
    assert "84,343 anomalous" in text and "anomalous videos first, 290 of 290" in text
    assert "end +1: 139" in text and "0 to     1,424      76 anomalous  Abuse028_x264" in text


def test_a_wrong_list_is_noticed(tmp_path):
    np.save(tmp_path / "gt.npy", ceil_array())
    tests = sorted(id for id, e in datasets.facts("ucf").items() if e.split == "test")
    (tmp_path / "a.list").write_text("\n".join(tests[::-1]))
    text, wrong = said(tmp_path / "gt.npy", "ucf", tmp_path / "a.list")
    assert wrong and "another order" in text


def test_a_length_of_no_rule_is_said_to_be_of_other_features(tmp_path):
    np.save(tmp_path / "gt.npy", np.zeros(143_888))
    text, wrong = said(tmp_path / "gt.npy", "ucf")
    assert wrong and "143,888 is the sum of no rule" in text and "1,111,808" in text


def test_published_dictionaries(shared):
    text, wrong = said(shared / "data/ucf_annotations/pel4vad_single_gt.npz")
    assert not wrong and "290 of its 290" in text and "-16 frames: 9 videos" in text
    text, wrong = said(shared / "data/tad_annotations/frame_labels_published.npz")
    assert wrong and "40 normal videos hold a stray" in text and "F − 2: 40" in text and "05_else_038" in text


def test_names_of_no_data_set_are_a_problem(tmp_path):
    np.savez(tmp_path / "gt.npz", unheard=np.zeros(10))
    text, wrong = said(tmp_path / "gt.npz")
    assert wrong and "unheard" in text


def test_a_missing_video_is_named(tmp_path):
    np.savez(tmp_path / "gt.npz", Abuse028=np.zeros(1412), Normal_Videos_003=np.r_[np.zeros(100), np.ones(900)])
    text, wrong = said(tmp_path / "gt.npz", "ucf")
    assert wrong and "288 test videos are missing" in text and "Abuse028_x264" in text


def test_a_pickle_is_refused(tmp_path):
    np.save(tmp_path / "gt.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="gt.npy"):
        list(truth.explain(tmp_path / "gt.npy"))
