import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import labels


@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=80))
def test_labels_give_intervals_give_labels(values):
    intervals = labels.intervals_from_labels(np.array(values))
    back, notes = datasets.labels_from_intervals(intervals, len(values), "v")
    assert (back.tolist(), back.dtype, notes) == (values, np.int8, [])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=6))
def test_union_marks_the_same_frames_with_apart_intervals(pairs):
    intervals = [(start, start + length) for start, length in pairs]
    merged = labels.union(intervals)
    frames = {f for s, e in intervals for f in range(s, e)}
    assert {f for s, e in merged for f in range(s, e)} == frames
    assert all(a[1] < b[0] for a, b in zip(merged, merged[1:], strict=False))


def test_an_end_two_frames_past_the_video_is_clipped_with_a_note():
    marked, notes = datasets.labels_from_intervals([(7, 12)], 10, "Explosion033_x264")
    assert marked.tolist() == [0] * 7 + [1] * 3
    assert notes == ["Explosion033_x264: interval 7-12 clipped to the video's 10 frames"]


def test_an_interval_wholly_past_the_end_leaves_no_frame_and_a_note():
    marked, notes = datasets.labels_from_intervals([(10, 12)], 10, "v")
    assert not marked.any() and len(notes) == 1


def test_further_off_is_refused_with_both_numbers_and_the_name():
    with pytest.raises(ValueError, match=r"^Arson011: .* 1267, but the video has 1264 frames"):
        datasets.labels_from_intervals([(5, 1267)], 1264, "Arson011")
    assert datasets.labels_from_intervals([(5, 1267)], 1264, "Arson011", slack=16)[0].sum() == 1259


@pytest.mark.parametrize("interval", [(-1, 3), (3, 3), (4, 3)])
def test_what_is_no_range_is_refused(interval):
    with pytest.raises(ValueError, match=r"^v: interval"):
        datasets.labels_from_intervals([interval], 10, "v")


def test_a_video_without_frames_is_refused():
    with pytest.raises(ValueError, match=r"^v: 0 frames"):
        datasets.labels_from_intervals([], 0, "v")


def test_intervals_as_lists_work_as_json_gives_them():
    assert datasets.labels_from_intervals([[1, 3]], 4, "v")[0].tolist() == [0, 1, 1, 0]
