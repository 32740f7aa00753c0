"""The devices that a training step is laid over, and arrays that all of them hold."""

from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gvvad_jax import hosts


def start(
    devices: int | None, coordinator: str | None, num_processes: int | None, process_id: int | None, automatic: bool
) -> None:
    """Before the first use of a device: how many a CPU counts as, and the other processes of the run."""
    if devices:
        jax.config.update("jax_num_cpu_devices", devices)
    hosts.start(coordinator, num_processes, process_id, automatic)


def make(batch: int) -> Mesh:
    """The largest number of devices, equal in every process, that divides `batch` (videos a group)."""
    chosen = devices(batch)
    if len(chosen) < jax.device_count():
        logging.warning("%s", description(len(chosen), batch))
    return Mesh(np.array(chosen), ("data",), axis_types=(AxisType.Auto,))


def devices(batch: int) -> list[Any]:
    """Those devices, process after process: each process's then hold the block of the batch that it reads."""
    processes, local = jax.process_count(), jax.local_device_count()
    if batch < 1 or batch % processes:
        raise ValueError(f"batch={batch} does not divide by {processes} processes; change one of them.")
    each = max(n for n in range(1, local + 1) if batch % (n * processes) == 0)
    return [d for p in range(processes) for d in [d for d in jax.devices() if d.process_index == p][:each]]


def description(devices: int, batch: int) -> str:
    """How many devices work, and why not all."""
    total = jax.device_count()
    if devices == total:
        return f"laid over {devices} device{'s' * (devices > 1)}"
    return f"laid over {devices} of {total} devices: the largest number that divides batch={batch}"


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The arrays of a tree on every device of the mesh; process 0's values count."""
    if jax.process_count() == 1:
        return jax.device_put(tree, replicated(mesh))
    from jax.experimental import multihost_utils

    # One broadcast of all bytes: one array at a time, each shape is a program to compile.
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    joined = multihost_utils.broadcast_one_to_all(np.frombuffer(b"".join(x.tobytes() for x in leaves), np.uint8))
    data, start = np.asarray(joined).tobytes(), 0
    placed = []
    for leaf in leaves:
        own = np.frombuffer(data, leaf.dtype, leaf.size, start).reshape(leaf.shape)
        start += leaf.nbytes
        placed.append(jax.make_array_from_callback(leaf.shape, replicated(mesh), own.__getitem__))
    return jax.tree.unflatten(structure, placed)


def key(seed: int, mesh: Mesh) -> Any:
    """The key of a seed on every device of the mesh."""
    return jax.jit(lambda: jax.random.key(seed), out_shardings=replicated(mesh))()
