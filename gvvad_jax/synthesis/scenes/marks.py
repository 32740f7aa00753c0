"""Marks that stay on the empty picture: broken glass, paint, soot."""

from collections.abc import Callable

import numpy as np

from gvvad_jax.synthesis.scenes import places, sprites


def painter(place: places.Place, lines, colour, opacity: float | int) -> Callable[[np.ndarray], None]:
    """A function that draws lines (each two world points and a width in metres) on a picture."""
    ends = np.array([[a, b] for a, b, _ in lines], np.float64)
    seen = place.camera.project(ends)
    radii = np.array([w for _, _, w in lines]) * place.camera.focal / seen[:, 0, 2] / 2
    paint = np.tile(np.asarray(colour, np.float64), (len(lines), 1))
    ends, radii = seen[None, :, :, :2], np.maximum(radii, 0.6)[None]
    (sprite,) = sprites.limbs(ends, radii, paint[None], np.zeros((1, 2)), opacity, shade=0.0)
    return lambda picture: sprites.put(picture, sprite, 0, 0)
