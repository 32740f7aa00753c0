import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax.evaluation import frames


def test_exact_lets_the_tail_repeat_the_last_score():
    scores = frames.frame_scores(np.array([0.1, 0.9], np.float32), 37)
    assert len(scores) == 37 and scores.dtype == np.float32
    assert (scores[:16] == np.float32(0.1)).all() and (scores[16:] == np.float32(0.9)).all()


def test_exact_cuts_a_snippet_that_passes_the_video():
    assert len(frames.frame_scores(np.array([0.1, 0.9, 0.5]), 37)) == 37


def test_floor_and_ceil_follow_the_published_rules():
    scores = np.array([0.1, 0.9], np.float32)
    assert len(frames.frame_scores(scores, 47, tail="floor")) == 32
    assert len(frames.frame_scores(scores, 47, tail="ceil")) == 32
    assert len(frames.frame_scores(np.array([0.1, 0.9, 0.4]), 47, tail="ceil")) == 48


def test_a_video_of_a_few_frames_has_one_snippet():
    assert frames.frame_scores([0.25], 3).tolist() == [0.25] * 3
    assert len(frames.frame_scores([0.25], 3, tail="floor")) == 0


@given(st.integers(1, 5000), st.integers(1, 400), st.sampled_from(frames.TAILS), st.sampled_from([1, 8, 16]))
def test_one_snippet_apart_is_accepted_and_more_is_refused(num_frames, snippets, tail, size):
    scores = np.linspace(0, 1, snippets)
    if abs(snippets - num_frames / size) <= 1:
        found = frames.frame_scores(scores, num_frames, size, tail)
        wanted = {"exact": num_frames, "floor": num_frames // size * size, "ceil": size * snippets}[tail]
        assert len(found) == wanted
        assert all(found[i] == scores[min(i // size, snippets - 1)] for i in range(0, wanted, 7))
    else:
        with pytest.raises(ValueError, match=f"{snippets:,} snippet scores but {num_frames:,} frames"):
            frames.frame_scores(scores, num_frames, size, tail)


@given(st.integers(1, 3000), st.integers(1, 64), st.sampled_from(frames.TAILS))
def test_equal_parts_give_each_frame_the_row_it_lies_in(num_frames, rows, tail):
    scores = np.arange(rows, dtype=np.float32)
    found = frames.frame_scores(scores, num_frames, 0, tail)
    assert found.tolist() == [scores[rows * f // num_frames] for f in range(num_frames)]
    assert found[0] == 0 and np.ptp(np.bincount(found.astype(int), minlength=rows)) <= 1


def test_equal_parts_keep_labels_whole():
    labels = np.array([0] * 50 + [1] * 27, np.int8)
    scores, aligned = frames.align(np.linspace(0, 1, 32), labels, per_frame=False, snippet_frames=0, tail="ceil")
    assert len(scores) == 77 and np.array_equal(aligned, labels)
    scores, aligned = frames.align(np.zeros(75), labels, per_frame=True, snippet_frames=0)
    assert len(scores) == len(aligned) == 77
    with pytest.raises(ValueError, match="Arson: 50 frame scores but 77 labels"):
        frames.align(np.zeros(50), labels, per_frame=True, snippet_frames=0, video="Arson")


def test_the_video_is_named_where_lengths_differ():
    with pytest.raises(ValueError, match="Arrest001: 10 snippet scores but 2,374 frames"):
        frames.frame_scores(np.zeros(10), 2374, video="Arrest001")


@pytest.mark.parametrize("bad", [{"tail": "round"}, {"num_frames": 0}, {"scores": np.zeros((2, 2))}, {"scores": []}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError):
        frames.frame_scores(**({"scores": np.zeros(2), "num_frames": 32} | bad))


def test_labels_are_padded_or_cut_to_what_ceil_scores():
    labels = np.array([0] * 30 + [1] * 10, np.int8)
    for padding, last in (("zero", 0), ("last", 1)):
        scores, aligned = frames.align(np.zeros(3), labels, per_frame=False, tail="ceil", padding=padding)
        assert len(scores) == len(aligned) == 48 and aligned[39] == 1 and aligned[40:].tolist() == [last] * 8
    scores, aligned = frames.align(np.zeros(2), labels, per_frame=False, tail="ceil")
    assert len(scores) == len(aligned) == 32


def test_frame_scores_of_other_programs_may_miss_the_tail():
    labels = np.ones(40, np.int8)
    scores, aligned = frames.align(np.arange(32.0), labels, per_frame=True)
    assert len(scores) == len(aligned) == 40 and scores[-1] == 31
    with pytest.raises(ValueError, match="v: 20 frame scores but 40 labels"):
        frames.align(np.zeros(20), labels, per_frame=True, video="v")
