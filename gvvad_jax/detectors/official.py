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

_NORM = {
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "batches": "num_batches_tracked",
}
LAMBDA = "VLR"  # λ as a parameter of the GV-VAD program; any checkpoint may carry it


def multiscale_table(ours: str, theirs: str) -> Table:
    """Names of one multi-scale temporal network, in the released order."""
    table: Table = {}
    for i in (1, 2, 3):
        table |= _layer(f"{ours}.conv_{i}", f"{theirs}.conv_{i}.0") | _norm(f"{ours}.norm_{i}", f"{theirs}.conv_{i}.2")
    table |= _layer(f"{ours}.conv_4", f"{theirs}.conv_4.0", bias=False)
    table |= _layer(f"{ours}.conv_5", f"{theirs}.conv_5.0", bias=False) | _norm(f"{ours}.norm_5", f"{theirs}.conv_5.2")
    ours, theirs = f"{ours}.non_local", f"{theirs}.non_local"
    table |= _layer(f"{ours}.g", f"{theirs}.g")
    table |= _layer(f"{ours}.out", f"{theirs}.W.0") | _norm(f"{ours}.norm", f"{theirs}.W.1")
    return table | _layer(f"{ours}.theta", f"{theirs}.theta") | _layer(f"{ours}.phi", f"{theirs}.phi")


def linear_table(*names: str) -> Table:
    """Names of linear layers, which agree."""
    return {path: row for name in names for path, row in _layer(f"network.{name}", name).items()}


def _layer(ours: str, theirs: str, bias: bool = True) -> Table:
    table: Table = {f"{ours}.kernel": (f"{theirs}.weight", True)}
    return table | ({f"{ours}.bias": (f"{theirs}.bias", False)} if bias else {})


def _norm(ours: str, theirs: str) -> Table:
    return {f"{ours}.{a}": (f"{theirs}.{b}", False) for a, b in _NORM.items()}


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
    """Released name -> array in torch's layout, in the order of a state dict, running statistics included.

    `arrays` (dotted path -> array, gradients say) stand for the detector's own and may be some of them. What no
    released program has (fitted input statistics) stays out; a detector that was never published keeps our paths.
    """
    if arrays is None:
        arrays = named(nnx.state(detector, nnx.Any(nnx.Param, nnx.BatchStat)))
    table = table_of(detector)
    if table is None:
        return {path: np.asarray(array) for path, array in arrays.items()}
    result = {}
    for path, (name, turned) in table.items():
        if path in arrays:
            # Conv1d keeps [out, in, taps] and Linear [out, in]; reversing the axes of ours gives either.
            array = np.array(np.asarray(arrays[path]).T if turned else arrays[path], order="C")
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
        layers = dict.fromkeys(name.partition(".")[0] for name in dropped)
        logging.warning("%s: %s (%s)", path, what, ", ".join(f"{layer}.*" for layer in layers))
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
