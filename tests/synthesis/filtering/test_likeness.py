"""A mark that several clips carry, and clips that only seem to carry one."""

import numpy as np

from gvvad_jax.synthesis.filtering import likeness, measures


def clip(seed, corner=None, place=None):
    """A clip of its own place; `corner`: strokes of its bottom right corner."""
    random = np.random.default_rng(seed)
    still = random.normal(size=1200) if place is None else np.random.default_rng(place).normal(size=1200)
    corners = random.normal(0, 1, (4, *measures.CORNER)).astype(np.float32)
    if corner is not None:
        corners[3] += corner
    still = (still / np.linalg.norm(still)).astype(np.float32)
    return measures.Measures({}, still, np.zeros(8, np.float32), corners)


def strokes(seed):
    return 30.0 * (np.random.default_rng(seed).random(measures.CORNER) < 0.1)


def test_a_mark_of_some_clips_is_found_in_those_alone():
    found = [clip(i, strokes(0) if i < 5 else None) for i in range(12)]
    shared = likeness.shared_overlay(found)
    assert (shared[:5] > 0.8).all() and (shared[5:] < 0.3).all()


def test_clips_that_are_not_sound_draw_no_mark_but_are_judged_by_one():
    corner = strokes(1)
    found = [clip(i, corner) for i in range(6)] + [clip(i) for i in range(6, 10)]
    sound = np.array([True] * 2 + [False] * 4 + [True] * 4)
    assert (likeness.shared_overlay(found) > 0.8).sum() == 6
    assert not likeness.shared_overlay(found, sound).any()  # two sound clips with one corner are no witnesses enough
    sound[2:5] = True
    assert (likeness.shared_overlay(found, sound) > 0.8).tolist() == [True] * 6 + [False] * 4


def test_one_camera_is_not_one_mark():
    corner = strokes(2)
    found = [clip(i, corner, place=99) for i in range(6)] + [clip(i) for i in range(6, 10)]
    assert not likeness.shared_overlay(found).any()


def test_no_or_one_witness_is_no_mark():
    assert likeness.shared_overlay([]).shape == (0,)
    assert not likeness.shared_overlay([clip(0, strokes(0))]).any()
    assert not likeness.shared_overlay([clip(i, strokes(0)) for i in range(4)], np.zeros(4, bool)).any()


def test_repeats_of_one_clip_are_one_witness():
    corner = strokes(3)
    found = [clip(i, corner) for i in range(5)] + [clip(i) for i in range(5, 9)]
    assert (likeness.shared_overlay(found, group=np.arange(9)) > 0.8).sum() == 5
    assert not likeness.shared_overlay(found, group=np.array([0, 1, 0, 0, 1, 5, 6, 7, 8])).any()
