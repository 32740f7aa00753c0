"""T snippets become L segments: the field's int(linspace(0, T, L + 1)) means, or padded rows with a mask."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

# Every half-precision number as a single one: to look them up takes two thirds of NumPy's conversion (1.2 against 1.9
# ms for the segments of [120, 10, 768]), a segment at a time so that it stays in the cache.
_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def borders(snippets: int, length: int) -> Int[np.ndarray, " {length}+1"]:
    """The first snippet of each segment, and `snippets` last; border i is int(linspace(0, T, L + 1)[i])."""
    if length < 1:
        raise ValueError(f"{length} segments asked for; at least 1 is needed.")
    if snippets < 1:
        raise ValueError("0 snippets cannot be cut into segments; every video needs at least 1.")
    # linspace itself: floor(i T / L) differs by one at some border for L = 200 and T = 58, 70, 114, …
    return np.linspace(0, snippets, length + 1).astype(np.int64)


def segment(x: Num[np.ndarray, " snippets *rest"], length: int) -> Float[np.ndarray, " {length} *rest"]:
    """Means of the snippets of each segment, float32; an empty range (T < L) takes its first snippet."""
    edges = borders(len(x), length)
    means = np.empty((length, *x.shape[1:]), np.float32)
    # A loop with out= is 9 times faster than np.add.reduceat on [519, 10, 768], and sums in np.mean's order.
    for i, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        np.add.reduce(_single(x[start : max(stop, start + 1)]), axis=0, dtype=np.float32, out=means[i, ...])
    counts = np.maximum(np.diff(edges), 1).astype(np.float32)
    means /= counts.reshape(-1, *[1] * (x.ndim - 1))
    return means


def rows(
    x: Num[np.ndarray, " snippets *rest"], length: int
) -> tuple[Float[np.ndarray, " {length} *rest"], Bool[np.ndarray, " {length}"]]:
    """A video shorter than `length` keeps its snippets, followed by zeros that the mask marks False.

    A longer one is segmented as by `segment`, and all its rows are valid.
    """
    if len(x) >= length:
        return segment(x, length), np.ones(length, bool)
    borders(len(x), length)
    padded = np.zeros((length, *x.shape[1:]), np.float32)
    padded[: len(x)] = _single(x)
    return padded, np.arange(length) < len(x)


def _single(x: np.ndarray) -> np.ndarray:
    return np.take(_HALVES, x.view(np.uint16)) if x.dtype == np.float16 else x
