"""Dense pyramidal Lucas-Kanade optical flow (Lucas and Kanade 1981; Bouguet 2000) in JAX.

At every level, from coarse to fine, the displacement d that explains a window best is found from the one before,

    d <- (cov(g, g) + t 1)^-1 (cov(g, I - J(x + d) + g . d) + t d),

with g the gradient of the first frame I, J the second and cov over the window: means are taken out, so that a change of
brightness is no motion. t = TEXTURE / 4 keeps what has no texture at the coarser level's answer.

Where the smallest eigenvalue of cov(g, g) is below TEXTURE a window holds nothing to follow (a flat wall, an edge that
may slide along itself): its flow is 0.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

LEVELS = 3
RADIUS = 4  # windows of 9 x 9 pixels at every level: steps of up to about 4 * (2^LEVELS - 1) pixels are found
ITERATIONS = 2  # refinements a level
TEXTURE = 4.0  # squared grey levels (of 255) a pixel; noise of one compressed video was measured as 0.6


@functools.partial(jax.jit, static_argnames=("levels", "radius", "iterations"))
def lucas_kanade(
    first: Float[Array, "pairs height width"],
    second: Float[Array, "pairs height width"],
    levels: int = LEVELS,
    radius: int = RADIUS,
    iterations: int = ITERATIONS,
    texture: float = TEXTURE,
) -> Float[Array, "pairs height width 2"]:
    """Gives the displacement (right, down) in pixels of what stands at each pixel of `first` by the time of `second`.

    Frames are grey levels 0-255. Pairs are worked on one after another, so that a pair stays in the cache.
    """
    height, width = first.shape[1:]
    # Every level halves the frame, down to no less than 2 x 2; the padding repeats the border and is cut off again.
    step = 2 ** (levels - 1)
    padding = ((0, 0), *((0, max(-size % step, 2 * step - size)) for size in (height, width)))
    first, second = (jnp.pad(frames, padding, mode="edge") for frames in (first, second))
    pair = functools.partial(_pair, levels=levels, radius=radius, iterations=iterations, texture=texture)
    flow = lax.map(lambda frames: pair(*frames), (first, second))
    return flow[:, :height, :width]


@jax.jit
def speeds(
    first: Float[Array, "pairs height width"], second: Float[Array, "pairs height width"]
) -> Float[Array, "pairs height width"]:
    """Gives the length of `lucas_kanade`'s displacement: pixels a frame, whichever way."""
    return jnp.linalg.norm(lucas_kanade(first, second), axis=-1)


def _pair(first, second, levels: int, radius: int, iterations: int, texture: float):
    pyramid = [(first, second)]
    for _ in range(levels - 1):
        pyramid.append((_halve(pyramid[-1][0]), _halve(pyramid[-1][1])))
    flow = jnp.zeros((2, *pyramid[-1][0].shape), first.dtype)
    smallest = 0.0
    for level in range(levels)[::-1]:
        if level < levels - 1:
            flow = 2 * jnp.repeat(jnp.repeat(flow, 2, 1), 2, 2)
        flow, smallest = _refine(*pyramid[level], flow, radius, iterations, texture)
    return jnp.moveaxis(jnp.where(smallest < texture, 0.0, flow), 0, -1)


def _refine(first, second, flow, radius: int, iterations: int, texture: float):
    """Refines the flow at one level; also gives the smallest eigenvalue of the gradients' covariance."""
    right, down = _gradients(first)
    mean = functools.partial(_window_means, count=_window_counts(first.shape, radius), radius=radius)
    mr, md, rr, rd, dd = mean(right, down, right * right, right * down, down * down)
    rr, rd, dd = rr - mr * mr, rd - mr * md, dd - md * md
    smallest = (rr + dd) / 2 - jnp.sqrt(((rr - dd) / 2) ** 2 + rd**2)
    rr, dd = rr + texture / 4, dd + texture / 4
    inverse = jnp.stack([dd, -rd, rr]) / (rr * dd - rd**2)

    def iteration(_, flow):
        # Neighbours were warped by their own flow: with g . d added back, all of them speak of this window's whole
        # displacement. Increments alone (A^-1 cov(g, rest)) let neighbours drift apart.
        rest = first - _warp(second, flow) + right * flow[0] + down * flow[1]
        br, bd, m = mean(right * rest, down * rest, rest)
        br, bd = br - mr * m + texture / 4 * flow[0], bd - md * m + texture / 4 * flow[1]
        new = jnp.stack([inverse[0] * br + inverse[1] * bd, inverse[1] * br + inverse[2] * bd])
        return flow + jnp.clip(new - flow, -radius, radius)

    # A loop although the count is fixed: unrolled, XLA fuses a step's flow into every reader and computes it anew.
    return lax.fori_loop(0, iterations, iteration, flow), smallest


def _halve(frame):
    """Halves a frame after a blur of (1, 3, 3, 1) / 8 both ways, which keeps the centre between two pixels."""
    for axis in (0, 1):
        padded = jnp.pad(frame, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        length = frame.shape[axis]
        taps = [lax.slice_in_dim(padded, i, i + length - 1, 2, axis) for i in range(4)]
        frame = (taps[0] + 3 * taps[1] + 3 * taps[2] + taps[3]) / 8
    return frame


def _gradients(frame):
    """Central differences to the right and downwards."""
    padded = jnp.pad(frame, 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


def _warp(frame, flow):
    """Reads `frame` at x + flow(x) bilinearly, at the border where that lies outside."""
    height, width = frame.shape
    x = jnp.clip(jnp.arange(width) + flow[0], 0, width - 1)
    y = jnp.clip(jnp.arange(height)[:, None] + flow[1], 0, height - 1)
    column, row = jnp.minimum(x.astype(jnp.int32), width - 2), jnp.minimum(y.astype(jnp.int32), height - 2)
    corner, x, y = row * width + column, x - column, y - row
    flat = frame.reshape(-1)
    # Mapped, so that the index is computed once and not once a corner.
    corners = jnp.array([0, 1, width, width + 1], jnp.int32)
    a, b, c, d = lax.map(lambda offset: flat.at[corner + offset].get(mode="promise_in_bounds"), corners)
    return (1 - y) * ((1 - x) * a + x * b) + y * ((1 - x) * c + x * d)


def _window_counts(shape: tuple[int, int], radius: int):
    """How many pixels of the frame each window holds: fewer at the border."""
    height, width = (np.convolve(np.ones(n), np.ones(2 * radius + 1))[radius : radius + n] for n in shape)
    return jnp.asarray(np.outer(height, width), jnp.float32)


def _window_means(*planes, count, radius: int):
    def sums(plane, axis: int):
        length = plane.shape[axis]
        padded = jnp.pad(plane, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)])
        return sum(lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(2 * radius + 1))

    # Shifted adds: 20 times faster than reduce_window on CPU. Mapped over the planes, since XLA would otherwise fuse
    # the sums into each of their readers and compute them up to nine times over (3 times slower in all).
    total = lax.map(lambda plane: sums(plane, 0), jnp.stack(planes))
    return tuple(lax.map(lambda plane: sums(plane, 1), total) / count)
