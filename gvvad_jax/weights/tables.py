"""Strict tables from published tensor names to the parameters of an NNX module: nothing is left over on either side."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx


def _same(array: np.ndarray) -> np.ndarray:
    return array


@dataclass(frozen=True)
class Row:
    """One parameter of ours, such as `stem.kernel`, made by `make` from the published tensors named in `sources`.

    `target=None` says that these tensors are known and deliberately not used.
    """

    target: str | None
    sources: tuple[str, ...]
    make: Callable[..., np.ndarray] = _same


def stacked(target: str, layers: str, count: int, parts: Sequence[str]) -> Row:
    """A parameter of `count` layers on a leading axis; of each layer the `parts`, transposed and joined by columns.

    Published kernels are [out, in] and vectors stay as they are, so one rule serves both.
    """

    def make(*arrays: np.ndarray) -> np.ndarray:
        own = [array.T for array in arrays]
        layer = np.concatenate(own[: len(parts)], -1)
        made = np.empty((count, *layer.shape), layer.dtype)
        for i in range(count):
            np.concatenate(own[i * len(parts) : (i + 1) * len(parts)], -1, out=made[i])
        return made

    return Row(target, tuple(f"{layers}.{i}.{part}" for i in range(count) for part in parts), make)


def fill(model: nnx.Module, arrays: Mapping[str, np.ndarray], table: Sequence[Row], origin: str) -> None:
    """Sets every variable of `model` (which may be abstract) from the published `arrays`, in its own dtype.

    A tensor that the table does not name, one that is missing, a variable without a row and a wrong shape are each a
    ValueError that names `origin` (the file or folder the arrays came from) and the tensors.
    """
    require_all(arrays, table, origin)
    variables = {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(nnx.state(model))}
    targets = [row.target for row in table if row.target is not None]
    if len(targets) != len(set(targets)) or set(targets) != set(variables):
        raise ValueError(f"{origin}: the table does not match the network at {sorted(set(targets) ^ set(variables))}.")
    for row in table:
        if row.target is None:
            continue
        wanted = variables[row.target].get_value()
        try:
            value = row.make(*(_narrow(arrays[source], wanted.dtype) for source in row.sources))
        except (ValueError, TypeError, IndexError) as error:
            shapes = ", ".join(f"{source} {arrays[source].shape}" for source in row.sources[:3])
            more = f" and {len(row.sources) - 3} more" if len(row.sources) > 3 else ""
            raise ValueError(
                f"{origin}: {shapes}{more} do not make a {row.target} of {wanted.shape} ({error}); fetch it again."
            ) from None
        if value.shape != wanted.shape:
            raise ValueError(f"{origin}: {row.sources[0]} gives shape {value.shape} where {wanted.shape} is needed.")
        variables[row.target].set_value(jnp.asarray(value, wanted.dtype))


def require_all(names: Collection[str], table: Sequence[Row], origin: str) -> None:
    """Refuses tensors that the table does not name, and any that is missing; no tensor is read."""
    named = {source for row in table for source in row.sources}
    _refuse(origin, "has tensors that this network does not know", set(names) - named)
    _refuse(origin, "lacks tensors that this network needs", named - set(names))


def _narrow(array: np.ndarray, wanted: np.dtype) -> np.ndarray:
    if jnp.issubdtype(wanted, jnp.floating) and not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"they are stored as {array.dtype}, which is no floating point")
    # Half precision is made before layers are stacked, so that their wider sources never lie in memory together.
    return array.astype(wanted) if wanted.itemsize == 2 and array.dtype.itemsize > 2 else array


def _refuse(origin: str, what: str, names: set[str]) -> None:
    if names:
        shown = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise ValueError(f"{origin} {what}: {shown}; it holds the weights of another network.")
