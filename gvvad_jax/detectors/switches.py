"""Fields of a variant's dataclass that know their legal values, and their replacement by name."""

import dataclasses
import math
from typing import Any

import flax.struct
import numpy as np


def choice(default: str, *others: str) -> Any:
    """One of several words; static."""
    return flax.struct.field(pytree_node=False, default=default, metadata={"choices": (default, *others)})


def flag(default: bool) -> Any:
    """True or False; static."""
    return flax.struct.field(pytree_node=False, default=default, metadata={"choices": (False, True)})


def integer(default: int, least: int) -> Any:
    """A count; static, as shapes depend on it."""
    return flax.struct.field(pytree_node=False, default=default, metadata={"kind": int, "low": least})


def number(default: float, low: float = 0.0, high: float = float("inf")) -> Any:
    """A number between two others; a leaf."""
    return flax.struct.field(default=default, metadata={"kind": float, "low": low, "high": high})


def replace(switches: Any, where: str, changes: dict[str, Any]) -> Any:
    """`switches` with some replaced by name; a wrong name or value: ValueError that lists what there is."""
    fields = {field.name: field for field in dataclasses.fields(switches)}
    checked = {}
    for name, value in changes.items():
        if name not in fields:
            raise ValueError(f"{where} has no switch {name!r}; its switches are {', '.join(sorted(fields))}.")
        checked[name] = _check(value, fields[name].metadata, f"{where}: switch {name}")
    return switches.replace(**checked)


def _check(value: Any, legal: Any, where: str) -> Any:
    if "choices" in legal:
        # `1 in (False, True)` holds, and a flag of 1 would be written to configs as another value.
        if not any(value is c or (isinstance(value, str) and value == c) for c in legal["choices"]):
            raise ValueError(f"{where} is {value!r}; choose one of {', '.join(map(repr, legal['choices']))}.")
        return value
    kind, low, high = legal["kind"], legal["low"], legal.get("high", float("inf"))
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    is_number = is_number and math.isfinite(value)
    if not is_number or (kind is int and value != int(value)):
        raise ValueError(f"{where} is {value!r}; give {'a whole number' if kind is int else 'a number'}.")
    if not low <= value <= high:
        raise ValueError(f"{where} is {value}; it must lie between {low} and {high}.")
    return kind(value)
