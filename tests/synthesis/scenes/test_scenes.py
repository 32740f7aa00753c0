"""Drawn scenes repeat to the byte, say exactly what they show and when, and give no anomaly away by a plain number."""

import numpy as np
import pytest

from benchmarks import scenes as benchmark
from gvvad_jax import records
from gvvad_jax.features import captions as text
from gvvad_jax.synthesis import scenes
from gvvad_jax.synthesis.describe import elements
from gvvad_jax.synthesis.scenes import captions, forms, places, render, sprites
from gvvad_jax.video import decode

FRAMES = 32


def drawn(count=1, **changes):
    options = {"label": 1, "style": "real", "split": "train", "seed": 0, "num_frames": 20} | changes
    return list(scenes.clips(count, **options))


def described(**changes):
    fields = {
        "id": "pair_0001_a",
        "pair_id": "pair_0001",
        "label": 1,
        "category": "Arson",
        "viewpoint": "a rooftop camera",
        "location": "an outdoor car park",
        "subject": "a man",
        "event": "setting a rubbish bin on fire",
        "text": "A rooftop camera shows an outdoor car park, where a man sets a bin on fire.",
        "describer": "template",
    }
    return records.Description(**(fields | changes))


@pytest.fixture(scope="module")
def test_videos():
    """Every form once, and as many normal videos."""
    options = {"style": "real", "split": "test", "seed": 3, "num_frames": FRAMES}
    return [v for label in (0, 1) for v in scenes.clips(len(scenes.FORMS), label=label, **options)]


@pytest.fixture(scope="module")
def plain_numbers(test_videos):
    return benchmark.cues(test_videos)


def test_the_same_arguments_give_the_same_bytes_and_others_other_scenes():
    (first,), (second,) = drawn(), drawn()
    assert first.video == second.video and first.source == second.source
    others = [drawn(split="test")[0], drawn(seed=1)[0], drawn(style="synthetic")[0]]
    assert len({clip.video for clip in (first, *others)}) == 4
    assert len({str(clip.source["camera"]) for clip in (first, *others)}) == 4
    assert len({str(clip.source["stream"]) for clip in (first, *others)}) == 4
    assert decode.frames(first.video).shape == (20, scenes.HEIGHT, scenes.WIDTH, 3)


def test_every_form_is_drawn_and_the_thirteen_classes_are_among_them(test_videos):
    anomalous = [v for v in test_videos if v.label]
    assert {v.source["form"] for v in anomalous} == set(scenes.FORMS)
    assert set(elements.UCF_CRIME) == {v.category for v in anomalous if v.source["form"] in forms.UCF}
    assert all(v.category == forms.FORMS[v.source["form"]].category for v in anomalous)


def test_anomalies_take_ten_to_forty_percent_and_normal_videos_hold_harmless_surprises(test_videos):
    for video in test_videos:
        if video.label:
            ((start, end),) = video.intervals
            assert 0 <= start < end <= video.num_frames
            assert 0.1 <= (end - start) / video.num_frames <= 0.4
        else:
            assert video.intervals == [] and video.source["surprises"]
    starts = [v.intervals[0][0] / v.num_frames for v in test_videos if v.label]
    assert min(starts) < 0.25 and max(starts) > 0.5


def test_captions_cover_every_snippet_and_name_the_event_where_it_shows(test_videos):
    for video in test_videos:
        assert [(start, end) for start, end, _ in video.captions] == captions.snippets(video.num_frames)
        event = [any(min(e, b) - max(s, a) >= captions.LEAST for a, b in video.intervals) for s, e, _ in video.captions]
        said = [
            not sentence.startswith(("a person walks", "people walk", "many people", "an empty"))
            for *_, sentence in video.captions
        ]
        assert said == event, video.id
    assert captions.snippets(100)[-2:] == [(80, 96), (96, 100)] and captions.snippets(10) == [(0, 10)]


@pytest.mark.parametrize("num_frames", [160, 170, 100, 20])
def test_a_text_set_has_for_each_snippet_the_sentence_that_the_scene_says_of_it(num_frames):
    """Windows of 64 frames, as published captions have, begin with their snippet; those of 16 are the snippets."""
    made = [(start, end, str(start)) for start, end in captions.snippets(num_frames)]
    for window in (16, 64):
        spans = text.windows(num_frames, window)
        assert text.choose(made, spans) == [str(start) for start, _ in spans]
    assert text.windows(num_frames, 16) == captions.snippets(num_frames)


