"""A fixed camera: metres of a scene to pixels, and back along each pixel's ray.

x goes to the right along the street, y up, z away from the camera, which stands at (0, height, 0).
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Float

HEIGHT, WIDTH = 240, 320


@dataclasses.dataclass(frozen=True)
class Camera:
    """Where it hangs and looks; angles in radians, focal length in pixels."""

    height: float | int
    pitch: float | int  # down
    yaw: float | int  # to the right
    focal: float | int

    @functools.cached_property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Right, up and forward as rows."""
        p, q = (np.cos(self.pitch), np.sin(self.pitch))
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, 0, -s], [s * q, p, c * q], [s * p, -q, c * p]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Column, row and depth of each point (last axis 3 in both); what is nearer than 0.3 m is put there."""
        seen = (points - np.array([0, self.height, 0])) @ self.axes.T
        depth = np.maximum(seen[..., 2], 0.3)
        column = WIDTH / 2 + self.focal * seen[..., 0] / depth
        row = HEIGHT / 2 - self.focal * seen[..., 1] / depth
        return np.stack([column, row, depth], -1)

    def see(self, x: float | int, y: float | int, z: float | int) -> tuple[float, float, float]:
        """`project` of one point, in plain numbers: ten times as fast."""
        right, up, forward = self._rows
        y = y - self.height
        depth = max(forward[0] * x + forward[1] * y + forward[2] * z, 0.3)
        column = WIDTH / 2 + self.focal * (right[0] * x + right[1] * y + right[2] * z) / depth
        return column, HEIGHT / 2 - self.focal * (up[0] * x + up[1] * y + up[2] * z) / depth, depth

    @functools.cached_property
    def _rows(self) -> list[list[float]]:
        return self.axes.tolist()

    def scale(self, x: float | int, z: float | int) -> float:
        """Pixels a metre at a place on the ground."""
        return self.focal / self.see(x, 0.8, z)[2]

    def rays(self, fine: int) -> Float[np.ndarray, "rows columns 3"]:
        """Directions through each column's middle, at `fine` heights of every row."""
        columns = np.arange(WIDTH) + 0.5 - WIDTH / 2
        rows = HEIGHT / 2 - (np.arange(HEIGHT * fine) + 0.5) / fine
        right, up, forward = self.axes.astype(np.float32)
        across = (columns / self.focal).astype(np.float32)[None, :, None] * right
        return across + (rows / self.focal).astype(np.float32)[:, None, None] * up + forward

    def reach(self, z: float | int, margin: float | int = 8.0) -> tuple:
        """Smallest and largest x whose ground at depth z is in the picture, `margin` pixels from its border."""
        x = np.arange(-45, 45, 0.1)
        seen = self.project(np.stack([x, 0 * x, 0 * x + z], -1))
        inside: Bool[np.ndarray, " n"] = (seen[:, 0] >= margin) & (seen[:, 0] <= WIDTH - margin)
        inside &= seen[:, 1] < HEIGHT + 10
        return (float(x[inside].min()), float(x[inside].max())) if inside.any() else (-1.0, 1.0)
