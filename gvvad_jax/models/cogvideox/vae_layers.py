"""Layers of the 3-D causal VAE, channels last: [videos, frames, rows, columns, channels].

A video goes through in pieces. Only convolutions over time look past a piece: each keeps the last two frames of its
input in `Caches` under its own name, and begins a video by repeating the first frame twice.

A piece of an odd number of frames goes in two `Runs`, its first frame and the rest, for time is doubled and halved so.
That also keeps frames, a convolution's batch, in eights: an accelerator rounds nine up to sixteen.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from gvvad_jax.nn.blocks import Dense

Video = Float[Array, "videos _ _ _ _"]  # frames, rows, columns, channels
Runs = list[Array]
Caches = dict[str, Array]
BACK = 2  # frames a convolution over time looks back


class CausalConv(nnx.Module):
    """A convolution of 3x3x3: zeros around rows and columns, the past before the first frame, nothing behind."""

    def __init__(self, name: str, inputs: int, outputs: int, dtype: Any):
        self.name = name
        self.kernel = nnx.Param(jnp.zeros((3, 3, 3, inputs, outputs), dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, dtype))

    def __call__(self, x: Runs, old: Caches | None, new: Caches) -> Runs:
        """Reads the past from `old` (None: the video begins here) and writes what follows needs into `new`."""
        past = jnp.repeat(x[0][:, :1], BACK, 1) if old is None else old[self.name]
        kept = jnp.concatenate([past, *x], 1)[:, -BACK:]
        # Without the barrier the compiler may cut the caches out at the end, and keep every layer's input until then.
        x, past, new[self.name] = lax.optimization_barrier((x, past, kept))
        whole, made, start = jnp.concatenate([past, *x], 1), [], 0
        for run in x:
            stop = start + run.shape[1]
            # On one video XLA turns a 3-D convolution's rows into a batch, with copies in float32; frames are one.
            taps = (_convolve(whole[:, start + i : stop + i], tap) for i, tap in enumerate(self.kernel[...]))
            made.append(sum(taps, self.bias[...]))
            start = stop
        return made


class FrameConv(nnx.Module):
    """A convolution of 3x3 over each frame."""

    def __init__(self, inputs: int, outputs: int, dtype: Any):
        self.kernel = nnx.Param(jnp.zeros((3, 3, inputs, outputs), dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, dtype))

    def __call__(self, x: Video, stride: int, padding: tuple[int, int]) -> Video:
        """Pads rows and columns alike, `padding` before and behind."""
        return _convolve(x, self.kernel[...], padding, stride) + self.bias[...]


class Norm(nnx.Module):
    """SiLU of a group normalisation over a piece's frames, rows and columns together: the encoder's."""

    def __init__(self, channels: int, groups: int, epsilon: float, dtype: Any):
        self.scale, self.bias = (nnx.Param(jnp.zeros(channels, dtype)) for _ in range(2))
        self.groups, self.epsilon = groups, epsilon

    def __call__(self, x: Runs, latents: None = None) -> Runs:
        """Statistics, and all up to the result, in float32."""
        return [jax.nn.silu(y).astype(run.dtype) for run, y in zip(x, _normalise(x, self), strict=True)]


class SpatialNorm(nnx.Module):
    """SiLU(norm(x) * (z W_y + b_y) + (z W_b + b_b)), z the piece's latents, spread to x: the decoder's."""

    def __init__(self, channels: int, latent: int, groups: int, epsilon: float, dtype: Any):
        self.scale, self.bias = (nnx.Param(jnp.zeros(channels, dtype)) for _ in range(2))
        self.factor, self.shift = (Dense(latent, channels, dtype) for _ in range(2))
        self.groups, self.epsilon = groups, epsilon

    def __call__(self, x: Runs, latents: Runs) -> Runs:
        """The matrices work on the latents before these are spread: the same values at a fraction of the places."""
        made = []
        for run, y, z in zip(x, _normalise(x, self), latents, strict=True):
            factor, shift = (spread(part(z), run.shape[1:4]) for part in (self.factor, self.shift))
            made.append(jax.nn.silu(y * factor + shift).astype(run.dtype))
        return made


class Resnet(nnx.Module):
    """x + conv2(norm2(conv1(norm1 x))); x goes through a matrix where the channels change."""

    def __init__(self, name: str, inputs: int, outputs: int, norm: Any, dtype: Any):
        """`norm(channels)` makes a norm, which has its SiLU in it."""
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = CausalConv(f"{name}.conv1", inputs, outputs, dtype)
        self.conv2 = CausalConv(f"{name}.conv2", outputs, outputs, dtype)
        self.shortcut = nnx.data(None if inputs == outputs else Dense(inputs, outputs, dtype))

    def __call__(self, x: Runs, latents: Runs | None, old: Caches | None, new: Caches) -> Runs:
        """`latents`: the decoder's alone."""
        y = self.conv1(self.norm1(x, latents), old, new)
        y = self.conv2(self.norm2(y, latents), old, new)
        kept = x if self.shortcut is None else map(self.shortcut, x)
        return [a + b for a, b in zip(y, kept, strict=True)]


