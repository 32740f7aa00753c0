"""Street scenes of a fixed camera, drawn with NumPy from a seed: the generator that needs no weights, key or assets.

`make` draws a description's clip, `clips` draws pairs of classes without descriptions. The same arguments give the same
bytes with the same FFmpeg and NumPy. Every number of a scene (background, camera, actors, moments) comes from a stream
that style, split and the clip's name spawn from the seed, so no two splits share one.
"""

import contextlib
import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gvvad_jax import records
from gvvad_jax.records import schemas
from gvvad_jax.synthesis.options import Options
from gvvad_jax.synthesis.scenes import camera, captions, forms, life, places, render, stage
from gvvad_jax.video import encode

HEIGHT, WIDTH, FPS, NUM_FRAMES = camera.HEIGHT, camera.WIDTH, 10, 160
FEWEST = 20  # frames, with room for an event
STYLES = ("real", "synthetic")
FORMS = tuple(forms.FORMS)  # the first thirteen are UCF-Crime's classes
# ultrafast leaves out the rate control that is not repeatable and is ten times as fast; frames compress as plain
# surveillance video does.
X264 = {
    style: {"preset": "ultrafast", "crf": crf, "x264-params": "no-mbtree=1:threads=1"}
    for style, crf in (("real", "27"), ("synthetic", "22"))
}


def make(
    description: records.Description,
    split: str = "train",
    style: str = "synthetic",
    seed: int = 0,
    num_frames: int = NUM_FRAMES,
) -> records.Video:
    """Draws the clip of one description; its id is the description's, its `source` says which form was drawn.

    Words of location and viewpoint choose place and camera where they are known; an event that cannot be drawn at a
    place gets another one. ValueError for a category and event that no form fits.
    """
    form = forms.of(description.category, description.event, description.text) if description.label else ""
    about = {
        "description_id": description.id,
        "pair_id": description.pair_id,
        "text": description.text,
    }
    return _video(
        description.id,
        description.category,
        form=form,
        style=style,
        split=split,
        seed=seed,
        num_frames=num_frames,
        about=about,
        kind=forms.place_of(description.location),
        view=forms.view_of(description.viewpoint),
        words=f"{description.location} {description.text}",
    )


@contextlib.contextmanager
def generator(descriptions: Sequence[records.Description], options: Options) -> Iterator[Callable]:
    """`make` for tools/generate.py; options that scenes have no use for are refused."""
    options.require_only("scenes", "frames", "seed")
    yield functools.partial(make, seed=options.seed, num_frames=options.frames or NUM_FRAMES)


def clips(
    count: int, *, label: int, style: str, split: str, seed: int, num_frames: int = NUM_FRAMES
) -> Iterator[records.Video]:
    """Draws `count` clips without descriptions; anomalous ones (label 1) go through all forms in turn.

    An anomalous clip has one interval of 10 to 40 % of its frames that begins anywhere. Raises ValueError for a style
    that is not one of STYLES.
    """
    first = np.random.default_rng(_stream(style, split, seed, "order")).permutation(len(FORMS))
    for number in range(count):
        name = f"{style}/{split}/{('normal', 'anomalous')[label]}_{number:03d}"
        form = FORMS[first[number % len(FORMS)]] if label else ""
        category = forms.FORMS[form].category if label else "Normal"
        yield _video(name, category, form=form, style=style, split=split, seed=seed, num_frames=num_frames)


def _stream(style: str, split: str, seed: int, name: str) -> list[int]:
    """The spawned seed of a clip."""
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; choose one of {', '.join(STYLES)}")
    if split not in schemas.SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(schemas.SPLITS)}")
    return [seed, STYLES.index(style), schemas.SPLITS.index(split), zlib.crc32(name.encode())]


def _video(
    name: str,
    category: str,
    *,
    form: str,
    style: str,
    split: str,
    seed: int,
    num_frames: int,
    about: dict[str, Any] | None = None,
    kind: str = "",
    view: str = "",
    words: str = "",
) -> records.Video:
    if num_frames < FEWEST:
        raise ValueError(f"{name}: a scene of {num_frames} frames has no room for an event; give {FEWEST} or more.")
    stream = _stream(style, split, seed, name)
    scene, interval, event, surprises = _scene(
        np.random.default_rng(stream), form, style, num_frames, kind, view, words
    )
    walkers = _in_view(scene)
    intervals = [interval] if form else []
    return records.Video(
        id=name,
        label=int(bool(form)),
        synthetic=STYLES.index(style),
        category=category,
        split=split,
        source={
            "generator": "scenes",
            "settings": {"style": style, "frames": num_frames},
            "seed": seed,
            **(about or {}),
            "form": form or "normal",
            "place": scene.place.kind,
            "night": scene.place.night,
            "surprises": surprises,
            "stream": stream,
            "camera": {k: round(v, 4) for k, v in dataclasses.asdict(scene.place.camera).items()},
        },
        fps=float(FPS),
        num_frames=num_frames,
        height=HEIGHT,
        width=WIDTH,
        video=encode.mp4(render.frames(scene), FPS, options=X264[style]),
        intervals=intervals,
        captions=captions.write(num_frames, scene.place.kind, scene.place.night, walkers, scene.seen, intervals, event),
    )


def _scene(
    random: np.random.Generator, form: str, style: str, num_frames: int, kind: str, view: str, words: str
) -> tuple[stage.Scene, tuple[int, int], str, list[str]]:
    """The scene, the event's frames, its words, and the surprises in it."""
    drawn = forms.FORMS.get(form)
    if drawn is None:
        kind = kind or places.KINDS[random.integers(len(places.KINDS))]
    elif kind not in drawn.kinds:
        kind = drawn.kinds[random.integers(len(drawn.kinds))]
    dark, said = random.random() < 0.3, forms.is_night(words)
    night = dark if said is None else said
    place = places.draw(random, kind, night, style, view)
    scene = stage.Scene(place, num_frames, float(FPS), random, style)
    needs_road = drawn is not None and drawn.needs_road
    if " rain" in words.lower() and not place.is_indoor:
        life.rain(scene, needs_road)
    life.fill(scene, 1.0 if place.is_indoor else 1.4, needs_road)
    surprises = [
        life.choose(scene, needs_road) for _ in range(int(random.integers(1, 3)) if not form else random.random() < 0.5)
    ]
    if drawn is None:
        return scene, (0, 0), "", surprises
    length = round(num_frames * random.uniform(0.12, 0.39))
    start = int(random.integers(0, num_frames - length + 1))
    event = drawn.draw(scene, start, start + length)
    return scene, (start, start + length), event, surprises


def _in_view(scene: stage.Scene) -> list[int]:
    """How many people are in the picture, frame by frame."""
    inside = np.zeros(scene.num_frames, int)
    for actor in scene.actors:
        column = scene.place.camera.project(actor.place)[:, 0]
        inside += actor.shown & (column > 0) & (column < WIDTH)
    return inside.tolist()
