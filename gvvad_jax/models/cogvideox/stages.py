"""Networks that take turns on the devices: weights wait on the host, unless there is room for all at once."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import jax
from flax import nnx

from gvvad_jax.models.cogvideox.layout import Layout

SHARE = 0.5  # of a device's memory that weights may have if all are to stay; the rest is for activations


class Stage:
    """`with stage as (graph, state)`: a network on its devices, read when it is first used.

    Whoever keeps `state` after the block keeps the weights there.
    """

    def __init__(self, load: Callable[[], nnx.Module], layout: Layout, stays: bool):
        self._load, self._layout, self._stays, self._waiting = load, layout, stays, host()
        self._host: tuple[Any, Any] | None = None
        self._there: tuple[Any, Any] | None = None

    def __enter__(self) -> tuple[Any, Any]:
        if self._there is None:
            if self._host is None:
                with jax.default_device(self._waiting):
                    self._host = nnx.split(self._load())
            graph, state = self._host
            self._there = graph, jax.tree.map(self._put, state)
            self._host = None if self._stays else self._host
        return self._there

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._there = self._there if self._stays else None

    def _put(self, x: jax.Array) -> jax.Array:
        return jax.device_put(x, self._layout.weight(x.shape) or jax.local_devices()[0])


def host() -> Any:
    """The CPU, in whose memory weights wait; ValueError where JAX was started without it."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        raise ValueError(
            "weights wait in the CPU's memory, but JAX_PLATFORMS leaves the CPU out; name it there too, such as "
            "JAX_PLATFORMS=cuda,cpu."
        ) from None


def have_room(num_bytes: int, layout: Layout) -> bool:
    """Whether weights of so many bytes may all stay on the devices: on a CPU, where they lie anyway, they may.

    An accelerator that does not say how much memory it has is taken to lack it.
    """
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return True
    devices = 1 if layout.mesh is None else layout.mesh.size
    return num_bytes / devices <= SHARE * (device.memory_stats() or {}).get("bytes_limit", 0)