class Upsample(nnx.Module):
    """Twice the rows and columns, and with `in_time` the frames, by repetition and a convolution."""

    def __init__(self, channels: int, in_time: bool, dtype: Any):
        self.conv, self.in_time = FrameConv(channels, channels, dtype), in_time

    def __call__(self, x: Runs) -> Runs:
        """Frames are repeated after the convolution, which treats equal frames alike; a run of one stays alone."""
        made = [self.conv(jnp.repeat(jnp.repeat(run, 2, 2), 2, 3), 1, (1, 1)) for run in x]
        return [jnp.repeat(run, 2, 1) if self.in_time and run.shape[1] > 1 else run for run in made]


class Downsample(nnx.Module):
    """Half the rows and columns by a convolution, and with `in_time` first half the frames by means of pairs."""

    def __init__(self, channels: int, in_time: bool, dtype: Any):
        self.conv, self.in_time = FrameConv(channels, channels, dtype), in_time

    def __call__(self, x: Runs) -> Runs:
        """The first of an odd number of frames stays alone; zeros are added below and to the right only."""
        if self.in_time:
            x = [run if run.shape[1] == 1 else _pair_means(run) for run in x]
            x = split(jnp.concatenate(x, 1))
        return [self.conv(run, 2, (0, 1)) for run in x]


def split(x: Video) -> Runs:
    """The first frame and the rest where their number is odd, else all in one."""
    return [x[:, :1], x[:, 1:]] if x.shape[1] > 1 and x.shape[1] % 2 else [x]


def spread(x: Video, places: tuple[int, ...]) -> Video:
    """Repeats to so many frames, rows and columns, whole multiples of x's."""
    for axis, wanted in enumerate(places, 1):
        x = jnp.repeat(x, wanted // x.shape[axis], axis)
    return x


def _pair_means(x: Array) -> Array:
    pairs = x.reshape(len(x), -1, 2, *x.shape[2:])
    return pairs.astype(jnp.float32).mean(2).astype(x.dtype)


def _convolve(x: Array, kernel: Array, padding: tuple[int, int] = (1, 1), stride: int = 1) -> Array:
    y = lax.conv_general_dilated(
        x.reshape(-1, *x.shape[2:]),
        kernel,
        (stride, stride),
        (padding, padding),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=_precision(x),
    )
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _precision(x: Array) -> lax.Precision | None:
    """Full float32 where x is (accelerators' own default is less)."""
    return lax.Precision.HIGHEST if x.dtype == jnp.float32 else None


def _normalise(x: Runs, norm: Norm | SpatialNorm) -> Runs:
    """In float32, means and then deviations: sums by channel first, so that no array as large as x is regrouped."""
    count = sum(run[0, ..., 0].size for run in x)
    shape = (len(x[0]), 1, 1, 1, x[0].shape[-1])

    def grouped(runs: Runs) -> Array:
        by_channel = sum((run.sum((1, 2, 3)) for run in runs), jnp.zeros(()))
        means = (by_channel / count).reshape(shape[0], norm.groups, -1).mean(-1, keepdims=True)
        return jnp.broadcast_to(means, (shape[0], norm.groups, shape[-1] // norm.groups)).reshape(shape)

    means = grouped([run.astype(jnp.float32) for run in x])
    # The barriers let each pass widen x anew: one array of float32 for all three would be the largest of all.
    x, means = lax.optimization_barrier((x, means))
    factor = lax.rsqrt(grouped([jnp.square(run.astype(jnp.float32) - means) for run in x]) + norm.epsilon)
    x, means, factor = lax.optimization_barrier((x, means, factor))
    factor = factor * norm.scale[...].astype(jnp.float32)
    return [(run.astype(jnp.float32) - means) * factor + norm.bias[...].astype(jnp.float32) for run in x]
