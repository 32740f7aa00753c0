"""Rendered clips, good ones and ones with planted defects: the records a filter meets."""

import dataclasses

import numpy as np

from gvvad_jax import records
from gvvad_jax.synthesis import scenes
from gvvad_jax.video import decode, encode

EVENTS = {0: "people walk along a path", 1: "something crosses a path at high speed"}


def good(seed, count=6, num_frames=40, style="synthetic"):
    """`count` clips of each class; anomalous i and normal i are a pair."""
    for label in (1, 0):
        drawn = scenes.clips(count, label=label, style=style, split="train", seed=seed, num_frames=num_frames)
        for number, clip in enumerate(drawn):
            source = dict(clip.source) | {"pair_id": f"{seed}-{number}", "text": EVENTS[label]}
            yield dataclasses.replace(clip, id=f"{seed:02d}/{clip.id}", source=source)


def frozen(frames, random):
    """The clip stops: one frame for at least half of it."""
    start = int(random.integers(0, len(frames) // 2))
    return np.concatenate([frames[:start], np.repeat(frames[start : start + 1], len(frames) - start, 0)])


def black(frames, random):
    """The picture is gone for at least half of the clip, but for a sensor's noise."""
    dark = frames.copy()
    start = int(random.integers(0, len(frames) // 2))
    dark[start:] = random.integers(0, 12, dark[start:].shape)
    return dark


def duplicate(frames, random):
    """The same clip again: a little brighter or darker, cut by a few pixels and compressed once more."""
    gain, cut = random.uniform(0.92, 1.08), int(random.integers(0, 4))
    inner = frames[:, cut : frames.shape[1] - cut, cut : frames.shape[2] - cut]
    return np.clip(inner * gain, 0, 255).astype(np.uint8)


def shaken(frames, random):
    """A camera that jumps by up to 8 pixels a frame."""
    steps = random.integers(-8, 9, (len(frames), 2))
    return np.stack([np.roll(frame, step, (0, 1)) for frame, step in zip(frames, steps, strict=True)])


def blurred(frames, random):
    """The detail of a picture a sixteenth as large."""
    step = 16
    small = frames[:, ::step, ::step].astype(np.float32)
    rows = np.linspace(0, small.shape[1] - 1, frames.shape[1])
    columns = np.linspace(0, small.shape[2] - 1, frames.shape[2])
    for axis, at in ((1, rows), (2, columns)):
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, small.shape[axis] - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        small = small.take(low, axis) * (1 - share) + small.take(high, axis) * share
    return small.astype(np.uint8)


def burnt(frames, random):
    """Far too bright."""
    return np.clip(frames.astype(np.float32) * 2.5 + 90, 0, 255).astype(np.uint8)


def marked(frames, random):
    """White letters in the bottom right corner."""
    marked = frames.copy()
    glyphs = np.random.default_rng(7).random((7, 40)) < 0.5  # the same in every clip
    marked[:, -13:-6, -48:-8][:, glyphs] = 235
    return marked


def still(frames, random):
    """One picture with a camera's fresh noise in every frame."""
    noisy = frames[:1] + random.normal(0, 2, (*frames.shape[:3], 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


DEFECTS = {f.__name__: f for f in (frozen, black, duplicate, shaken, blurred, burnt, marked, still)}


def defects(clips, random, kinds=tuple(DEFECTS)):
    """Every clip once with each defect of `kinds`; a copy's id ends in -KIND and sorts after the original."""
    with decode.Decoder() as decoder:
        for clip in clips:
            frames = np.concatenate([snippet.frames for snippet in decoder.snippets(clip.video, "all")])
            for kind in kinds:
                yield with_frames(clip, f"{clip.id}-{kind}", DEFECTS[kind](frames, random))


def seed_set(seed, num_good=10, num_each=4, num_frames=48, style="synthetic"):
    """2 * num_good good clips, and num_each of each kind of defect on clips of their own; half are anomalous.

    Only duplicates are of good clips. A planted clip's id ends in -KIND and sorts after the good ones.
    """
    random = np.random.default_rng([seed, 1])
    kinds = [kind for kind in (*DEFECTS, "wrong") if kind != "duplicate"]
    drawn = list(good(seed, num_good + -(-num_each * len(kinds) // 2), num_frames, style))
    half = len(drawn) // 2
    first, rest = [c for part in (drawn[:half], drawn[half:]) for c in part[:num_good]], []
    for pair in zip(drawn[num_good:half], drawn[half + num_good :], strict=True):
        rest += pair
    yield from first
    yield from defects(first[:: len(first) // num_each][:num_each], random, ["duplicate"])
    for number, kind in enumerate(kinds):
        own = rest[number * num_each : (number + 1) * num_each]
        yield from map(wrong_event, own) if kind == "wrong" else defects(own, random, [kind])


def wrong_event(clip):
    """The clip with the description of the other class, and that label."""
    label = 1 - clip.label
    source = dict(clip.source) | {"text": EVENTS[label], "pair_id": ""}
    return dataclasses.replace(clip, id=f"{clip.id}-wrong", label=label, source=source)


def with_frames(clip, id, frames):
    """A record of other frames."""
    height, width = (size + size % 2 for size in frames.shape[1:3])
    video = encode.mp4(frames, fps=10, options={**encode.X264, "preset": "ultrafast"})
    return dataclasses.replace(clip, id=id, height=height, width=width, video=video, num_frames=len(frames))


def write(path, clips):
    """A video set of the clips."""
    with records.writer(path, "video", 1) as writer:
        for clip in clips:
            writer.add(clip)
    return records.reader(path)
