"""Multiply-adds of a traced program, two operations each: products and convolutions, loop bodies times their trips.

XLA's own count takes a loop's body once and a Pallas kernel not at all; a jaxpr knows every trip and every shape.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

KERNEL = "splash"  # the name of attention's kernel holds it


def count(jaxpr: core.ClosedJaxpr) -> int:
    """Operations of the whole program, over all devices: those inside a `shard_map` times its devices.

    Of a conditional, its dearest branch. ValueError where a loop's trips are not known: a `while`.
    """
    return sum(_of(equation) for equation in jaxpr.jaxpr.eqns)


def traced(function: Any, *arguments: Any) -> int:
    """Of a function of arrays, which may be abstract."""
    return count(jax.make_jaxpr(function)(*arguments))


def _of(equation: Any) -> int:
    name, parameters = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, spec = equation.invars[1].aval.shape, parameters["dimension_numbers"].rhs_spec
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // kernel[spec[0]]
    if name == "pallas_call":
        return _kernel(equation)
    if name == "cond":
        return max(count(branch) for branch in parameters["branches"])
    inner = sum(sum(_of(own) for own in part.eqns) for part in _inside(parameters))
    if inner and name == "while":
        raise ValueError("a loop without a known number of trips has products in it; they cannot be counted.")
    times = parameters["length"] if name == "scan" else 1
    if name == "shard_map":
        times = parameters["mesh"].size  # each device does its own
    return times * inner


def _inside(parameters: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs that an equation holds."""
    for value in parameters.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, core.Jaxpr):
                yield part


def _kernel(equation: Any) -> int:
    """Attention's kernel: two products of [queries, width] with [width, keys], a head each."""
    if KERNEL not in (name := str(equation.params.get("name"))):
        raise ValueError(f"{name}: a kernel whose cost is not known here.")
    arrays = [variable.aval for variable in equation.invars]
    # Masks and segments, which are whole numbers, lie among them.
    query, key, _ = (aval.shape for aval in arrays if jnp.issubdtype(aval.dtype, jnp.floating))
    return 4 * math.prod(query) * key[-2]
