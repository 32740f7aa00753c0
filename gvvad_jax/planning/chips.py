"""TPU slices by name: their chips' peaks, and devices to compile for on a machine that has none."""

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """One chip: bfloat16 operations a second, bytes of memory a second, and the bytes a program may have."""

    operations: float
    bandwidth: float
    memory: float


# The makers' published peaks; of the memory XLA keeps some back (what it says when a program does not fit).
CHIPS = {
    "v5e": Chip(197e12, 819e9, 15.75 * GIB),
    "v5p": Chip(459e12, 2765e9, 95.0 * GIB),
    "v6e": Chip(918e12, 1640e9, 31.25 * GIB),
}


def prepare() -> None:
    """Before jax is imported: no question to a metadata server, and this machine's CPU as the run-time platform."""
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # another program may be planning too
    os.environ["JAX_PLATFORMS"] = "cpu"


def devices(topology: str) -> tuple[Chip, list[Any]]:
    """The chips of a slice such as v5e:2x4; `1x1` is one of them. ValueError for a name or machine that has none."""
    from jax.experimental import topologies

    name, _, shape = topology.partition(":")
    if name not in CHIPS or not shape:
        raise ValueError(f"no topology is called {topology!r}; it is like v5e:2x4, of {', '.join(CHIPS)}.")
    is_one = set(shape.split("x")) == {"1"}
    known = ("2x2x1" if name == "v5p" else "2x2") if is_one else shape  # older libtpus refuse a slice of one
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(f"topology {topology!r}: libtpu is needed to compile for a TPU; pip install libtpu.")
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=f"{name}:{known}").devices
    except Exception as error:  # jax raises several kinds
        raise ValueError(f"topology {topology!r}: {' '.join(str(error).split())[:200]}.") from None
    return CHIPS[name], list(found[:1] if is_one else found)
