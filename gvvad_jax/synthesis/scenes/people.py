"""People: how one looks, and the sprite of one in a pose, seen by a camera, with the shadow it throws."""

import dataclasses

import numpy as np
from jaxtyping import Float

from gvvad_jax.synthesis.scenes import camera as cameras
from gvvad_jax.synthesis.scenes import poses, sprites

SHOES, GUN, BAR, BAG = (38.0, 34, 32), (25.0, 25, 28), (60.0, 58, 55), (95.0, 60, 35)
SKINS = ((224.0, 178, 148), (190.0, 140, 105), (128.0, 88, 62), (88.0, 60, 44))


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """Colours 20–235, height in metres."""

    height: float | int
    stout: float | int
    top: tuple
    trousers: tuple
    skin: tuple
    hair: tuple
    kind: str = "person"  # person, child, officer, hooded
    skirt: bool = False
    backpack: bool = False


def look(random: np.random.Generator, kind: str = "person", saturation: float | int = 0.6) -> Look:
    """Somebody's clothes and size."""
    top = _colour(random, saturation, random.uniform(70, 210))
    trousers = _colour(random, saturation * 0.5, random.uniform(35, 120))
    hair = tuple(np.array([60.0, 45, 35]) * random.uniform(0.5, 1.6) + random.uniform(0, 40))
    height = random.uniform(1.6, 1.86)
    if kind == "child":
        height = random.uniform(1.1, 1.25)
    if kind == "officer":
        top, trousers, hair = (35.0, 48, 96), (30.0, 36, 66), (24.0, 30, 58)
    if kind == "hooded":
        top, trousers = (42.0, 42, 46), (34.0, 34, 40)
        hair = top
    skin = SKINS[random.integers(len(SKINS))]
    return Look(
        height,
        random.uniform(0.9, 1.2),
        tuple(top),
        tuple(trousers),
        skin,
        hair,
        kind,
        skirt=kind == "person" and random.random() < 0.2,
        backpack=kind == "person" and random.random() < 0.25,
    )


def _colour(random: np.random.Generator, saturation: float | int, brightness: float | int) -> tuple:
    hue = random.uniform(0, 2 * np.pi)
    wheel = np.cos(hue - np.array([0, 2.1, 4.2]))
    return tuple(np.clip(brightness * (1 + saturation * wheel), 25, 230))


@dataclasses.dataclass(frozen=True)
class Shadow:
    """Where a point one metre high throws its shadow (x, z in metres), and how dark it is; lean 0: under the feet."""

    x: float | int
    z: float | int
    dark: float | int


