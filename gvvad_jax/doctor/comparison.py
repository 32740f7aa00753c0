"""How two feature sets of the same videos differ, and which option of an extractor would explain it.

Published features rarely say how they were made. What can be read off the numbers: how many snippets a video of F
frames has (the tail rule), the order of the crops, a shift by a snippet, one common scale, and how smooth neighbouring
snippets are (an average of 16 frames is smoother and shorter than one frame).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from gvvad_jax import records
from gvvad_jax.doctor.finding import Finding, ok, problem
from gvvad_jax.evaluation import names

VIDEOS = 40  # compared by value; lengths are compared for all
SAME = 0.9995  # cosine from which two vectors are one but for rounding
ORDERS = {  # of ten crops, given in VadCLIP's numbers (centre, corners, the same mirrored): who lists them so
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5): "torchvision's TenCrop order (corners, centre, the same mirrored)",
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9): "the order centre, corners, the same mirrored",
    (5, 6, 7, 8, 9, 0, 1, 2, 3, 4): "mirrored crops first",
    (0, 5, 1, 6, 2, 7, 3, 8, 4, 9): "each crop followed by its mirror",
}


@dataclass(frozen=True, eq=False)
class Pair:
    """One video in both sets, snippet counts cut to the shorter."""

    id: str
    first: Float[np.ndarray, "snippets crops width"]
    second: Float[np.ndarray, "snippets crops width"]


def compare(first: Path, second: Path) -> Iterator[Finding]:
    """Ids, lengths, identities, then values of up to 40 videos spread over the set."""
    a, b = records.reader(first), records.reader(second)
    if (a.kind, b.kind) != ("feature", "feature"):
        raise ValueError(
            f"{first} holds {a.kind} records and {second} {b.kind} records; two feature sets are compared."
        )
    matched = names.match(a.ids, b.ids, str(second))
    if not matched:
        raise ValueError(
            f"{first} and {second} share no video: {names.some(a.ids, 3)} here, {names.some(b.ids, 3)} there."
        )
    for path, alone in ((first, set(a.ids) - set(matched)), (second, set(b.ids) - set(matched.values()))):
        if alone:
            yield ok(f"only in {path}: {len(alone)} videos: {names.some(alone)}")
    yield ok(f"in both: {len(matched)} videos")
    rows = {row["id"]: row for row in a.rows}, {row["id"]: row for row in b.rows}
    yield from _labels(matched, *rows)
    yield from _lengths(first, second, matched, *rows)
    chosen = [id for id in matched if len(matched) <= VIDEOS] or list(matched)[:: -(-len(matched) // VIDEOS)]
    yield from _identity(a.by_id(chosen[0]), b.by_id(matched[chosen[0]]))
    loaded = [(id, a.by_id(id), b.by_id(matched[id])) for id in chosen]
    first_crops, second_crops = loaded[0][1].visual.shape[1], loaded[0][2].visual.shape[1]
    parts = _parts(loaded[0][1], loaded[0][2])
    if first_crops != second_crops or not parts:
        x, y = (record.visual.shape[1:] for record in loaded[0][1:])
        yield problem(
            f"{x[0]} crops of {x[1]} columns in {first}, {y[0]} of {y[1]} in {second}: values cannot be compared"
        )
        return
    for name, (left, right) in parts.items():
        pairs = [_pair(id, x.visual[..., left], y.visual[..., right]) for id, x, y in loaded]
        for finding in _values(first, second, pairs):
            yield Finding(f"{name}: {finding.text}" if name else finding.text, finding.problem)


def _parts(a: records.Feature, b: records.Feature) -> dict[str, tuple[slice, slice]]:
    """The columns to compare: blocks that both name and that are equally wide, else all where widths agree."""
    blocks = {block.name: slice(block.start, block.stop) for block in a.blocks}
    others = {block.name: slice(block.start, block.stop) for block in b.blocks}
    shared = {
        name: (columns, others[name])
        for name, columns in blocks.items()
        if name in others and columns.stop - columns.start == others[name].stop - others[name].start
    }
    if shared or a.visual.shape[2] != b.visual.shape[2]:
        return shared
    return {"": (slice(None), slice(None))}


def _pair(id: str, x: np.ndarray, y: np.ndarray) -> Pair:
    size = min(len(x), len(y))
    return Pair(id, x[:size].astype(np.float32), y[:size].astype(np.float32))


def cosine(x: Float[np.ndarray, "*n width"], y: Float[np.ndarray, "*n width"]) -> Float[np.ndarray, "*n"]:
    """Cosine of vectors along the last axis; 0 where one is zero."""
    norms = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.einsum("...w,...w->...", x, y) / np.where(norms > 0, norms, 1)


def crop_order(pairs: Sequence[Pair]) -> tuple[list[int], float, float]:
    """Which crop of the second set each crop of the first is: (order, mean cosine so, mean cosine as stored).

    A crop is told from the others by what it shows differently, so the mean over crops is taken off first.
    """
    count = pairs[0].first.shape[1]
    table = np.zeros((count, count))
    for pair in pairs:
        x, y = (v - v.mean(axis=1, keepdims=True) for v in (pair.first, pair.second))
        x, y = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (x, y))
        table += np.einsum("tcw,tdw->cd", x, y) / len(x)
    table /= len(pairs)
    rows, columns = linear_sum_assignment(-table)
    return columns.tolist(), float(table[rows, columns].mean()), float(np.diag(table).mean())


def _labels(matched: dict[str, str], a: dict[str, dict], b: dict[str, dict]) -> Iterator[Finding]:
    for field in ("label", "split"):
        other = [id for id, name in matched.items() if a[id][field] != b[name][field]]
        if other:
            yield problem(f"{field} differs for {len(other)} videos: {names.some(other)}")


def _lengths(
    first: Path, second: Path, matched: dict[str, str], a: dict[str, dict], b: dict[str, dict]
) -> Iterator[Finding]:
    sizes = {id: (a[id]["num_snippets"], b[name]["num_snippets"]) for id, name in matched.items()}
    apart = {id: s - t for id, (s, t) in sizes.items() if s != t}
    if not apart:
        yield ok("equal numbers of snippets in every video")
        return
    counts = ", ".join(f"{n:+d}: {k} videos" for n, k in sorted(Counter(apart.values()).items())[:6])
    yield problem(f"{len(apart)} videos have other numbers of snippets ({first} less {second}: {counts})")
    worst = max(apart, key=lambda id: abs(apart[id]))
    yield ok(f"the largest difference: {worst}, {sizes[worst][0]:,} and {sizes[worst][1]:,} snippets")
    for path, which, rows in ((first, 0, a), (second, 1, b)):
        frames = {id: rows[id if which == 0 else name]["num_frames"] for id, name in matched.items()}
        yield ok(f"{path}: {_tail_rule({id: (sizes[id][which], frames[id]) for id in matched})}")
    ratios = np.array([s / t for s, t in sizes.values()])
    if np.std(ratios) < 0.02 and abs(np.median(ratios) - 1) > 0.05:
        yield ok(f"a constant ratio of {np.median(ratios):.2f}: other snippet lengths or another frame rate")


def _tail_rule(sizes: dict[str, tuple[int, int]]) -> str:
    """Which rule gives these snippet counts from the frame counts."""
    rules = {
        "one snippet a whole 16 frames, the rest in the last (floor)": lambda f: max(1, f // 16),
        "a snippet more for the rest (ceil)": lambda f: -(-f // 16),
        "one fewer than floor (a dropped tail)": lambda f: max(1, f // 16 - 1),
    }
    hits = {name: sum(t == rule(f) for t, f in sizes.values()) for name, rule in rules.items()}
    best = max(hits, key=lambda name: hits[name])
    return f"{best}: {hits[best]} of {len(sizes)} videos" if hits[best] else "snippets follow no rule of 16 frames"


def _identity(a: records.Feature, b: records.Feature) -> Iterator[Finding]:
    """What the records themselves say of how they were made."""
    x, y = dict(a.encoder) | {"crop_order": a.crop_order}, dict(b.encoder) | {"crop_order": b.crop_order}
    x["blocks"], y["blocks"] = ({block.name: block.stop - block.start for block in r.blocks} for r in (a, b))
    silent = [key for key in x.keys() | y.keys() if (key in x) != (key in y)]
    differing = sorted(key for key in x.keys() & y.keys() if x[key] != y[key])
    if differing:
        told = (f"{key} {_brief(x[key])} and {_brief(y[key])}" for key in differing)
        yield problem("made differently: " + "; ".join(told))
    else:
        yield ok("the records name the same encoder and options" if not silent else "what both records say is equal")
    if silent:
        yield ok(f"said by one set alone: {', '.join(sorted(silent))}")


def _brief(value: object, limit: int = 70) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _values(first: Path, second: Path, pairs: Sequence[Pair]) -> Iterator[Finding]:
    order, ordered, stored = crop_order(pairs) if pairs[0].first.shape[1] > 1 else ([0], 1.0, 1.0)
    if order != sorted(order) and ordered > stored + 0.1:
        yield problem(f"crops lie in another order: {_described(order)} (cosine {ordered:.2f}, as stored {stored:.2f})")
        pairs = [Pair(pair.id, pair.first, pair.second[:, order]) for pair in pairs]
    shift = _shift(pairs)
    if shift:
        yield problem(f"{second} lies {abs(shift)} snippet {'later' if shift > 0 else 'earlier'} than {first}")
        pairs = [_shifted(pair, shift) for pair in pairs if len(pair.first) > 1]
    cosines = {pair.id: cosine(pair.first, pair.second) for pair in pairs}
    every = np.concatenate([c.ravel() for c in cosines.values()])
    low, middle = np.quantile(every, [0.05, 0.5])
    yield (ok if low > SAME else problem)(
        f"cosine of equal snippets: median {middle:.4f}, 5 % below {low:.4f}, over {len(pairs)} videos"
    )
    ends = float(np.median([cosines[pair.id][-1].mean() for pair in pairs]))
    if ends < middle - 0.02:
        yield ok(f"last snippets agree less (median {ends:.4f}): the tail is filled or cut by another rule")
    worst = min(cosines, key=lambda id: cosines[id].mean())
    if cosines[worst].mean() < middle - 0.02:
        yield ok(f"least alike: {worst}, mean cosine {cosines[worst].mean():.4f}")
    yield from _size_and_smoothness(first, second, pairs, float(middle))


def _described(order: Sequence[int]) -> str:
    """A permutation in words where it is one that extractors use."""
    text = "crop i of the first is crop " + ", ".join(map(str, order)) + " of the second"
    for numbers, name in ORDERS.items():
        inverse = [numbers.index(k) for k in range(len(numbers))]
        if list(order) == inverse:
            return f"{text}; the second has {name}, if the first has VadCLIP's"
        if list(order) == list(numbers):
            return f"{text}; the first has {name}, if the second has VadCLIP's"
    return text


def _shift(pairs: Sequence[Pair]) -> int:
    """The shift of the second set by −1, 0 or 1 snippet that fits clearly best."""
    means = {}
    for shift in (-1, 0, 1):
        moved = [_shifted(pair, shift) for pair in pairs if len(pair.first) > 2]
        means[shift] = np.mean([cosine(p.first, p.second).mean() for p in moved]) if moved else 0.0
    best = max(means, key=lambda shift: means[shift])
    return best if means[best] > means[0] + 0.02 else 0


def _shifted(pair: Pair, shift: int) -> Pair:
    size = len(pair.first) - abs(shift)
    start, other = max(0, -shift), max(0, shift)
    return Pair(pair.id, pair.first[start : start + size], pair.second[other : other + size])


def _size_and_smoothness(first: Path, second: Path, pairs: Sequence[Pair], alike: float) -> Iterator[Finding]:
    norms = [
        np.concatenate([np.linalg.norm(v, axis=-1).ravel() for v in vectors])
        for vectors in ([p.first for p in pairs], [p.second for p in pairs])
    ]
    ratio = float(np.median(norms[1] / np.maximum(norms[0], 1e-12)))
    spreads = [float(np.std(n) / max(np.mean(n), 1e-12)) for n in norms]
    yield ok(f"vector lengths: {norms[0].mean():.4g} and {norms[1].mean():.4g} on average, ratio {ratio:.4f}")
    for path, spread, other in ((first, *spreads), (second, *spreads[::-1])):
        if spread < 1e-3 < other:
            yield problem(f"{path} is normalised to one length, the other is not; normalise both or neither")
            return
    if alike > SAME and abs(ratio - 1) > 0.01:
        yield problem(f"{second} is {first} times {ratio:.4g}: another scale before or after the encoder")
    steps = [
        float(np.mean([1 - cosine(v[1:], v[:-1]).mean() for v in vectors if len(v) > 1] or [0.0]))
        for vectors in ([p.first for p in pairs], [p.second for p in pairs])
    ]
    if min(steps) > 0 and alike < SAME and max(steps) / min(steps) > 1.3:
        smooth, rough = (second, first) if steps[1] < steps[0] else (first, second)
        shorter = (ratio < 0.995) == (smooth == second)
        yield ok(
            f"{smooth} changes less from snippet to snippet (1 - cosine {min(steps):.4f} against {max(steps):.4f})"
            + (f" and its vectors are shorter: it looks like a mean over more frames than {rough}" if shorter else "")
            + "; compare frames_per_snippet (1 = the middle frame, 16 = the mean of all)"
        )
