"""Image encoders by name: uint8 crops to vectors, the batch laid over every device of this process."""

import collections
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Float, UInt8

from gvvad_jax.models import clip as clip_network
from gvvad_jax.models import efficientnet_lite, text_image
from gvvad_jax.weights import finite, folder, hub

# Images a device and call. On CPU more than 3 no longer fit the caches and each call's memory is mapped anew:
# 15 cpu ms an image at 2, 22 at 8 (Zen 3, two cores).
PER_DEVICE = {"cpu": 2}
PER_ACCELERATOR = 128
AHEAD = 8  # calls dispatched before the first result is waited for


@runtime_checkable
class Encoder(Protocol):
    """What extraction needs of an encoder. It sees an image alone: neither its place in a batch nor its neighbours.

    One that also has `zero_shot`, a function of vectors [n, width], gives an untrained baseline, [n].
    """

    name: str
    size: int
    width: int
    batch: int
    identity: dict[str, Any]

    def begin(self, images: UInt8[np.ndarray, "n size size 3"], /) -> "Vectors":
        """Starts on at most a batch of upright RGB crops; what it gives waits for their float32 vectors."""
        ...

    def __call__(self, images: UInt8[np.ndarray, "n size size 3"], /) -> Float[np.ndarray, "n width"]:
        """The vectors of any number of crops."""
        ...


Vectors = Callable[[], np.ndarray]  # [n, width]


def use_all_cores() -> None:
    """Makes each CPU core a device of JAX. Only before its first computation; accelerators are as they are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", cores)


def names() -> list[str]:
    """The encoders that `create` knows."""
    return sorted(ENCODERS)


def create(name: str, weights: str | Path | None = None) -> Encoder:
    """The encoder called `name`, its weights from the folder, file or hub name `weights`, or where it finds them."""
    if name not in ENCODERS:
        raise ValueError(f"no encoder is called {name!r}; use one of {', '.join(names())}.")
    return ENCODERS[name](None if weights is None else hub.folder_of(weights))


def efficientnet_lite0(weights: Path | None = None) -> "Sharded":
    """EfficientNet-Lite0's pooled features; `weights`: a copy of the published file or the folder that holds it."""
    if weights is not None and weights.is_dir():
        weights = weights / Path(efficientnet_lite.FILE).name
        if not weights.is_file():
            raise FileNotFoundError(f"{weights.parent} holds no {weights.name}; encoder 'efficientnet_lite0' needs it.")
    return Sharded(
        name="efficientnet_lite0",
        size=efficientnet_lite.SIZE,
        width=efficientnet_lite.WIDTH,
        weights_sha256=efficientnet_lite.SHA256,
        preprocessing="(pixel - 127) / 128",
        model=efficientnet_lite.load(weights),
        function=lambda model, images: model(efficientnet_lite.preprocess(images)),
    )


def clip(weights: Path | None = None) -> "Sharded":
    """CLIP's projected image vectors, not normalised, in float32 on a CPU and bfloat16 on accelerators.

    `weights`: a folder in the Hugging Face layout, whose preprocessor_config.json says mean and deviation.
    """
    if weights is None:
        raise ValueError("encoder 'clip' needs a folder of weights in the Hugging Face layout; name it by --weights.")
    half = jax.local_devices()[0].platform != "cpu"
    model = clip_network.load(weights, "bfloat16" if half else "float32")
    finite.require(model, weights)
    mean, std = clip_network.pixel_statistics(weights)
    pixels = jax.numpy.asarray(clip_network.table_of_pixels(mean, std))
    own = "" if (mean, std) == (clip_network.MEAN, clip_network.STD) else f", mean {mean}, deviation {std}"
    return Sharded(
        name="clip",
        size=model.config.size,
        width=model.config.projection,
        weights_sha256=folder.sha256(weights),
        preprocessing=f"CLIP, {'bfloat16' if half else 'float32'}{own}",
        model=model,
        function=lambda model, images: model.encode_image(clip_network.looked_up(pixels, images)),
        zero_shot=_zero_shot(weights, model),
    )


def _zero_shot(weights: Path, model: clip_network.Clip) -> Callable[[np.ndarray], np.ndarray] | None:
    """CLIP's probability of an anomaly, where the folder has a tokenizer."""
    if not text_image.has_tokenizer(weights):
        return None
    both = text_image.TextImage(weights, model)
    banks = [both.encode_texts(bank) for bank in (text_image.NORMAL, text_image.ANOMALOUS)]
    return lambda vectors: text_image.anomaly(vectors, banks, both.scale)


@dataclass(kw_only=True, eq=False)
class Sharded:
    """A network whose batch of fixed shape is split over the devices of this process."""

    name: str
    size: int
    width: int
    weights_sha256: str
    preprocessing: str
    model: nnx.Module
    function: Callable[[Any, jax.Array], jax.Array]
    # What vectors [n, width] say of an anomaly without training, [n]; None: nothing.
    zero_shot: Callable[[np.ndarray], np.ndarray] | None = None

    def __post_init__(self) -> None:
        devices = np.array(jax.local_devices())
        self.batch = len(devices) * PER_DEVICE.get(devices[0].platform, PER_ACCELERATOR)
        mesh = jax.sharding.Mesh(devices, ("data",), axis_types=(AxisType.Auto,))
        everywhere, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",)))
        self._split = split
        graph, state = nnx.split(self.model)
        self._state = jax.device_put(state, everywhere)
        # Each device runs its own rows: left to the partitioner, attention's loop over rows would run whole on each.
        own_rows = jax.shard_map(
            lambda state, images: self.function(nnx.merge(graph, state), images),
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec("data")),
            out_specs=PartitionSpec("data"),
            check_vma=False,  # a kernel does not say how its result varies
        )
        self._run = jax.jit(own_rows, in_shardings=(everywhere, split), out_shardings=split)
        self.identity = {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "width": self.width,
            "size": self.size,
            "preprocessing": self.preprocessing,
        }

    def __call__(self, images: UInt8[np.ndarray, "n size size 3"], /) -> Float[np.ndarray, "n width"]:
        """A float32 vector for each crop."""
        if images.shape[1:3] != (self.size, self.size):
            raise ValueError(f"{self.name} takes crops of {self.size} x {self.size}, not {images.shape[1:3]}.")
        found: list[np.ndarray] = [np.zeros((0, self.width), np.float32)]
        running: collections.deque[Vectors] = collections.deque()
        for start in range(0, len(images), self.batch):
            running.append(self.begin(images[start : start + self.batch]))
            if len(running) > AHEAD:
                found.append(running.popleft()())
        return np.concatenate([*found, *(wait() for wait in running)])

    def begin(self, images: UInt8[np.ndarray, "n size size 3"], /) -> Vectors:
        """Dispatches one batch, filled with zeros, which cost time but change nothing."""
        count = len(images)
        if count < self.batch:
            images = np.concatenate([images, np.zeros((self.batch - count, *images.shape[1:]), images.dtype)])
        # Placed by hand: where there are several processes, jit refuses to lay NumPy's over devices.
        running = self._run(self._state, jax.device_put(images, self._split))
        return lambda: np.asarray(running)[:count]


ENCODERS: dict[str, Callable[[Path | None], Encoder]] = {"efficientnet_lite0": efficientnet_lite0, "clip": clip}
