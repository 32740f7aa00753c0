"""Layers of the 3-D causal VAE, channels last: [videos, frames, rows, columns, channels].

A video goes through in pieces. Only convolutions over time look past a piece: each keeps the last two frames of its
input in `Caches` under its own name, and begins a video by repeating the first frame twice.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

Video = Float[Array, "videos _ _ _ _"]  # frames, rows, columns, channels
Caches = dict[str, Array]
BACK = 2  # frames a convolution over time looks back


class CausalConv(nnx.Module):
    """A convolution of 3x3x3: zeros around rows and columns, the past before the first frame, nothing behind."""

    def __init__(self, name: str, inputs: int, outputs: int, dtype: Any):
        self.name = name
        self.kernel = nnx.Param(jnp.zeros((3, 3, 3, inputs, outputs), dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, dtype))

    def __call__(self, x: Video, old: Caches | None, new: Caches) -> Video:
        """Reads the past from `old` (None: the video begins here) and writes what follows needs into `new`."""
        past = jnp.repeat(x[:, :1], BACK, 1) if old is None else old[self.name]
        x = jnp.concatenate([past, x], 1)
        # Without the barrier the compiler may cut the caches out at the end, and keep every layer's input until then.
        x, new[self.name] = lax.optimization_barrier((x, x[:, -BACK:]))
        frames = x.shape[1] - BACK
        taps = enumerate(self.kernel[...])
        return sum((_convolve(x[:, i : i + frames], tap) for i, tap in taps), self.bias[...])


class FrameConv(nnx.Module):
    """A convolution of 3x3 over each frame."""

    def __init__(self, inputs: int, outputs: int, dtype: Any):
        self.kernel = nnx.Param(jnp.zeros((3, 3, inputs, outputs), dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, dtype))

    def __call__(self, x: Video, stride: int, padding: tuple[int, int]) -> Video:
        """Pads rows and columns alike, `padding` before and behind."""
        return _convolve(x, self.kernel[...], padding, stride) + self.bias[...]


class Pointwise(nnx.Module):
    """A matrix for each place."""

    def __init__(self, inputs: int, outputs: int, dtype: Any):
        self.kernel, self.bias = (nnx.Param(jnp.zeros(shape, dtype)) for shape in ((inputs, outputs), (outputs,)))

    def __call__(self, x: Video) -> Video:
        """x W + b."""
        return jnp.matmul(x, self.kernel[...], precision=_precision(x)) + self.bias[...]


class Norm(nnx.Module):
    """SiLU of a group normalisation over a piece's frames, rows and columns together: the encoder's."""

    def __init__(self, channels: int, groups: int, epsilon: float, dtype: Any):
        self.scale, self.bias = (nnx.Param(jnp.zeros(channels, dtype)) for _ in range(2))
        self.groups, self.epsilon = groups, epsilon

    def __call__(self, x: Video, latents: None = None) -> Video:
        """Statistics, and all up to the result, in float32."""
        return jax.nn.silu(_normalise(x, self)).astype(x.dtype)


class SpatialNorm(nnx.Module):
    """SiLU(norm(x) * (z W_y + b_y) + (z W_b + b_b)), z the piece's latents, spread to x: the decoder's."""

    def __init__(self, channels: int, latent: int, groups: int, epsilon: float, dtype: Any):
        self.scale, self.bias = (nnx.Param(jnp.zeros(channels, dtype)) for _ in range(2))
        self.factor, self.shift = (Pointwise(latent, channels, dtype) for _ in range(2))
        self.groups, self.epsilon = groups, epsilon

    def __call__(self, x: Video, latents: Video) -> Video:
        """The matrices work on the latents before these are spread: the same values at a fraction of the places."""
        factor, shift = (spread(part(latents), x.shape[1:4]) for part in (self.factor, self.shift))
        return jax.nn.silu(_normalise(x, self) * factor + shift).astype(x.dtype)


class Resnet(nnx.Module):
    """x + conv2(norm2(conv1(norm1 x))); x goes through a matrix where the channels change."""

    def __init__(self, name: str, inputs: int, outputs: int, norm: Any, dtype: Any):
        """`norm(channels)` makes a norm, which has its SiLU in it."""
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1 = CausalConv(f"{name}.conv1", inputs, outputs, dtype)
        self.conv2 = CausalConv(f"{name}.conv2", outputs, outputs, dtype)
        self.shortcut = nnx.data(None if inputs == outputs else Pointwise(inputs, outputs, dtype))

    def __call__(self, x: Video, latents: Video | None, old: Caches | None, new: Caches) -> Video:
        """`latents`: the decoder's alone."""
        y = self.conv1(self.norm1(x, latents), old, new)
        y = self.conv2(self.norm2(y, latents), old, new)
        return y + (x if self.shortcut is None else self.shortcut(x))


