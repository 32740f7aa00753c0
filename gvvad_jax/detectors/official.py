"""Released tensor names: our arrays under the names and shapes that the published programs' state dicts have."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from flax import nnx

from gvvad_jax.weights import torch_file

Table = dict[str, tuple[str, bool]]  # our path -> (released name, whether the axes are reversed)

_NETWORK = {
    **{f"conv_{i}.kernel": (f"conv_{i}.0.weight", True) for i in (1, 2, 3, 4, 5)},
    **{f"conv_{i}.bias": (f"conv_{i}.0.bias", False) for i in (1, 2, 3)},
    **{f"non_local.{n}.kernel": (f"non_local.{n}.weight", True) for n in ("g", "theta", "phi")},
    **{f"non_local.{n}.bias": (f"non_local.{n}.bias", False) for n in ("g", "theta", "phi")},
    "non_local.out.kernel": ("non_local.W.0.weight", True),
    "non_local.out.bias": ("non_local.W.0.bias", False),
}
_NORMS = {**{f"norm_{i}": f"conv_{i}.2" for i in (1, 2, 3, 5)}, "non_local.norm": "non_local.W.1"}
_NORM = {
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "batches": "num_batches_tracked",
}
LAMBDA = "VLR"  # λ as a parameter of the GV-VAD program; any checkpoint may carry it


def multiscale_table(ours: str, theirs: str) -> Table:
    """Names of one multi-scale temporal network."""
    table = {f"{ours}.{path}": (f"{theirs}.{name}", turned) for path, (name, turned) in _NETWORK.items()}
    for path, name in _NORMS.items():
        table |= {f"{ours}.{path}.{a}": (f"{theirs}.{name}.{b}", False) for a, b in _NORM.items()}
    return table


def linear_table(*names: str) -> Table:
    """Names of linear layers, which agree."""
    table = {}
    for name in names:
        table |= {f"network.{name}.kernel": (f"{name}.weight", True), f"network.{name}.bias": (f"{name}.bias", False)}
    return table


_HEAD = linear_table("fc1", "fc2", "fc3")
_VISION, _TEXT = (
    multiscale_table("network.temporal", "Aggregate"),
    multiscale_table("network.text_temporal", "Aggregate_text"),
)
_FUSION = {"concat": (), "add": ("fc0",), "product": ("fc0",), "add_up": ("fc_vis", "fc_text")}
# Layers that GV-VAD's program makes in RTFM mode and never uses.
_UNUSED = {"rtfm": {name for name, _ in _TEXT.values()} | {"fc0.weight", "fc0.bias"}}


def table_of(detector: Any) -> Table | None:
    """The released names of a detector's arrays; None for one that was never published."""
    match detector.name:
        case "rtfm":
            return _VISION | _HEAD
        case "tevad" | "lap":
            return _VISION | _TEXT | linear_table(*_FUSION[detector.switches.fusion]) | _HEAD
    return None


def named(state: Any) -> dict[str, np.ndarray]:
    """The arrays of an NNX state under their dotted paths."""
    return {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(state)}


def to_official(detector: Any, arrays: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Released name -> array in torch's layout, running statistics included.

    `arrays` (dotted path -> array, gradients say) stand for the detector's own and may be some of them. What no
    released program has (fitted input statistics) stays out; a detector that was never published keeps our paths.
    """
    if arrays is None:
        arrays = named(nnx.state(detector, nnx.Any(nnx.Param, nnx.BatchStat)))
    table = table_of(detector)
    if table is None:
        return {path: np.asarray(array) for path, array in arrays.items()}
    result = {}
    for path, array in arrays.items():
        if path in table:
            name, turned = table[path]
            # Conv1d keeps [out, in, taps] and Linear [out, in]; reversing the axes of ours gives either.
            array = np.array(np.asarray(array).T if turned else array, order="C")
            result[name] = array.astype(np.int64) if name.endswith(".num_batches_tracked") else array
    return result


def from_official(detector: Any, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Dotted path -> array in our layout, from released names; a name that the detector does not have is refused."""
    table = table_of(detector)
    if table is None:
        return {path: np.asarray(array) for path, array in arrays.items()}
    released = {name: (path, turned) for path, (name, turned) in table.items()}
    unknown = sorted(arrays.keys() - released.keys())
    if unknown:
        raise ValueError(f"{len(unknown)} released names belong to no part of this {detector.name} ({unknown[0]}).")
    result = {}
    for name, array in arrays.items():
        path, turned = released[name]
        result[path] = np.array(np.asarray(array).T if turned else array, order="C")
    return result


def read(path: str | Path) -> tuple[dict[str, np.ndarray], float | None]:
    """The tensors of a released checkpoint (DataParallel's `module.` taken off), and its λ where it carries one."""
    tensors = {name.removeprefix("module."): array for name, array in torch_file.read(path).items()}
    weight = tensors.pop(LAMBDA, None)
    if weight is not None and weight.size != 1:
        raise ValueError(f"{path}: {LAMBDA} has shape {list(weight.shape)}, but a released λ is one number.")
    return tensors, None if weight is None else float(weight.reshape(()))


def fill(detector: Any, path: str | Path) -> None:
    """Set a detector's arrays, in place, to those of a released checkpoint; names and shapes must agree, both ways."""
    tensors, weight = read(path)
    own = to_official(detector)
    if table_of(detector) is None:
        raise ValueError(f"{path}: no program released a {detector.name}; load it from the folder of a bundle.")
    dropped = sorted((tensors.keys() - own.keys()) & _UNUSED.get(detector.name, set()))
    tensors = {name: array for name, array in tensors.items() if name not in dropped}
    _refuse(path, detector, "lacks", own.keys() - tensors.keys())
    _refuse(path, detector, "has, unknown to it,", tensors.keys() - own.keys())
    wrong = [f"{n} {list(tensors[n].shape)} for {list(own[n].shape)}" for n in own if tensors[n].shape != own[n].shape]
    _refuse(path, detector, "has in another shape", wrong)
    bad = [name for name, array in tensors.items() if not np.isfinite(array).all()]
    _refuse(path, detector, "holds NaN or infinite values in", bad)
    if dropped:
        what = f"{len(dropped)} tensors that a {detector.name} never uses are left out"
        logging.warning("%s: %s (%s, …)", path, what, dropped[0])
    if weight is not None:
        logging.warning("%s carries λ = %.6g (%s): it counts only where λ is learnable", path, weight, LAMBDA)
    state = nnx.state(detector, nnx.Any(nnx.Param, nnx.BatchStat))
    leaves = {".".join(map(str, key)): leaf for key, leaf in nnx.to_flat_state(state)}
    for name, array in from_official(detector, tensors).items():
        leaves[name][...] = jnp.asarray(array, leaves[name].dtype)


def _refuse(path: Any, detector: Any, what: str, names: Iterable[str]) -> None:
    names = sorted(names)
    if names:
        raise ValueError(
            f"{path} {what} {len(names)} tensors of this {detector.name} ({', '.join(names)}); "
            "check the detector, its widths and its fusion."
        )
