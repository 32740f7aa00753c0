"""How a step is laid over devices: guidance branches over `cfg`, tokens over `seq`, weights over both (FSDP).

Keys and values are gathered over `seq`; everything else of a block is a token's own. Without a mesh it is one device.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from jaxtyping import Array, Float

from gvvad_jax.nn import attention

AXES = CFG, SEQ = "cfg", "seq"


@dataclass(frozen=True)
class Layout:
    """A mesh with the axes `cfg` and `seq`, or None; `platform`: what is compiled for, None: this process's own."""

    mesh: Mesh | None = None
    platform: str | None = None

    @property
    def shards(self) -> int:
        """Parts that the tokens lie in."""
        return 1 if self.mesh is None else self.mesh.shape[SEQ]

    def padded(self, tokens: int) -> int:
        """So many tokens filled up to whole blocks of attention on every device."""
        each = math.ceil(tokens / self.shards)
        is_tpu = (self.platform or jax.default_backend()) == "tpu"
        return self.shards * (attention.padded(each) if is_tpu else each)

    @property
    def everywhere(self) -> Sharding:
        """Where small arrays lie: whole on every device, or on the only one."""
        if self.mesh is None:
            return SingleDeviceSharding(jax.local_devices()[0])
        return NamedSharding(self.mesh, PartitionSpec())

    def picture(self, shape: tuple[int, ...]) -> Sharding:
        """Where [videos, frames, rows, columns, channels] lie: rows over `seq`, columns over `cfg`.

        What does not divide stays whole, and is made on each of those devices.
        """
        if self.mesh is None:
            return self.everywhere
        parts = [axis if shape[i] % self.mesh.shape[axis] == 0 else None for i, axis in ((2, SEQ), (3, CFG))]
        return NamedSharding(self.mesh, PartitionSpec(None, None, *parts))

    def require_even(self, rows: int) -> None:
        """Refuses rows, those of guidance's branches counted, that do not divide over `cfg`."""
        parts = 1 if self.mesh is None else self.mesh.shape[CFG]
        if rows % parts:
            raise ValueError(
                f"{rows} rows (videos times guidance's branches) over a mesh of {parts} parts along cfg; take a "
                "multiple of them, or another mesh."
            )

    def tokens(self, x: Float[Array, "n tokens width"]) -> Float[Array, "n tokens width"]:
        """Pins tokens to their devices."""
        return self._pinned(x, PartitionSpec(CFG, SEQ))

    def whole(self, x: Array) -> Array:
        """Gathers an array, such as one layer's weights, onto every device."""
        return self._pinned(x, PartitionSpec())

    def _pinned(self, x: Array, spec: PartitionSpec) -> Array:
        return x if self.mesh is None else lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))

    def weight(self, shape: tuple[int, ...]) -> NamedSharding | None:
        """Where a parameter lies: its last axis that divides over all devices is split, the layers' (first) never."""
        if self.mesh is None:
            return None
        spec: list[tuple[str, str] | None] = [None] * len(shape)
        for axis in reversed(range(1, len(shape))):
            if shape[axis] % self.mesh.size == 0:
                spec[axis] = AXES
                break
        return NamedSharding(self.mesh, PartitionSpec(*spec))

    def attention(
        self,
        query: Float[Array, "n tokens heads width"],
        key: Float[Array, "n tokens heads width"],
        value: Float[Array, "n tokens heads width"],
        keys: int,
    ) -> Float[Array, "n tokens heads width"]:
        """Of all tokens over the first `keys`; the others are padding."""
        own = functools.partial(attention.attention, keys=keys, platform=self.platform)
        if self.mesh is None:
            return own(query, key, value)
        spread, gathered = PartitionSpec(CFG, SEQ), PartitionSpec(CFG)
        return jax.shard_map(
            own, mesh=self.mesh, in_specs=(spread, gathered, gathered), out_specs=spread, check_vma=False
        )(query, key, value)

    def by_row(self, block: Callable[..., Array], *rows: Array) -> Array:
        """`block` of each of n rows: one after another on one device, for memory; together where they are spread."""
        if self.mesh is not None or rows[0].shape[0] == 1:
            return block(*rows)
        return lax.map(lambda row: block(*(x[None] for x in row))[0], rows)


ONE_DEVICE = Layout()


def for_devices(devices: Sequence[Any], branches: int) -> Layout:
    """Of one device, or of the mesh of several."""
    return ONE_DEVICE if len(devices) == 1 else Layout(mesh_of(devices, branches))


def mesh_of(devices: Sequence[Any], branches: int) -> Mesh:
    """Guidance's `branches` (2, or 1 without it) over an even number of devices, tokens over the rest."""
    apart = branches if len(devices) % branches == 0 else 1
    return Mesh(np.array(devices).reshape(apart, -1), AXES, axis_types=(AxisType.Auto,) * len(AXES))
