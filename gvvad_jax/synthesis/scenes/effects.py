"""Fire, smoke, flashes, flying pieces, rain, and things that stand still."""

import dataclasses

import numpy as np

from gvvad_jax.synthesis.scenes import camera as cameras
from gvvad_jax.synthesis.scenes import sprites

FLAMES = ((235.0, 222, 140), (235.0, 170, 60), (226.0, 110, 36), (170.0, 60, 28))


def _puff(
    frame, camera: cameras.Camera, x, y, z, metres: float | int, colour, opacity: float | int, flat: float | int = 1.0
) -> None:
    column, row, depth = camera.see(x, y, z)
    radius = max(2, min(160, round(2 * metres * camera.focal / depth)))
    level = max(0, min(9, round(10 * opacity)))
    if level:
        sprites.put(frame, sprites.cloud(radius / 2, colour, level / 10, flat), column, row)


@dataclasses.dataclass(eq=False)
class Fire:
    """Flames of `size` metres that grow, burn and die down between two frames, with smoke above."""

    x: float | int
    y: float | int
    z: float | int
    size: float | int
    start: int
    end: int
    random: np.ndarray  # [particles, 4] in [0, 1)
    flames: bool = True
    smoke: bool = True
    dark: float | int = 1.0
    fps: float | int = 10.0

    def draw(self, frame, t: int, camera: cameras.Camera) -> None:
        """Paints frame t."""
        if not self.start <= t < self.end:
            return
        part, length = t - self.start, self.end - self.start
        grown = min(1.0, (part + 2) / (0.3 * length + 1), (length - part) / (0.18 * length + 1))
        size = self.size * grown
        if self.smoke:
            for a, b, c, d in self.random[:18]:
                age = (part / self.fps / 2.5 + a) % 1
                if age * 2.5 > part / self.fps:
                    continue
                grey = 8.0 * round((48 + 50 * d) * self.dark / 8)
                x = self.x + (b - 0.5) * size * 0.7 + age * (0.6 + c) * self.size * 0.8
                height = self.y + size * 0.7 + age * 3.2 * self.size
                opacity = 0.95 * (1 - age**1.5) * min(1, grown * 1.5)
                _puff(frame, camera, x, height, self.z, size * (0.4 + 0.9 * age), (grey, grey, grey * 1.02), opacity)
        if self.flames:
            column, row, depth = camera.see(self.x, self.y + 0.4 * size, self.z)
            sprites.glow(frame, column, row, 2.2 * size * camera.focal / depth, (70, 42, 12), 0.8)
            for a, b, c, d in self.random[18:]:
                age = (part / self.fps * (1.2 + b) + a) % 1
                side = (c - 0.5) * size * (1 - 0.75 * age) + 0.1 * size * np.sin(part * 1.7 + 20 * d)
                colour = FLAMES[min(3, int(4 * (0.7 * age + 0.45 * abs(c - 0.5) + 0.15 * d)))]
                radius = size * (0.3 - 0.22 * age)
                _puff(
                    frame,
                    camera,
                    self.x + side,
                    self.y + 0.1 * size + age * 1.25 * size,
                    self.z,
                    radius,
                    colour,
                    0.9,
                    1.6,
                )


@dataclasses.dataclass(eq=False)
class Blast:
    """A flash, a ball of fire, pieces that fly, dust."""

    x: float | int
    y: float | int
    z: float | int
    size: float | int
    start: int
    random: np.ndarray
    fps: float | int = 10.0

    def draw(self, frame, t: int, camera: cameras.Camera) -> None:
        """Paints frame t."""
        age = (t - self.start) / self.fps
        if not 0 <= age < 1.6:
            return
        column, row, depth = camera.see(self.x, self.y + 0.6, self.z)
        scale = camera.focal / depth
        if age < 0.25:
            sprites.glow(frame, column, row, 6 * self.size * scale, (120, 105, 70))
        ball = self.size * (0.6 + 1.2 * min(1, age * 3))
        if age < 0.9:
            for a, b, c, d in self.random[:16]:
                colour = FLAMES[min(3, int(4 * (0.3 * a + age * 0.9)))]
                spread = ball * np.sqrt(b)
                x, y = self.x + spread * np.cos(6.28 * c), max(0.1, self.y + 0.6 + spread * np.sin(6.28 * c) + age)
                _puff(frame, camera, x, y, self.z, ball * (0.3 + 0.25 * d), colour, 0.95 * (1 - age / 0.95))
        for a, b, c, d in self.random[16:36]:
            angle, speed = 6.28 * c, (2 + 5 * a) * self.size
            x, z = self.x + np.cos(angle) * speed * age, self.z + 0.3 * np.sin(angle) * speed * age
            y = self.y + 0.5 + (3 + 5 * b) * age - 4.9 * age * age
            if y > 0:
                _puff(frame, camera, x, y, z, 0.07 + 0.09 * d, (45.0, 40, 36), 0.95)


