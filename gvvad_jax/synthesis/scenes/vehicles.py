"""Cars and vans as a few flat faces."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from gvvad_jax.synthesis.scenes import camera as cameras
from gvvad_jax.synthesis.scenes import sprites

GLASS, TYRE, HUB, LAMP, TAIL = (52.0, 62, 72), (28.0, 28, 30), (120.0, 120, 122), (230.0, 226, 200), (190.0, 40, 36)


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """Sizes in metres; the cabin begins and ends at parts of the length, front at 1."""

    length: float | int
    width: float | int
    waist: float | int  # height of the lower box
    roof: float | int
    cabin: tuple  # at the waist from and to, at the roof from and to
    colour: tuple
    kind: str = "car"


def body(random: np.random.Generator, saturation: float | int = 0.7, kind: str = "") -> Body:
    """A car or, at times, a van."""
    kind = kind or ("van" if random.random() < 0.2 else "car")
    grey = random.uniform(45, 215)
    hue = np.cos(random.uniform(0, 2 * np.pi) - np.array([0, 2.1, 4.2]))
    colour = tuple(np.clip(grey * (1 + (saturation * hue if random.random() < 0.6 else 0 * hue)), 28, 228))
    if kind == "police":
        return Body(4.5, 1.8, 0.95, 1.48, (0.1, 0.72, 0.22, 0.56), (222.0, 224, 228), kind)
    if kind == "van":
        return Body(
            random.uniform(4.8, 5.6), 1.95, 1.2, random.uniform(2.1, 2.4), (0.01, 0.9, 0.02, 0.78), colour, kind
        )
    return Body(random.uniform(3.9, 4.6), 1.75, 0.92, 1.45, (0.08, 0.74, 0.2, 0.56), colour)


@functools.lru_cache(256)
def _faces(body: Body, lights: bool) -> tuple[np.ndarray, np.ndarray]:
    """Corners [faces, 8, 3] (along, up, aside in metres), counter-clockwise as seen from outside, and colours."""
    made: list[tuple[list, tuple, float]] = []
    a, b, d, e = body.cabin
    low, waist, roof, m = 0.28, body.waist, body.roof, 0.82
    shown = body.colour
    for side, sun in ((1.0, 0.78), (-1.0, 0.92)):
        order = 1 if side < 0 else -1
        made.append(([(0, low, side), (1, low, side), (1, waist, side), (0, waist, side)][::order], shown, sun))
        for wheel in (0.2, 0.8):
            r = 0.33 / body.length
            for size, colour in ((1.0, TYRE), (0.5, HUB)):
                turn = np.linspace(0, 2 * np.pi, 9)[:-1]
                ring = [(wheel + r * size * np.cos(t), 0.33 + 0.33 * size * np.sin(t), side * 1.01) for t in turn]
                made.append((ring[::order], colour, 1.0))
        cabin = [(a, waist, side * 0.97), (b, waist, side * 0.97), (e, roof, side * m), (d, roof, side * m)]
        made.append((cabin[::order], shown, sun))
        rear, top = (0.62, 0.63) if body.kind == "van" else (a + 0.03, d + 0.018)
        glass = [(rear, waist + 0.03, side * 0.98), (b - 0.03, waist + 0.03, side * 0.98)]
        glass += [(e - 0.018, roof - 0.08, side * m * 1.01), (top, roof - 0.08, side * m * 1.01)]
        made.append((glass[::order], GLASS, 1.0))
        if body.kind == "police":
            band = [(0, 0.55, side * 1.01), (1, 0.55, side * 1.01), (1, 0.75, side * 1.01), (0, 0.75, side * 1.01)]
            made.append((band[::order], (40, 70, 170), 1.0))
    made.append(([(0, waist, -1), (1, waist, -1), (1, waist, 1), (0, waist, 1)], shown, 1.12))
    made.append(([(d, roof, -m), (e, roof, -m), (e, roof, m), (d, roof, m)], shown, 1.15))
    made.append(([(b, waist, -0.95), (b, waist, 0.95), (e, roof, m), (e, roof, -m)], GLASS, 1.2))
    made.append(([(a, waist, 0.95), (a, waist, -0.95), (d, roof, -m), (d, roof, m)], GLASS, 0.9))
    made.append(([(1, low, -1), (1, low, 1), (1, waist, 1), (1, waist, -1)], shown, 0.85))
    made.append(([(0, low, 1), (0, low, -1), (0, waist, -1), (0, waist, 1)], shown, 0.7))
    for side in (-1, 1):
        p, q = sorted((side * 0.62, side * 0.92))
        made.append(
            ([(1.01, 0.55, p), (1.01, 0.55, q), (1.01, 0.75, q), (1.01, 0.75, p)], LAMP if lights else HUB, 1.0)
        )
        made.append(([(-0.01, 0.6, q), (-0.01, 0.6, p), (-0.01, 0.8, p), (-0.01, 0.8, q)], TAIL, 1.0))
    corners = np.array([np.repeat(points, 8 // len(points), 0) for points, _, _ in made], np.float64)
    corners = (corners - np.array([0.5, 0, 0])) * np.array([body.length, 1, body.width / 2])
    colours = np.array([np.array(colour, np.float64) * sun for _, colour, sun in made])
    return corners, np.clip(colours, 20, 235)


def draw(
    body: Body, place: Float[np.ndarray, " 3"], heading: float | int, camera: cameras.Camera, lights: bool
) -> sprites.Sprite | None:
    """The vehicle's sprite, shadow included, anchored at the middle of its footprint."""
    corners, colours = _faces(body, lights)
    ground = np.array([(-0.54, 0, -1.15), (-0.54, 0, 1.15), (0.54, 0, 1.15), (0.54, 0, -1.15)]).repeat(2, 0)
    corners = np.concatenate([ground[None] * np.array([body.length, 1, body.width / 2]), corners])
    c, s = np.cos(heading), np.sin(heading)
    world = np.stack(
        [corners[..., 0] * c - corners[..., 2] * s, corners[..., 1], corners[..., 0] * s + corners[..., 2] * c], -1
    )
    seen = camera.project(world + place)[..., :2]
    after = np.roll(seen, -1, 1)
    area = (seen[..., 0] * after[..., 1] - seen[..., 1] * after[..., 0]).sum(1)
    shown = area < 0  # counter-clockwise in the picture, whose rows run down: turned to the camera
    if area[0] > 0:
        seen[0], shown[0] = seen[0, ::-1], True
    anchor = camera.project(place)
    paint = np.concatenate([[(30.0, 30, 32)], colours])
    return sprites.faces(seen[shown][:, ::-1], paint[shown], (float(anchor[0]), float(anchor[1])))
