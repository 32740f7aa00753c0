"""A person as twelve angles, and where the joints are for them.

Angles in radians: `tilt` of the whole body (π/2: lying on the face), `lean` of the trunk, thigh and knee, arm and elbow
of each side, `spread` of the arms to the sides, `nod` of the head. Arms hang at 0 and point up at π.
"""

import numpy as np
from jaxtyping import Float

NAMES: tuple[str, ...] = (
    "tilt",
    "lean",
    "thigh_l",
    "knee_l",
    "thigh_r",
    "knee_r",
    "arm_l",
    "elbow_l",
    "arm_r",
    "elbow_r",
)
NAMES += ("spread", "nod")
Pose = Float[np.ndarray, " 12"]


def pose(**angles: float | int) -> Pose:
    """Upright with slightly bent elbows, but for the angles given."""
    values = dict.fromkeys(NAMES, 0.0) | {"elbow_l": 0.15, "elbow_r": 0.15, "spread": 0.12} | angles
    return np.array([values[name] for name in NAMES])


STAND = pose()
COWER = pose(lean=0.9, thigh_l=1.2, knee_l=1.7, thigh_r=1.2, knee_r=1.7, arm_l=2.2, elbow_l=1.6, arm_r=2.2, elbow_r=1.6)
CROUCH = pose(
    lean=0.7, thigh_l=1.7, knee_l=2.1, thigh_r=1.2, knee_r=2.1, arm_l=0.9, elbow_l=0.4, arm_r=0.9, elbow_r=0.4
)
KNEEL = pose(
    lean=0.2, thigh_l=0.1, knee_l=1.6, thigh_r=0.1, knee_r=1.6, arm_l=-0.5, elbow_l=0.6, arm_r=-0.5, elbow_r=0.6
)
HANDS_UP = pose(arm_l=2.7, elbow_l=0.2, arm_r=2.7, elbow_r=0.2, spread=0.4)
AIM = pose(arm_r=1.55, elbow_r=0.0, arm_l=1.35, elbow_l=0.25, spread=0.0, thigh_l=0.2, thigh_r=-0.2)
REACH = pose(lean=0.15, arm_r=1.7, elbow_r=0.0, arm_l=0.3, elbow_l=0.3)
HIDE = pose(lean=0.2, arm_r=0.5, elbow_r=1.9, arm_l=0.5, elbow_l=1.9, nod=0.3)
LIE = pose(
    tilt=np.pi / 2, arm_l=2.9, elbow_l=0.1, arm_r=0.1, elbow_r=0.0, thigh_l=0.0, thigh_r=-0.1, knee_r=0.2, spread=0.5
)
STOOP = pose(lean=1.2, arm_l=1.1, elbow_l=0.0, arm_r=1.1, elbow_r=0.0, thigh_l=0.4, knee_l=0.5, thigh_r=0.4, knee_r=0.5)
HIT = pose(lean=0.25, arm_r=1.6, elbow_r=0.05, arm_l=0.7, elbow_l=1.9, thigh_l=-0.3, thigh_r=0.4, knee_r=0.3)
GUARD = pose(lean=0.1, arm_r=0.5, elbow_r=2.0, arm_l=0.9, elbow_l=1.9, thigh_l=0.3, knee_l=0.2, thigh_r=-0.3)
KICK = pose(
    lean=-0.35, thigh_r=1.4, knee_r=0.15, thigh_l=-0.1, knee_l=0.15, arm_l=0.8, elbow_l=1.2, arm_r=-0.5, spread=0.5
)
RAISE = pose(lean=-0.2, arm_r=2.9, elbow_r=0.3, arm_l=1.0, elbow_l=0.8, thigh_l=0.25, thigh_r=-0.25)
STRIKE = pose(lean=0.5, arm_r=1.0, elbow_r=0.1, arm_l=0.3, elbow_l=0.8, thigh_l=0.4, knee_l=0.3, thigh_r=-0.3)
REEL = pose(lean=-0.5, arm_l=1.3, elbow_l=0.5, arm_r=1.5, elbow_r=0.4, spread=0.6, thigh_l=0.4, thigh_r=-0.2, nod=-0.4)


