"""Networks that take turns on the devices: weights wait on the host, unless there is room for all at once."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import jax
from flax import nnx

from gvvad_jax.models.cogvideox.layout import Layout

SHARE = 0.5  # of a device's memory that weights may have if all are to stay; the rest is for activations


class Stage:
    """`with stage as (graph, state)`: a network on its devices, read when it is first used."""

    def __init__(self, load: Callable[[], nnx.Module], layout: Layout, stays: bool):
        self._load, self._layout, self._stays = load, layout, stays
        self._host: tuple[Any, Any] | None = None
        self._there: tuple[Any, Any] | None = None

    def __enter__(self) -> tuple[Any, Any]:
        if self._there is None:
            if self._host is None:
                with jax.default_device(jax.local_devices(backend="cpu")[0]):
                    self._host = nnx.split(self._load())
            graph, state = self._host
            self._there = graph, jax.tree.map(self._put, state)
            self._host = None if self._stays else self._host
        return self._there

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._there = self._there if self._stays else None

    def _put(self, x: jax.Array) -> jax.Array:
        return jax.device_put(x, self._layout.weight(x.shape) or jax.local_devices()[0])


def have_room(num_bytes: int, layout: Layout) -> bool:
    """Whether weights of so many bytes may all stay on the devices; a host's own memory is not counted."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    devices = 1 if layout.mesh is None else layout.mesh.size
    return limit is None or num_bytes / devices <= SHARE * limit