class Upsample(nnx.Module):
    """Twice the rows and columns, and with `in_time` the frames, by repetition and a convolution."""

    def __init__(self, channels: int, in_time: bool, dtype: Any):
        self.conv, self.in_time = FrameConv(channels, channels, dtype), in_time

    def __call__(self, x: Video) -> Video:
        """Frames are repeated after the convolution, which treats equal frames alike, at half its cost."""
        x = self.conv(jnp.repeat(jnp.repeat(x, 2, 2), 2, 3), 1, (1, 1))
        return spread_frames(x, 2 * x.shape[1] - x.shape[1] % 2) if self.in_time else x


class Downsample(nnx.Module):
    """Half the rows and columns by a convolution, and with `in_time` first half the frames by means of pairs."""

    def __init__(self, channels: int, in_time: bool, dtype: Any):
        self.conv, self.in_time = FrameConv(channels, channels, dtype), in_time

    def __call__(self, x: Video) -> Video:
        """Of an odd number of frames the first stays alone; zeros are added below and to the right only."""
        if self.in_time:
            alone = x.shape[1] % 2
            pairs = x[:, alone:].reshape(len(x), -1, 2, *x.shape[2:])
            means = pairs.astype(jnp.float32).mean(2).astype(x.dtype)
            x = jnp.concatenate([x[:, :alone], means], 1)
        return self.conv(x, 2, (0, 1))


def spread(x: Video, places: tuple[int, ...]) -> Video:
    """Repeats to `places` = (frames, rows, columns), whole multiples of x's but for a first frame that stays alone."""
    frames, rows, columns = places
    x = spread_frames(x, frames)
    return jnp.repeat(jnp.repeat(x, rows // x.shape[2], 2), columns // x.shape[3], 3)


def spread_frames(x: Video, frames: int) -> Video:
    """Repeats frames; where their number is to be odd, the first stays alone."""
    if frames == x.shape[1]:
        return x
    alone = frames % 2
    rest = jnp.repeat(x[:, alone:], (frames - alone) // (x.shape[1] - alone), 1)
    return jnp.concatenate([x[:, :alone], rest], 1)


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


def _normalise(x: Array, norm: Norm | SpatialNorm) -> Array:
    """In float32, means and then deviations: sums by channel first, so that no array as large as x is regrouped."""
    wide = x.astype(jnp.float32)

    def grouped(by_channel: Array) -> Array:
        means = by_channel.reshape(len(x), norm.groups, -1).mean(-1, keepdims=True)
        shape = (len(x), 1, 1, 1, x.shape[-1])
        return jnp.broadcast_to(means, (len(x), norm.groups, x.shape[-1] // norm.groups)).reshape(shape)

    centred = wide - grouped(wide.mean((1, 2, 3)))
    factor = lax.rsqrt(grouped(jnp.square(centred).mean((1, 2, 3))) + norm.epsilon)
    return centred * (factor * norm.scale[...].astype(jnp.float32)) + norm.bias[...].astype(jnp.float32)
