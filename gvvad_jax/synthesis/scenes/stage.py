"""A scene under construction: a place and all that moves in it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from gvvad_jax.synthesis.scenes import effects, marks, people, places, tracks, vehicles


@dataclasses.dataclass(eq=False)
class Scene:
    """Filled by life.py and by one of the events; render.py draws it."""

    place: places.Place
    num_frames: int
    fps: float | int
    random: np.random.Generator
    style: str
    actors: list[tracks.Actor] = dataclasses.field(default_factory=list)
    drives: list[tracks.Drive] = dataclasses.field(default_factory=list)
    beams: list[effects.Beam] = dataclasses.field(default_factory=list)
    marks: list[tuple[int, Callable[[np.ndarray], None]]] = dataclasses.field(default_factory=list)
    rain: effects.Rain | None = None
    brightness: np.ndarray | None = None  # [F] added to every pixel
    seen: list[tuple[int, int, str]] = dataclasses.field(default_factory=list)  # frames in which words are true
    taken: list[tuple] = dataclasses.field(default_factory=list)  # x, z kept free of standing people
    extras: list[Any] = dataclasses.field(default_factory=list)  # things with z and draw(frame, t, camera)

    @property
    def saturation(self) -> float:
        """Of clothes and cars."""
        return 0.35 if self.style == "real" else 0.65

    def script(self, kind: str = "person") -> tracks.Script:
        """Somebody new."""
        look = people.look(self.random, kind, self.saturation)
        return tracks.Script(look, self.num_frames, self.fps, 1.0 if self.style == "real" else 0.75)

    def add(self, *scripts: tracks.Script) -> None:
        """Puts finished people on the stage."""
        self.actors += [script.finish() for script in scripts]

    def spot(self, strip: tuple | None = None, inner: float | int = 0.3) -> tuple:
        """A place on the main strip, not near the picture's sides, nor near people who stand where that is possible."""
        low, high = strip or self.place.walk[0]
        x = z = 0.0
        for _ in range(20):
            z = self.random.uniform(low + 0.3 * (high - low), high - 0.25 * (high - low))
            a, b = self.place.camera.reach(z)
            x = self.random.uniform(a + inner * (b - a), b - inner * (b - a))
            if all(np.hypot(x - u, 2 * (z - v)) > 1.8 for u, v in self.taken):
                break
        return x, z

    def opening(self) -> tuple:
        """A window, door or shelf well inside the picture; a made-up one where there is none."""
        a, b = self.place.camera.reach(self.place.wall)
        inner = [
            o for o in self.place.openings if a + 0.2 * (b - a) < (o[0] + o[1]) / 2 < b - 0.2 * (b - a) and o[2] > 0
        ]
        if inner:
            return inner[self.random.integers(len(inner))]
        x = (a + b) / 2 + self.random.uniform(-1, 1)
        return x - 0.7, x + 0.7, 0.8, 2.2

    def side(self) -> int:
        """-1 or 1."""
        return int(self.random.choice([-1, 1]))

    def fire(self, x, y, z, size, start, end, **options) -> effects.Fire:
        """A fire on the stage."""
        dark = 0.55 if self.place.night else 1.0
        made = effects.Fire(x, y, z, size, start, end, self.random.random((48, 4)), dark=dark, fps=self.fps, **options)
        self.extras.append(made)
        return made

    def vehicle(self, points, kind: str = "", lights: bool | None = None) -> tracks.Drive:
        """A vehicle on the stage, lit at night."""
        body = vehicles.body(self.random, self.saturation, kind)
        lights = self.place.night if lights is None else lights
        made = tracks.drive(body, points, self.num_frames, lights)
        self.drives.append(made)
        if self.place.night and lights:
            self.beams.append(effects.Beam(made.place, made.heading, body.length))
        return made

    def paint(self, start: int, lines, colour, opacity: float | int = 1.0) -> None:
        """Lines (two world points, width in metres) on ground or wall, there from frame `start` on."""
        self.marks.append((start, marks.painter(self.place, lines, colour, opacity)))
