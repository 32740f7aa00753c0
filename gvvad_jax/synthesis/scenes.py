"""A fixed camera over a walkway, drawn with NumPy: people walk; in an anomalous clip something crosses at speed.

Two styles play the two domains of GV-VAD: `real` (grainy, uneven light) and `synthetic` (clean, saturated, soft). Frame
labels are those in which the fast mover shows; a narrow one is still outside the picture in the first of them.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8

from gvvad_jax import records
from gvvad_jax.video import encode

HEIGHT, WIDTH, FPS = 240, 320, 10
STYLES = ("real", "synthetic")


def clips(
    count: int, *, label: int, style: str, split: str, seed: int, num_frames: int = 80
) -> Iterator[records.Video]:
    """Renders `count` clips as video records; the same arguments give the same bytes.

    An anomalous clip (label 1) has one interval of 15 to 40 % of its frames, beginning anywhere. Backgrounds,
    walkers and intervals are drawn from `seed`, style, split and label, so no two groups share a scene. Raises
    ValueError for a style that is not one of STYLES.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; choose one of {', '.join(STYLES)}")
    for number in range(count):
        spawn = [STYLES.index(style), ["train", "validation", "test"].index(split), label, number]
        random = np.random.default_rng([seed, *spawn])
        frames, intervals = _clip(random, label, style, num_frames)
        name = ("anomalous", "normal")[1 - label]
        yield records.Video(
            id=f"{style}/{split}/{name}_{number:03d}",
            label=label,
            synthetic=STYLES.index(style),
            category="FastMover" if label else "Normal",
            split=split,
            source={"generator": "scenes", "settings": {"style": style}, "seed": seed},
            fps=float(FPS),
            num_frames=num_frames,
            height=HEIGHT,
            width=WIDTH,
            video=encode.mp4(frames, fps=FPS),
            intervals=intervals,
        )


def _clip(
    random: np.random.Generator, label: int, style: str, num_frames: int
) -> tuple[UInt8[np.ndarray, "frames height width 3"], list[tuple[int, int]]]:
    """Draws one clip and the half-open frame ranges of its anomaly."""
    background = _background(random, style)
    walkers = [_mover(random, speed=random.uniform(0.8, 2.2), size=(10, 26)) for _ in range(random.integers(2, 6))]
    intervals = []
    if label:
        length = int(num_frames * random.uniform(0.15, 0.4))
        start = int(random.integers(0, num_frames - length + 1))
        intervals = [(start, start + length)]
        speed = (WIDTH + 40) / length
        fast = _mover(random, speed=speed * random.choice([-1, 1]), size=random.choice([[44, 20], [24, 26]]))
        fast["x"] = -20.0 if fast["speed"] > 0 else WIDTH + 20.0
    noise = 3.0 if style == "real" else 1.0
    frames = np.empty((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(num_frames):
        image = background.copy()
        for walker in walkers:
            _draw(image, walker, t, (WIDTH + 60))
        if label and intervals[0][0] <= t < intervals[0][1]:
            _draw(image, fast, t - intervals[0][0], None)
        grain = random.normal(0.0, noise, (HEIGHT, WIDTH, 1)).astype(np.float32)
        frames[t] = np.clip(image + grain, 0, 255)
    return frames, intervals


def _background(random: np.random.Generator, style: str) -> Float[np.ndarray, "height width 3"]:
    """Ground of smooth blotches with a lighter path across it, lit unevenly in the real style."""
    blotches = random.normal(0.0, 1.0, (HEIGHT // 20 + 1, WIDTH // 20 + 1)).repeat(20, 0).repeat(20, 1)[:HEIGHT, :WIDTH]
    for axis in (0, 1):
        blotches = np.mean([np.roll(blotches, shift, axis) for shift in range(-12, 13)], 0)
    colour = random.uniform(70, 150, 3) * (1.0 if style == "real" else np.array([1.15, 1.0, 0.85]))
    image = colour + 25.0 * blotches[..., None]
    top = int(random.integers(70, 110))
    image[top : top + 100] += random.uniform(15, 45)
    if style == "real":
        image *= np.linspace(random.uniform(0.75, 1.0), 1.1, WIDTH)[:, None]
    return image.astype(np.float32)


def _mover(random: np.random.Generator, speed: float, size) -> dict:
    """Somebody or something on the path: where it starts, how fast it goes (pixels a frame), its size and colour."""
    return {
        "x": random.uniform(-20, WIDTH + 20),
        "y": random.uniform(95, 185),
        "speed": float(speed * random.choice([-1, 1])),
        "half_width": size[0] / 2,
        "half_height": size[1] / 2 * random.uniform(0.85, 1.15),
        "colour": random.uniform(10, 240, 3).astype(np.float32),
        "stripes": random.uniform(0.6, 1.4),
        "phase": random.uniform(0, 6),
    }


def _draw(image: Float[np.ndarray, "height width 3"], mover: dict, t: int, wrap: int | None) -> None:
    """Paints the mover at time t into the image: a soft ellipse with stripes, over a darker shadow."""
    x = mover["x"] + mover["speed"] * t
    if wrap is not None:
        x = (x + 30) % wrap - 30
        x += 0.8 * np.sin(t + mover["phase"])  # a walker's gait is not a straight line
    a, b = mover["half_width"], mover["half_height"]
    left, right = max(0, int(x - a - 2)), min(WIDTH, int(x + a + 3))
    top, bottom = max(0, int(mover["y"] - b - 2)), min(HEIGHT, int(mover["y"] + b + 6))
    if left >= right or top >= bottom:
        return
    columns, rows = np.arange(left, right)[None, :], np.arange(top, bottom)[:, None]
    distance = np.sqrt(((columns - x) / a) ** 2 + ((rows - mover["y"]) / b) ** 2)
    body = np.clip((1.1 - distance) * 5, 0, 1)[..., None]
    shadow = np.clip((1.2 - np.hypot((columns - x) / (a * 1.2), (rows - mover["y"] - b) / 5.0)) * 2, 0, 0.5)[..., None]
    texture = 1 + 0.25 * np.sin((rows - mover["y"]) * mover["stripes"] + (columns - x) * 0.3)[..., None]
    patch = image[top:bottom, left:right] * (1 - shadow)
    image[top:bottom, left:right] = patch * (1 - body) + mover["colour"] * texture * body