def walk(phase: float | int, swing: float | int = 1.0) -> Pose:
    """One moment of the gait; a cycle is 2π."""
    s, c = np.sin(phase) * swing, np.cos(phase)
    return pose(
        lean=0.06,
        thigh_l=0.5 * s,
        knee_l=0.12 + 0.6 * max(c, 0) * swing,
        thigh_r=-0.5 * s,
        knee_r=0.12 + 0.6 * max(-c, 0) * swing,
        arm_l=-0.45 * s,
        arm_r=0.45 * s,
        elbow_l=0.3,
        elbow_r=0.3,
    )


def run(phase: float | int, swing: float | int = 1.0) -> Pose:
    """One moment of running."""
    s, c = np.sin(phase) * swing, np.cos(phase)
    return pose(
        lean=0.3,
        thigh_l=0.2 + 0.9 * s,
        knee_l=0.35 + 1.2 * max(c, 0),
        thigh_r=0.2 - 0.9 * s,
        knee_r=0.35 + 1.2 * max(-c, 0),
        arm_l=-1.0 * s,
        arm_r=1.0 * s,
        elbow_l=1.5,
        elbow_r=1.5,
    )


JOINTS: tuple[str, ...] = ("hip", "neck", "head", "crown", "face")
JOINTS += tuple(
    f"{name}_{side}"
    for side in "lr"
    for name in ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "hand", "near", "tip")
)


def joints(angles: Float[np.ndarray, "frames 12"]) -> Float[np.ndarray, "frames joints 3"]:
    """Forward, up and to the left, in the order of JOINTS, in metres of a body of 1.75 m that stands on the ground."""
    a = dict(zip(NAMES, angles.T, strict=True))
    zero = np.zeros(len(angles))

    def step(origin, angle, length, side=None):
        x, y, z = origin
        return x + length * np.sin(angle), y + length * np.cos(angle), z if side is None else side

    found = {"hip": (zero, zero, zero)}
    trunk = a["lean"] + a["nod"]
    found["neck"] = step(found["hip"], a["lean"], 0.52)
    found["head"] = step(found["neck"], trunk, 0.2)
    found["crown"] = step(found["neck"], trunk, 0.25)
    found["face"] = step(found["head"], trunk + np.pi / 2, 0.05)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        hip = (zero, zero, zero + 0.09 * sign)
        knee = step(hip, np.pi - a[f"thigh_{side}"], 0.43)
        shin = a[f"thigh_{side}"] - a[f"knee_{side}"]
        ankle = step(knee, np.pi - shin, 0.4)
        shoulder = step(found["hip"], a["lean"], 0.47, zero + 0.19 * sign)
        wide, out = np.cos(a["spread"]), np.sin(a["spread"]) * sign
        raised = a[f"arm_{side}"] + a["lean"] * 0.3
        elbow = step(shoulder, np.pi - raised, 0.29 * wide, shoulder[2] + 0.29 * out)
        bent = np.pi - raised - a[f"elbow_{side}"]
        hand = step(elbow, bent, 0.27 * wide, elbow[2] + 0.12 * out)
        own = (hip, knee, ankle, step(ankle, np.pi / 2 - shin, 0.16), shoulder, elbow, hand)
        own += (step(hand, bent, 0.2), step(hand, bent, 0.65))
        found |= dict(zip(JOINTS[5:14] if side == "l" else JOINTS[14:], own, strict=True))
    x, y, z = np.moveaxis(np.array([found[name] for name in JOINTS]), 0, -1)  # [frames, joints] each
    c, s = np.cos(a["tilt"])[:, None], np.sin(a["tilt"])[:, None]
    x, y = x * c + y * s, y * c - x * s
    held = [name[:3] not in ("tip", "nea") for name in JOINTS]
    y = y - (y[:, held].min(1, keepdims=True) - 0.06)
    return np.stack([x, y, z], -1)
