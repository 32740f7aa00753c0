"""Drawn clips are repeatable, labelled to the frame, and never shared between splits and styles."""

import numpy as np
import pytest

from gvvad_jax.synthesis import scenes
from gvvad_jax.video import decode


def drawn(**changes):
    return list(
        scenes.clips(2, **{"label": 1, "style": "real", "split": "train", "seed": 0, "num_frames": 20} | changes)
    )


def test_the_same_arguments_give_the_same_bytes_and_another_split_other_ones():
    first, second, other = drawn(), drawn(), drawn(split="test")
    assert [clip.video for clip in first] == [clip.video for clip in second]
    assert {clip.video for clip in first}.isdisjoint(clip.video for clip in other)
    assert {clip.id for clip in first}.isdisjoint(clip.id for clip in other)


def test_labels_flags_and_frames_are_what_the_record_says():
    (anomalous, _), (normal, _) = drawn(style="synthetic"), drawn(label=0)
    ((start, end),) = anomalous.intervals
    assert 0 <= start < end <= 20 and anomalous.synthetic == 1
    assert normal.intervals == [] and normal.synthetic == 0
    assert decode.frames(anomalous.video).shape == (20, scenes.HEIGHT, scenes.WIDTH, 3)


@pytest.mark.parametrize("seed", range(4))
def test_the_fast_mover_shows_in_every_labelled_frame_but_the_first(monkeypatch, seed):
    draw, shown = scenes._draw, []

    def watched(image, mover, t, wrap):
        before = image.copy()
        draw(image, mover, t, wrap)
        if wrap is None:  # the fast one, which does not come back
            shown.append(bool((image != before).any()))

    monkeypatch.setattr(scenes, "_draw", watched)
    _, ((start, end),) = scenes._clip(np.random.default_rng(seed), 1, "real", 40)
    assert len(shown) == end - start and all(shown[1:])
    assert 0.15 * 40 - 1 <= end - start <= 0.4 * 40


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="choose one of real, synthetic"):
        drawn(style="cartoon")