@pytest.mark.parametrize("cue", ["brightness", "saturation", "frame difference, mean", "time position"])
def test_a_plain_number_does_not_give_anomalies_away(plain_numbers, cue):
    assert plain_numbers[cue] < 0.75


def test_frames_outside_the_interval_are_those_of_a_scene_without_the_action():
    """Until it begins, an arson is a picture without flames: nothing burns, so no pixel is bright orange."""
    random = np.random.default_rng(1)
    scene, (start, end), _, _ = scenes._scene(random, "arson", "real", 60, "square", "", "day")
    red, green, blue = np.moveaxis(render.frames(scene).astype(int), -1, 0)
    burning = ((red > 200) & (red - blue > 110) & (green > 60)).sum((1, 2))
    assert burning[start:end].max() > 30
    assert max(burning[:start].max(initial=0), burning[end:].max(initial=0)) < burning[start:end].max() / 4


def test_limbs_cover_what_is_within_their_radius_and_nothing_else():
    """A point, a line and both, against distances written out; drawn together they are what each is alone."""
    ends = np.array([[[[9.0, 8], [9, 8]], [[15, 4], [22, 20]]], [[[9.5, 8], [9.5, 8]], [[3, 20], [22, 20.5]]]])
    radii, anchors = np.array([[4.0, 2.5], [3.0, 1.5]]), np.array([[9.0, 8], [0, 0]])
    paint = np.array([[[200.0, 100, 50], [60, 120, 180]]] * 2)
    together = sprites.limbs(ends, radii, paint, anchors, shade=0.0)
    for i in range(2):
        for sprite in (
            together[i],
            *sprites.limbs(ends[i : i + 1], radii[i : i + 1], paint[i : i + 1], anchors[i, None]),
        ):
            frame = np.full((30, 40, 3), 235, np.uint8)
            sprites.put(frame, sprite, *anchors[i])
            x, y = np.meshgrid(np.arange(40.0), np.arange(30.0))
            a, b = ends[i, :, 0, :, None, None], ends[i, :, 1, :, None, None]
            part = ((x - a[:, 0]) * (b - a)[:, 0] + (y - a[:, 1]) * (b - a)[:, 1]) / ((b - a) ** 2).sum(1).clip(1e-9)
            part = part.clip(0, 1)
            away = np.hypot(x - a[:, 0] - part * (b - a)[:, 0], y - a[:, 1] - part * (b - a)[:, 1])
            outside, inside = away - radii[i, :, None, None] > 0.51, away - radii[i, :, None, None] < -0.51
            assert (frame[outside.all(0)] == 235).all()
            assert (frame[inside.any(0)] < 235).any(-1).all()
            if sprite is together[i]:
                assert np.abs(frame[inside[1]] - paint[0, 1]).max() <= 1  # the later covers the earlier


@pytest.mark.parametrize("kind", places.KINDS)
def test_grain_never_wraps_around(kind):
    random = np.random.default_rng(7)
    scene, *_ = scenes._scene(random, "", "real", 20, kind, "", "at night")
    frames = render.frames(scene)
    assert 2 <= frames.min() and frames.max() <= 253


def test_a_description_becomes_a_clip_of_its_event_and_place():
    clip = scenes.make(described(), "train", "synthetic", seed=0, num_frames=20)
    assert (clip.id, clip.label, clip.synthetic, clip.category) == ("pair_0001_a", 1, 1, "Arson")
    assert clip.source["form"] == "arson" and clip.source["place"] == "car park"
    assert clip.source["description_id"] == clip.id and clip.source["pair_id"] == "pair_0001"
    normal = scenes.make(described(label=0, category="Normal", event=""), num_frames=20)
    assert normal.intervals == [] and normal.source["form"] == "normal"


def test_every_event_of_the_catalogue_has_a_form():
    for event in elements.catalogue().events:
        assert forms.of(event.category, event.name) in scenes.FORMS
    for category in elements.UCF_CRIME:
        assert forms.FORMS[forms.of(category)].category == category


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="choose one of real, synthetic"):
        drawn(style="cartoon")
    with pytest.raises(ValueError, match="choose one of train, validation, test"):
        drawn(split="tests")
    with pytest.raises(ValueError, match="no drawn form for category 'Flood'"):
        scenes.make(described(category="Flood", event="a river", text="Water."))
    with pytest.raises(ValueError, match="give 20 or more"):
        drawn(num_frames=8)
