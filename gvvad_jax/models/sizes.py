"""Numbers of a config.json: a size that is missing or is no such number is one sentence, before an array is made."""

import math
from collections.abc import Mapping
from typing import Any


def whole(found: Mapping[str, Any], key: str, where: str, least: int = 1) -> int:
    """ValueError that names `where`, the file, unless it is a whole number from `least` on."""
    value: Any = found.get(key)
    if type(value) is not int or value < least:
        raise _wrong(where, key, value, f"a whole number from {least} on")
    return value


def epsilon(found: Mapping[str, Any], key: str, where: str) -> float:
    """ValueError that names `where`, the file, unless it is a number from 0 on."""
    value: Any = found.get(key)
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise _wrong(where, key, value, "a number from 0 on")
    return float(value)


def _wrong(where: str, key: str, value: Any, wanted: str) -> ValueError:
    return ValueError(
        f"{where} lacks a size of the network ({key} is {value!r}, but {wanted} is needed); fetch it again."
    )