@dataclasses.dataclass(eq=False)
class Flash:
    """A short light at a place in single frames: a muzzle, a lamp of a patrol car, sparks."""

    x: float | int
    y: float | int
    z: float | int
    frames: frozenset[int]
    radius: float | int = 0.45
    colour: tuple = (215.0, 180, 90)

    def draw(self, frame, t: int, camera: cameras.Camera) -> None:
        """Paints frame t."""
        if t in self.frames:
            column, row, depth = camera.see(self.x, self.y, self.z)
            scale = camera.focal / depth
            sprites.glow(frame, column, row, self.radius * 2.2 * scale, self.colour)
            _puff(frame, camera, self.x, self.y, self.z, self.radius * 0.4, (235.0, 228, 190), 0.9)


@dataclasses.dataclass(eq=False)
class Thing:
    """A bin, a bag or goods: a rounded body that stands from one frame to another."""

    x: float | int
    y: float | int
    z: float | int
    width: float | int
    height: float | int
    colour: tuple
    start: int = 0
    end: int = 1 << 30
    light: float | int = 1.0

    def draw(self, frame, t: int, camera: cameras.Camera) -> None:
        """Paints frame t."""
        if self.start <= t < self.end:
            sprite, column, row = self._sprite(camera)
            sprites.put(frame, sprite, column, row)

    def _sprite(self, camera: cameras.Camera):
        if not hasattr(self, "_made"):
            r = self.width / 2
            low = camera.see(self.x, self.y + min(r, self.height / 2), self.z)
            high = camera.see(self.x, self.y + max(self.height - r, self.height / 2), self.z)
            scale = camera.focal / low[2]
            foot, anchor = np.array(low[:2]), np.array([low[:2]])
            under = [foot + (0, r * scale * 0.6), foot + (0, r * scale * 0.7)]
            ends, radii = np.array([[under, [foot, high[:2]]]]), np.array([[r * scale * 1.1, r * scale]])
            colours = np.array([[[25.0, 25, 25], self.colour]]) * self.light
            self._made = sprites.limbs(ends, radii, colours, anchor)[0], *low[:2]
        return self._made


@dataclasses.dataclass(eq=False)
class Beam:
    """Headlights of a vehicle at night: two lamps and light on the road before it."""

    place: np.ndarray  # [F, 3]
    heading: np.ndarray
    length: float | int
    strong: float | int = 1.0

    def draw(self, frame, t: int, camera: cameras.Camera) -> None:
        """Paints frame t."""
        x, _, z = self.place[t]
        c, s = np.cos(self.heading[t]), np.sin(self.heading[t])
        ahead = self.length / 2
        column, row, depth = camera.see(x + c * (ahead + 2.6), 0.0, z + s * (ahead + 2.6))
        sprites.glow(frame, column, row, 3.0 * camera.focal / depth, np.array([95, 88, 62]) * self.strong, 0.35)
        for side in (-0.6, 0.6):
            column, row, depth = camera.see(x + c * ahead - s * side, 0.65, z + s * ahead + c * side)
            sprites.glow(frame, column, row, 0.8 * camera.focal / depth, np.array([150, 145, 120]) * self.strong)


class Rain:
    """Slanted streaks, another lot in each frame."""

    def __init__(self, random: np.random.Generator, count: int = 220):
        slant = random.uniform(-0.35, 0.35)
        length = 7
        self.sets = []
        for _ in range(8):
            x, y = random.uniform(0, cameras.WIDTH, count), random.uniform(0, cameras.HEIGHT - length, count)
            k = np.arange(length)[:, None]
            columns = np.clip(x + k * slant, 0, cameras.WIDTH - 1).astype(int).ravel()
            self.sets.append(((y + k).astype(int).ravel(), columns))

    def draw(self, frame, t: int) -> None:
        """Paints frame t."""
        rows, columns = self.sets[(t * 5) % 8]
        part = frame[rows, columns].astype(np.int16)
        frame[rows, columns] = part + (205 - part) // 4
