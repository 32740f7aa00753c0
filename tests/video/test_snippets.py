import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax.video import snippets

KEEPS = st.one_of(st.just("all"), st.integers(1, 40))


def plain_bounds(num_frames, snippet_frames):
    ranges, start = [], 0
    while num_frames - start >= 2 * snippet_frames:
        ranges.append((start, start + snippet_frames))
        start += snippet_frames
    return [*ranges, (start, num_frames)]


@given(st.integers(1, 500), st.integers(1, 40))
def test_bounds_equal_a_plain_loop(num_frames, snippet_frames):
    bounds = snippets.bounds(num_frames, snippet_frames)
    assert bounds.tolist() == [list(r) for r in plain_bounds(num_frames, snippet_frames)]
    assert len(bounds) == max(1, num_frames // snippet_frames)


@pytest.mark.parametrize("arguments", [(0,), (-3,), (10, 0)])
def test_bounds_of_nothing_are_refused(arguments):
    with pytest.raises(ValueError, match="at least 1"):
        snippets.bounds(*arguments)


def test_chosen_frames_are_the_middles_of_equal_parts():
    assert snippets.chosen(32, 48, 1).tolist() == [40]
    assert snippets.chosen(32, 48, 2).tolist() == [36, 44]
    assert snippets.chosen(32, 48, 4).tolist() == [34, 38, 42, 46]
    assert snippets.chosen(32, 48, 16).tolist() == list(range(32, 48))
    assert snippets.chosen(0, 5, 16).tolist() == [0, 1, 2, 3, 4]
    assert snippets.chosen(0, 31, "all").tolist() == list(range(31))
    assert snippets.chosen(7, 8, 1).tolist() == [7]


@given(st.integers(0, 1000), st.integers(1, 64), st.integers(1, 64))
def test_chosen_frames_are_sorted_distinct_and_inside(start, length, count):
    frames = snippets.chosen(start, start + length, count)
    assert len(frames) == min(length, count)
    assert (np.diff(frames) > 0).all()
    assert start <= frames[0] and frames[-1] < start + length


@given(st.integers(1, 130), st.integers(1, 20), KEEPS)
def test_a_stream_is_grouped_like_bounds_and_chosen(num_frames, snippet_frames, keep):
    grouped = list(snippets.stream(iter(range(num_frames)), keep, snippet_frames))
    expected = [(a, b) for a, b in snippets.bounds(num_frames, snippet_frames).tolist()]
    assert [(start, stop) for start, stop, _, _ in grouped] == expected
    for start, stop, indices, frames in grouped:
        assert indices == frames == snippets.chosen(start, stop, keep).tolist()


def test_a_stream_lets_go_of_frames_that_no_length_would_keep():
    class Frame:
        alive = 0

        def __init__(self):
            Frame.alive += 1

        def __del__(self):
            Frame.alive -= 1

    most = 0
    for _ in snippets.stream((Frame() for _ in range(200)), 1, 16):
        most = max(most, Frame.alive)
    assert most <= 20  # of 32 that wait: the middles of any length from 16 to 31, and of the snippet after


def test_an_empty_stream_has_no_snippet():
    assert list(snippets.stream(iter([]), 1)) == []
