"""The domain gap between real and generated clips in a feature set: Fréchet distance and MMD, before and after.

A video's vector is the mean of its snippets and crops, in the encoder's columns: blocks of motion have other units. A
covariance of n vectors has rank n - 1 at most, so the Fréchet distance is one in the first principal components of real
and generated videos together, fewer than either side has videos; axes of the real ones alone would not show where
generated clips differ in what real ones never vary. Of few samples it is too large, the more so the fewer they are:
`before` is therefore taken over random subsets of as many clips as `after` has. MMD² is taken over all columns; it is
the unbiased estimate and may fall below zero.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from gvvad_jax import records
from gvvad_jax.synthesis.filtering import rule

COMPONENTS = 16
DRAWS = 20
FEWEST = 4  # videos of a kind for a number to mean anything


def frechet(x: Float[np.ndarray, "n width"], y: Float[np.ndarray, "m width"]) -> float:
    """|μx − μy|² + tr(Sx + Sy − 2 (Sx^½ Sy Sx^½)^½) of two samples, covariances over n − 1 and m − 1; float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    first, second = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    root = _root(first)
    cross = np.linalg.eigvalsh(root @ second @ root)
    distance = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second)
    return float(distance - 2 * np.sqrt(np.maximum(cross, 0)).sum())


def mmd2(
    x: Float[np.ndarray, "n width"], y: Float[np.ndarray, "m width"], bandwidth: float | int | None = None
) -> float:
    """Unbiased MMD² under exp(−|a − b|² / 2h²); h: the median distance of all rows, unless given; float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    within, other, across = _squares(x, x), _squares(y, y), _squares(x, y)
    if bandwidth is None:
        bandwidth = median_distance(np.concatenate([x, y]))
    a, b, c = (np.exp(-squares / (2 * bandwidth**2)) for squares in (within, other, across))
    n, m = len(x), len(y)
    return float((a.sum() - np.trace(a)) / (n * (n - 1)) + (b.sum() - np.trace(b)) / (m * (m - 1)) - 2 * c.mean())


def median_distance(x: Float[np.ndarray, "n width"]) -> float:
    """The median distance between two rows; 1 where it is 0."""
    return float(np.sqrt(np.median(_squares(x, x)[np.triu_indices(len(x), 1)]))) or 1.0


def measure(paths: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """By class: counts, and `frechet` and `mmd2` before and after a selection; notes say what could not be measured.

    `paths` are feature sets that hold real training videos and the generated clips that `rows` name.
    """
    named = {row["id"]: row["keep"] for row in rows}
    real, generated, seen = {0: [], 1: []}, {0: {}, 1: {}}, {}
    for path in paths:
        reader = records.reader(path)
        if reader.kind != "feature":
            raise ValueError(f"{path} is a {reader.kind} set; --features names feature sets.")
        for record in reader.select(lambda row: row["label"] in (0, 1)):
            if seen.setdefault(record.id, path) != path:
                raise ValueError(
                    f"{record.id} is in {seen[record.id]} and in {path}; --features takes each video once."
                )
            if record.synthetic and record.id in named:
                generated[record.label][record.id] = _vector(record)
            elif not record.synthetic and record.split == "train":
                real[record.label].append(_vector(record))
    widths = {len(v) for own in real.values() for v in own} | {
        len(v) for own in generated.values() for v in own.values()
    }
    if len(widths) > 1:
        raise ValueError(f"{', '.join(paths)}: features of widths {sorted(widths)}; name sets of one encoder.")
    notes, found = [], {}
    for label, name in rule.CLASSES.items():
        kept = [id for id in generated[label] if named[id]]
        counts = {"real": len(real[label]), "before": len(generated[label]), "after": len(kept)}
        if min(counts.values()) < FEWEST:
            have = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            notes.append(f"domain gap of {name} clips not measured: {have}; each needs {FEWEST} feature records.")
            continue
        found[name] = counts | _compare(np.stack(real[label]), generated[label], kept)
    return found, notes


def _compare(real: np.ndarray, generated: Mapping[str, np.ndarray], kept: Collection[str]) -> dict[str, Any]:
    before, after = (np.stack([generated[id] for id in ids]) for ids in (generated, kept))
    every = np.concatenate([real, before])
    bandwidth = median_distance(every)
    mmd = {"before": mmd2(real, before, bandwidth), "after": mmd2(real, after, bandwidth)}
    width = min(COMPONENTS, len(real) - 1, len(kept) - 1, real.shape[1])
    axes = np.linalg.svd(every - every.mean(0), full_matrices=False)[2][:width].T
    real, before, after = real @ axes, before @ axes, after @ axes
    random = np.random.default_rng(0)
    draws = [before[random.choice(len(before), len(after), replace=False)] for _ in range(DRAWS)]
    distances = [frechet(real, draw) for draw in draws]
    return {
        "components": width,
        "frechet": {
            "before": float(np.mean(distances)),
            "spread": float(np.std(distances)),
            "after": frechet(real, after),
        },
        "mmd2": mmd,
    }


def _vector(record: records.Feature) -> np.ndarray:
    """The mean of the encoder's columns, which come first; a set without named blocks is all encoder's."""
    stop = record.blocks[0].stop if record.blocks else record.visual.shape[2]
    return record.visual[:, :, :stop].astype(np.float64).mean((0, 1))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T, 0)
