"""Released tensor names: our arrays under the names and shapes that the published programs' state dicts have."""

from typing import Any

import numpy as np
from flax import nnx

_NETWORK = {
    **{f"conv_{i}.kernel": (f"conv_{i}.0.weight", True) for i in (1, 2, 3, 4, 5)},
    **{f"conv_{i}.bias": (f"conv_{i}.0.bias", False) for i in (1, 2, 3)},
    **{f"non_local.{n}.kernel": (f"non_local.{n}.weight", True) for n in ("g", "theta", "phi")},
    **{f"non_local.{n}.bias": (f"non_local.{n}.bias", False) for n in ("g", "theta", "phi")},
    "non_local.out.kernel": ("non_local.W.0.weight", True),
    "non_local.out.bias": ("non_local.W.0.bias", False),
}
_NORMS = {**{f"norm_{i}": f"conv_{i}.2" for i in (1, 2, 3, 5)}, "non_local.norm": "non_local.W.1"}
_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def multiscale_table(ours: str, theirs: str) -> dict[str, tuple[str, bool]]:
    """Our path -> (released name, whether the axes are reversed) for one multi-scale temporal network."""
    table = {f"{ours}.{path}": (f"{theirs}.{name}", turned) for path, (name, turned) in _NETWORK.items()}
    for path, name in _NORMS.items():
        table |= {f"{ours}.{path}.{a}": (f"{theirs}.{name}.{b}", False) for a, b in _NORM.items()}
    return table


def linear_table(*names: str) -> dict[str, tuple[str, bool]]:
    """The same for linear layers whose names agree."""
    kernels = {f"{name}.kernel": (f"{name}.weight", True) for name in names}
    return kernels | {f"{name}.bias": (f"{name}.bias", False) for name in names}


TABLES = {"rtfm": multiscale_table("temporal", "Aggregate") | linear_table("fc1", "fc2", "fc3")}


def named(state: Any) -> dict[str, np.ndarray]:
    """The arrays of an NNX state under their dotted paths."""
    return {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(state)}


def to_official(detector: Any, arrays: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Released name -> array in torch's layout, running statistics included.

    `arrays` (dotted path -> array, gradients say) stand for the detector's own and may be some of them. What no
    released program has (fitted input statistics) stays out; a detector that was never published keeps our paths.
    """
    whole = arrays is None
    if arrays is None:
        arrays = named(nnx.state(detector, nnx.Any(nnx.Param, nnx.BatchStat)))
    table = TABLES.get(detector.name)
    if table is None:
        return {path: np.asarray(array) for path, array in arrays.items()}
    result = {}
    for path, array in arrays.items():
        if path not in table:
            continue
        name, turned = table[path]
        # Conv1d keeps [out, in, taps] and Linear [out, in]; reversing the axes of ours gives either.
        result[name] = np.ascontiguousarray(np.asarray(array).T if turned else array)
        if whole and name.endswith(".running_var"):
            # Written by torch, read by nobody: the momentum is a number.
            result[name.removesuffix("running_var") + "num_batches_tracked"] = np.zeros((), np.int64)
    return result


def from_official(detector: Any, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Dotted path -> array in our layout, from released names; a name that the detector does not have is refused."""
    table = TABLES.get(detector.name)
    if table is None:
        return {path: np.asarray(array) for path, array in arrays.items()}
    released = {name: (path, turned) for path, (name, turned) in table.items()}
    unknown = sorted(name for name in arrays if name not in released and not name.endswith(".num_batches_tracked"))
    if unknown:
        raise ValueError(f"{len(unknown)} released names belong to no part of this {detector.name} ({unknown[0]}).")
    result = {}
    for name, array in arrays.items():
        if name in released:
            path, turned = released[name]
            result[path] = np.ascontiguousarray(np.asarray(array).T if turned else array)
    return result