class Figure:
    """One person's body in all frames as a camera sees it; sprites are drawn for many frames at once."""

    def __init__(self, look: Look, angles, place, heading, camera: cameras.Camera, shadow: Shadow):
        self.look, self.size = look, look.height / 1.75
        local = poses.joints(angles) * self.size  # [F, joints, 3]
        c, s = np.cos(heading)[:, None], np.sin(heading)[:, None]
        along, aside = local[..., 0] * c - local[..., 2] * s, local[..., 0] * s + local[..., 2] * c
        world = np.stack([along, local[..., 1], aside], -1) + place[:, None]
        self.seen = camera.project(world)
        self.foot = camera.project(place)
        self.scale = camera.focal / self.foot[:, 2]
        self.dark, self.diffuse = shadow.dark, shadow.x == 0
        thrown = world[:, SHADOWED] - np.array([0, 1, 0]) * local[:, SHADOWED, 1:2]
        thrown += local[:, SHADOWED, 1:2] * np.array([shadow.x, 0, shadow.z])
        self.thrown = camera.project(thrown)[..., :2]
        self.parts: dict[str, tuple] = {}

    def bodies(
        self, frames: list[int], held: str, light: Float[np.ndarray, " 3"] | None = None
    ) -> list[sprites.Sprite]:
        """The body in frames in which it holds one thing, anchored at the feet, its colours times a light."""
        if held not in self.parts:
            first, second, radii, colours, lifts = zip(*_parts(self.look, held), strict=True)
            index = np.array(
                [[poses.JOINTS.index(a), poses.JOINTS.index(b)] for a, b in zip(first, second, strict=True)]
            )
            self.parts[held] = (index, np.array(radii), np.array(colours, np.float32), np.array(lifts))
        index, radii, colours, lifts = self.parts[held]
        seen = self.seen[frames][:, index]  # [frames, parts, 2, 3]
        order = np.argsort(lifts - seen[..., 2].mean(2), axis=1, kind="stable")
        sized = np.maximum(radii * (self.scale[frames] * self.size)[:, None], 0.55)
        ends = np.take_along_axis(seen[..., :2], order[..., None, None], 1)
        painted = colours if light is None else colours * light
        return sprites.limbs(ends, np.take_along_axis(sized, order, 1), painted[order], self.foot[frames, :2])

    def shadows(self, frames: list[int]) -> list[sprites.Sprite]:
        """Its shadow in frames: limbs laid on the ground under a sun, else a soft patch under the feet."""
        thrown, scale = self.thrown[frames], self.scale[frames] * self.size
        if not self.diffuse:
            ends = thrown[:, [[0, 2], [1, 2], [2, 3], [4, 4]]]
            radii = np.maximum(np.array([0.1, 0.1, 0.2, 0.13]) * scale[:, None] * 0.8, 0.8)
            dark = np.full((*radii.shape, 3), 20.0)
            return sprites.limbs(ends, radii, dark, self.foot[frames, :2], opacity=self.dark, shade=0.0)
        radii = np.maximum(2.0, 0.38 * scale + 0.3 * np.ptp(thrown[..., 0], axis=1))
        moved = np.round(thrown.mean(1) - self.foot[frames, :2]).astype(int).tolist()
        made = []
        for radius, (right, down) in zip((np.round(2 * radii) / 2).tolist(), moved, strict=True):
            patch = sprites.cloud(radius, (20.0, 20, 20), self.dark * 1.6, 0.36)
            made.append(dataclasses.replace(patch, left=patch.left + right, top=patch.top + down))
        return made


SHADOWED = [poses.JOINTS.index(name) for name in ("ankle_l", "ankle_r", "hip", "neck", "head")]


def _parts(look: Look, held: str) -> list[tuple[str, str, float, tuple, float]]:
    """Joint, joint, radius in metres, colour, and how much nearer than it is it counts when parts hide each other."""
    k, child = look.stout, look.kind == "child"
    dark = tuple(np.array(look.top) * 0.82)
    parts = []
    for side in "lr":
        leg = look.skin if look.skirt else look.trousers
        parts += [
            (f"hip_{side}", f"knee_{side}", 0.085 * k, look.trousers, 0.0),
            (f"knee_{side}", f"ankle_{side}", 0.062 * k, leg, 0.0),
            (f"ankle_{side}", f"toe_{side}", 0.05, SHOES, 0.0),
            (f"shoulder_{side}", f"elbow_{side}", 0.06 * k, dark, 0.02),
            (f"elbow_{side}", f"hand_{side}", 0.048 * k, dark, 0.03),
            (f"hand_{side}", f"hand_{side}", 0.055, look.skin, 0.04),
            (f"hip_{side}", f"shoulder_{side}", 0.13 * k, look.top, 0.0),
        ]
    if look.skirt:
        parts += [("hip", f"knee_{s}", 0.13, look.trousers, 0.0) for s in "lr"]
    head = 0.135 if child else 0.115
    parts += [
        ("crown", "crown", head, look.hair, 0.0),
        ("face", "face", head * 0.9, look.skin, 0.02),
    ]
    if look.kind == "officer":
        parts.append(("shoulder_l", "shoulder_r", 0.05, (190.0, 190, 60), 0.1))
    if look.backpack:
        parts.append(("neck", "hip", 0.12, tuple(np.array(look.trousers) * 0.8), -0.14))
    if held == "gun":
        parts.append(("hand_r", "near_r", 0.05, GUN, 0.06))
    if held == "bar":
        parts.append(("hand_r", "tip_r", 0.035, BAR, 0.06))
    if held == "torch":
        parts.append(("hand_r", "near_r", 0.06, (235.0, 165, 60), 0.06))
    if held == "bag":
        parts.append(("hand_l", "near_l", 0.14, BAG, 0.06))
    return parts
