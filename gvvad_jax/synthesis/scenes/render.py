"""A scene to frames: the empty picture, what moves in it from far to near, then weather, light and camera noise.

Sprites of people and cars are kept by pose, heading and size in small steps, so that a gait is drawn once.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8

from gvvad_jax.synthesis.scenes import camera as cameras
from gvvad_jax.synthesis.scenes import people, sprites, stage, tracks, vehicles

GRAIN = {"real": 4.5, "synthetic": 1.2}
MOST = 18  # of grain and light together: colours stay within 20 and 235, so that 8 bits never overflow


def frames(scene: stage.Scene) -> UInt8[np.ndarray, "frames 240 320 3"]:
    """All frames of the scene."""
    camera, place = scene.place.camera, scene.place
    actors = [_Person(scene, actor) for actor in scene.actors]
    drives = [_Vehicle(scene, drive) for drive in scene.drives]
    made = np.empty((scene.num_frames, cameras.HEIGHT, cameras.WIDTH, 3), np.uint8)
    marks = sorted(scene.marks, key=lambda mark: mark[0])
    empty, grain = place.picture.copy(), _grain(scene)
    for t, frame in enumerate(made):
        while marks and marks[0][0] <= t:
            marks.pop(0)[1](empty)
        frame[...] = empty
        layers = [(depth, shown.draw) for shown in actors + drives if (depth := shown.depth(t)) is not None]
        layers += [(effect.z, lambda f, t, e=effect: e.draw(f, t, camera)) for effect in scene.extras]
        for _, draw in sorted(layers, key=lambda layer: -layer[0]):
            draw(frame, t)
        for beam in scene.beams:
            beam.draw(frame, t, camera)
        if scene.rain:
            scene.rain.draw(frame, t)
        grain(frame, t)
    return made


class _Person:
    """Draws one actor, each sprite once, all of them beforehand."""

    def __init__(self, scene: stage.Scene, actor: tracks.Actor):
        place = scene.place
        self.figure = people.Figure(actor.look, actor.angles, actor.place, actor.heading, place.camera, place.shadow)
        self.place, self.light = actor.place, _steps(place.light(actor.place[:, 0], actor.place[:, 2]))
        self.seen, self.lit = self.figure.foot, {}
        self.visible = actor.shown & (self.seen[:, 0] > -40) & (self.seen[:, 0] < cameras.WIDTH + 40)
        view = np.arctan2(actor.place[:, 2], actor.place[:, 0])
        size = np.round(np.log(self.seen[:, 2]) / 0.09).astype(int)
        turned = np.round(np.mod(actor.heading - view, 2 * np.pi) / 0.45).astype(int)
        steps = np.concatenate([np.round(actor.angles / 0.2), size[:, None], turned[:, None]], 1).astype(np.int8)
        self.keys = [(held, step.tobytes()) for held, step in zip(actor.held, steps, strict=True)]
        self.steady = bool((self.light == self.light[0]).all())
        first = {self.keys[t]: t for t in np.flatnonzero(self.visible).tolist()[::-1]}
        self.bodies, self.shadows = {}, {}
        for held in sorted(set(actor.held)):
            own = sorted((key for key in first if key[0] == held), key=lambda key: (self.seen[first[key], 2], key))
            at = [first[key] for key in own]
            if own:
                light = self.light[0] if self.steady else None
                self.bodies |= dict(zip(own, self.figure.bodies(at, held, light), strict=True))
                if place.shadow.dark > 0:
                    self.shadows |= dict(zip(own, self.figure.shadows(at), strict=True))

    def depth(self, t: int) -> float | None:
        """How far away, None where it is not seen."""
        return float(self.place[t, 2]) if self.visible[t] else None

    def draw(self, frame, t: int) -> None:
        """Paints shadow and body."""
        key = self.keys[t]
        column, row, _ = self.seen[t].tolist()
        if key in self.shadows:
            sprites.put(frame, self.shadows[key], column, row)
        body = self.bodies[key]
        sprites.put(frame, body if self.steady else _under(self.lit, key, body, self.light[t]), column, row)


class _Vehicle:
    """Draws one vehicle, each sprite once."""

    def __init__(self, scene: stage.Scene, drive: tracks.Drive):
        self.scene, self.drive, self.kept, self.lit = scene, drive, {}, {}
        self.seen = scene.place.camera.project(drive.place)
        self.light = _steps(scene.place.light(drive.place[:, 0], drive.place[:, 2]))
        self.visible = (self.seen[:, 0] > -170) & (self.seen[:, 0] < cameras.WIDTH + 170) & (self.seen[:, 2] > 1.5)

    def depth(self, t: int) -> float | None:
        """How far away, None where it is not seen."""
        return float(self.drive.place[t, 2]) if self.visible[t] else None

    def draw(self, frame, t: int) -> None:
        """Paints the vehicle."""
        place, drive = self.scene.place, self.drive
        column, row, depth = self.seen[t].tolist()
        key = (round(column / 14), round(math.log(depth) / 0.03), round(float(drive.heading[t]) / 0.06))
        if key not in self.kept:
            self.kept[key] = vehicles.draw(drive.body, drive.place[t], drive.heading[t], place.camera, drive.lights)
        sprite = self.kept[key]
        if sprite is not None:
            sprites.put(frame, _under(self.lit, key, sprite, self.light[t]), column, row)


def _steps(light: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    """Light in steps of a thirty-second, so that a lit sprite serves many frames."""
    return np.round(light * 32) / 32


def _under(lit: dict, key: tuple, sprite: sprites.Sprite, light: Float[np.ndarray, " 3"]) -> sprites.Sprite:
    """The sprite of `key` under a light, each once."""
    key = (key, light.tobytes())
    if key not in lit:
        lit[key] = sprite.lit(light)
    return lit[key]


def _grain(scene: stage.Scene):
    """A function that adds camera noise and the light's swings to a frame.

    Real style: fresh grain in every frame, light that drifts a little. Synthetic: hardly any grain, but soft patches
    that change every few frames, as generated video shimmers.
    """
    random, sigma = scene.random, GRAIN[scene.style] * (1.4 if scene.place.night else 1.0)
    height, width = cameras.HEIGHT + 48, cameras.WIDTH + 48
    noise = random.standard_normal((height, width, 1), np.float32) * sigma
    noise = noise + random.standard_normal((height, width, 3), np.float32) * (0.4 * sigma)
    pool = np.clip(np.rint(noise), -12, 12).astype(np.int8).view(np.uint8).reshape(height, 3 * width)
    offsets = random.integers(0, 48, (scene.num_frames, 2))
    drift = np.cumsum(random.normal(0, 0.25, scene.num_frames))
    level = np.clip(np.rint(drift - drift.mean()), -5, 5).astype(int)
    if scene.style == "synthetic":
        coarse = random.normal(0, 1.6, (6, 9, 12))
        patches = [
            np.rint(np.kron(c, np.ones((27, 27)))[: cameras.HEIGHT, : cameras.WIDTH]).astype(np.int8) for c in coarse
        ]
        patches = [np.clip(patch, -4, 4).view(np.uint8).repeat(3, 1) for patch in patches]
    swing = np.zeros(scene.num_frames) if scene.brightness is None else scene.brightness

    def add(frame, t: int) -> None:
        frame = frame.reshape(cameras.HEIGHT, 3 * cameras.WIDTH)
        bright = int(round(swing[t]))
        if bright:
            np.minimum(frame, sprites.HIGH - bright, out=frame)
            frame += np.uint8(bright)
        a, b = offsets[t]
        frame += pool[a : a + cameras.HEIGHT, 3 * b : 3 * (b + cameras.WIDTH)]
        if scene.style == "synthetic":
            frame += patches[t // 5 % 6]
        elif level[t]:
            frame += np.int8(level[t]).view(np.uint8)

    return add
