"""What somebody does, frame by frame: scripts that append walking, holding, falling, and the vehicles' drives."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from gvvad_jax.synthesis.scenes import people, poses, vehicles

PHASES = 10  # of a gait: each is drawn once and kept
Moves = Callable[[int], poses.Pose]


@functools.lru_cache
def _gait(gait: Callable, phase: int, swing: float | int) -> poses.Pose:
    return gait(phase / PHASES * 2 * np.pi, swing)


class Script:
    """One person's frames, appended act by act; what goes past the last frame is dropped."""

    def __init__(self, look: people.Look, num_frames: int, fps: float | int, swing: float | int = 1.0):
        self.look, self.num_frames, self.fps, self.swing = look, num_frames, fps, swing
        self.x, self.z, self.heading, self.phase = 0.0, 0.0, 0.0, 0.0
        self.rows: list[tuple] = []  # x, y, z, heading, pose, shown, held, whether the pose is one of a gait
        self.held, self.shown, self.height = "", True, 0.0

    @property
    def now(self) -> int:
        """The frame that comes next."""
        return len(self.rows)

    def _add(self, angles: poses.Pose, steady: bool = False) -> None:
        if len(self.rows) < self.num_frames:
            self.rows.append((self.x, self.height, self.z, self.heading, angles, self.shown, self.held, steady))

    def arrive(
        self,
        x: float | int,
        z: float | int,
        heading: float | int,
        at: int,
        speed: float | int = 1.25,
        runs: bool = False,
    ) -> "Script":
        """Comes along a straight line from far enough away and is at (x, z) in frame `at`."""
        step = speed / self.fps
        self.x, self.z = x - np.cos(heading) * step * at, z - np.sin(heading) * step * at
        return self.go(x, z, frames=at, runs=runs, heading=heading)

    def go(
        self,
        x: float | int,
        z: float | int,
        speed: float | int = 1.25,
        runs: bool = False,
        frames: int | None = None,
        heading=None,
    ) -> "Script":
        """Walks or runs straight to (x, z), in `frames` frames where given."""
        distance = float(np.hypot(x - self.x, z - self.z))
        count = max(1, round(distance / speed * self.fps)) if frames is None else frames
        if distance > 0.02:
            self.heading = float(np.arctan2(z - self.z, x - self.x)) if heading is None else heading
        x0, z0 = self.x, self.z
        cycle = (2.4 if runs else 1.4) * self.look.height / 1.75
        for k in range(1, count + 1):
            if self.now >= self.num_frames:
                break
            self.x, self.z = x0 + (x - x0) * k / count, z0 + (z - z0) * k / count
            self.phase += 2 * np.pi * distance / count / cycle
            gait = poses.run if runs else poses.walk
            phase = round(self.phase / (2 * np.pi) * PHASES) % PHASES
            self._add(_gait(gait, phase, self.swing) if distance > 0.02 else poses.STAND, True)
        return self

    def leave(
        self, heading: float | int, speed: float | int = 1.25, runs: bool = False, until: int | None = None
    ) -> "Script":
        """Goes on in one direction up to frame `until`, or the last."""
        count = max(0, (self.num_frames if until is None else until) - self.now)
        far = speed * count / self.fps
        return self.go(
            self.x + np.cos(heading) * far, self.z + np.sin(heading) * far, runs=runs, frames=count, heading=heading
        )

    def turn(self, heading: float | int) -> "Script":
        """Faces another way from the next frame on."""
        self.heading = heading
        return self

    def take(self, held: str) -> "Script":
        """Holds something, or nothing, from the next frame on."""
        self.held = held
        return self

    def to(self, target: poses.Pose, frames: int) -> "Script":
        """Moves from the last pose into another."""
        first = self.rows[-1][4] if self.rows else poses.STAND
        for k in range(1, frames + 1):
            self._add(first + (target - first) * k / frames)
        return self

    def hold(self, angles: poses.Pose | Moves, until: int) -> "Script":
        """Stays in a pose, or in what a function of the frame gives, up to frame `until`."""
        while self.now < min(until, self.num_frames):
            self._add(angles(self.now) if callable(angles) else angles)
        return self

    def cycle(self, steps: list[poses.Pose], each: int, until: int) -> "Script":
        """Repeats poses, each for some frames, up to frame `until`."""
        first = self.now
        return self.hold(lambda t: steps[(t - first) // each % len(steps)], until)

    def finish(self) -> "Actor":
        """Stands through what is left, and joins the acts softly."""
        self.hold(poses.STAND, self.num_frames)
        x, y, z, heading, angles, shown, held, steady = zip(*self.rows, strict=True)
        bent = np.array(angles)
        padded = np.concatenate([bent[:1], bent, bent[-1:]])
        return Actor(
            self.look,
            np.stack([x, y, z], -1),
            np.array(heading),
            np.where(np.array(steady)[:, None], bent, 0.2 * padded[:-2] + 0.6 * bent + 0.2 * padded[2:]),
            np.array(shown),
            list(held),
        )


@dataclasses.dataclass(eq=False)
class Actor:
    """A person over all frames."""

    look: people.Look
    place: np.ndarray  # [F, 3]
    heading: np.ndarray  # [F]
    angles: np.ndarray  # [F, 12]
    shown: np.ndarray  # [F] bool
    held: list[str]


@dataclasses.dataclass(eq=False)
class Drive:
    """A vehicle over all frames."""

    body: vehicles.Body
    place: np.ndarray  # [F, 3]
    heading: np.ndarray  # [F]
    lights: bool = False
    flashing: tuple[int, int] = (0, 0)  # frames in which its blue lamps flash


def drive(body: vehicles.Body, points: list[tuple], num_frames: int, lights: bool) -> Drive:
    """Through points (frame, x, z, heading), straight between them."""
    frame, x, z, heading = np.array(points, np.float64).T
    t = np.arange(num_frames)
    place = np.stack([np.interp(t, frame, x), 0.0 * t, np.interp(t, frame, z)], -1)
    return Drive(body, place, np.interp(t, frame, heading), lights)
