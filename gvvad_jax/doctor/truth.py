"""What a published ground truth holds: which videos, which offsets, which rule of lengths and of intervals."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from gvvad_jax import datasets
from gvvad_jax.datasets import Entry
from gvvad_jax.doctor.finding import Finding, ok, problem
from gvvad_jax.evaluation import ground_truth, names

TABLES = ("ucf", "xd", "shanghaitech", "tad", "ped2")


def explain(path: Path, dataset: str | None = None, label_list: Path | None = None) -> Iterator[Finding]:
    """Explains a flat array (.npy) or a dictionary (.npz) by the facts of one data set, or of whichever fits."""
    labels = ground_truth.read(path)
    if isinstance(labels, dict):
        yield from _dictionary(path, labels, dataset)
    else:
        yield from _flat(path, labels, dataset, label_list)


def _dictionary(path: Path, labels: Mapping[str, np.ndarray], dataset: str | None) -> Iterator[Finding]:
    total, positive = sum(map(len, labels.values())), sum(int(x.sum()) for x in labels.values())
    yield ok(f"{path}: {len(labels)} videos, {total:,} frames, {positive:,} anomalous ({positive / total:.2%})")
    counts = {name: len(_matched(name, labels)) for name in ([dataset] if dataset else TABLES)}
    name = max(counts, key=lambda key: counts[key])
    if not counts[name]:
        yield problem(f"{path}: no name is a video of {', '.join(counts)}: {names.some(labels, 3)}")
        return
    facts, matched = datasets.facts(name), _matched(name, labels)
    tests = {id for id, entry in facts.items() if entry.split == "test"}
    yield ok(f"{len(matched)} names are videos of {name}, {len(tests & set(matched))} of its {len(tests)} test videos")
    missing, unknown = tests - set(matched), set(labels) - set(matched.values())
    if missing:
        yield problem(f"{len(missing)} test videos are missing: {names.some(missing)}")
    if unknown:
        yield problem(f"{len(unknown)} names are no video of {name}: {names.some(unknown)}")
    arrays = {id: labels[key] for id, key in matched.items()}
    yield from _lengths({id: len(x) for id, x in arrays.items()}, facts)
    yield from _intervals(arrays, facts)


def _flat(path: Path, labels: np.ndarray, dataset: str | None, label_list: Path | None) -> Iterator[Finding]:
    yield ok(f"{path}: {len(labels):,} frames, {int(labels.sum()):,} anomalous ({labels.mean():.2%})")
    tables = {name: _tests(name) for name in ([dataset] if dataset else TABLES)}
    explained = []
    for name, entries in tables.items():
        lengths = {entry.id: (entry.num_frames, None) for entry in entries}
        sums = {rule: sum(each) for rule, each in ground_truth.rules(lengths).items() if each is not None}
        if dataset:
            yield ok(f"{name}: {len(entries)} test videos; " + "; ".join(f"{r}: {n:,}" for r, n in sums.items()))
        explained += [(name, rule) for rule, total in sums.items() if total == len(labels)]
        if (short := _short_of_floor(len(labels), entries)) is not None:
            explained.append((name, short))
    if not explained:
        known = "; ".join(f"{name} {len(entries)} videos" for name, entries in tables.items())
        yield problem(
            f"{len(labels):,} is the sum of no rule (F, 16·⌊F/16⌋, 16·⌈F/16⌉) over the test videos of {known}: the "
            "array follows other features' snippet counts (16·T); take a dictionary by name, or those features' lengths"
        )
        return
    name, rule = explained[0]
    yield ok(f"{len(labels):,} = sum of {rule} over {name}'s {len(tables[name])} test videos")
    yield from _offsets(labels, name, rule, tables[name], label_list)


def _short_of_floor(total: int, entries: Sequence[Entry]) -> str | None:
    """Last snippets missing where the frame count divides by 16, as extractors that are off by one leave it."""
    frames = [entry.num_frames for entry in entries]
    if not frames or None in frames:
        return None
    counts = np.array(frames)
    missing, rest = divmod(int((counts // 16 * 16).sum()) - total, 16)
    whole = int((counts % 16 == 0).sum())
    if rest or not 0 < missing <= whole:
        return None
    return f"16·⌊F/16⌋ less {missing} last snippets ({whole} videos have a frame count that divides by 16)"


def _offsets(
    labels: np.ndarray, name: str, rule: str, entries: Sequence[Entry], label_list: Path | None
) -> Iterator[Finding]:
    """Where each video lies, in the order of the list or in the order that fits best."""
    by_id = {entry.id: entry for entry in entries}
    if label_list is not None:
        listed = ground_truth.read_list(label_list)
        matched = names.match(listed, by_id, str(label_list))
        if len(matched) < len(listed):
            yield problem(f"{label_list}: not in {name}: {names.some(set(listed) - set(matched))}")
            return
        orders = {label_list.name: [by_id[matched[line]] for line in listed]}
    else:
        ordered = sorted(entries, key=lambda entry: entry.id)
        orders = {
            "the order of names": ordered,
            "anomalous videos first": sorted(ordered, key=lambda entry: -entry.label),
            "normal videos first": sorted(ordered, key=lambda entry: entry.label),
        }
    tried = {}
    for order, videos in orders.items():
        try:
            _, spans = ground_truth.explain(len(labels), {v.id: (v.num_frames, None) for v in videos}, name)
        except ValueError:
            continue
        right = sum(_fits(labels[start:stop], v) for v, (start, stop) in zip(videos, spans, strict=True))
        tried[order] = (right, videos, spans)
    if not tried:
        yield problem(
            f"which videos lack a snippet the array does not say: offsets need a dictionary or {name}'s features"
        )
        return
    order, (right, videos, spans) = max(tried.items(), key=lambda item: item[1][0])
    level = ok if right > 0.9 * len(videos) else problem
    yield level(f"in {order}, {right} of {len(videos)} videos have the intervals of the annotation (to 16 frames)")
    if level is problem:
        yield ok("the array lies in another order: give the list it was made with (--label_list)")
        return
    yield from _intervals({v.id: labels[s:e] for v, (s, e) in zip(videos, spans, strict=True)}, by_id)
    for video, (start, stop) in zip(videos, spans, strict=True):
        yield ok(f"{start:>9,} to {stop:>9,}  {int(labels[start:stop].sum()):>6,} anomalous  {video.id}")


def _lengths(lengths: Mapping[str, int], facts: Mapping[str, Entry]) -> Iterator[Finding]:
    rules = {"F": lambda f: f, "16·⌊F/16⌋": lambda f: f // 16 * 16, "16·⌈F/16⌉": lambda f: -(-f // 16) * 16}
    known = {id: (n, facts[id].num_frames) for id, n in lengths.items() if facts[id].num_frames is not None}
    if not known:
        yield ok("no frame count is known to hold the lengths against")
        return
    found: Counter[str] = Counter()
    off = {}
    for id, (n, frames) in known.items():
        fitting = [rule for rule, of in rules.items() if of(frames) == n]
        found[fitting[0] if fitting else f"{n - (frames or 0):+d} frames"] += 1
        if abs(n - (frames or 0)) > 16:
            off[id] = (n, frames)
    yield ok("lengths: " + ", ".join(f"{rule}: {count} videos" for rule, count in found.most_common(8)))
    if off:
        id, (n, frames) = next(iter(off.items()))
        yield problem(f"{len(off)} videos are over a snippet off, such as {id}: {n:,} labels, {frames:,} frames")


def _intervals(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Entry]) -> Iterator[Finding]:
    wrong, stray = ground_truth.contradictions(arrays, {id for id in arrays if facts[id].label == 0})
    if wrong:
        yield problem(f"{len(wrong)} normal videos hold anomalous frames: {names.some(wrong)}")
    if stray:
        places = Counter(int(np.flatnonzero(arrays[id])[0]) - len(arrays[id]) for id in stray)
        where = ", ".join(f"index F − {-k}: {n}" for k, n in places.most_common(3))
        yield problem(f"{len(stray)} normal videos hold a stray anomalous frame ({where}): {names.some(stray)}")
    empty = [id for id, x in arrays.items() if facts[id].label == 1 and not x.any()]
    if empty:
        yield problem(f"{len(empty)} anomalous videos have no anomalous frame: {names.some(empty)}")
    shifts: Counter[tuple[int, int]] = Counter()
    other = []
    for id, x in arrays.items():
        if facts[id].label != 1 or not facts[id].intervals or not x.any():
            continue
        wanted, runs = _runs(facts[id], len(x)), datasets.intervals_from_labels(x)
        if len(wanted) != len(runs):
            other.append(id)
            continue
        steps = {(s - a, e - b) for (a, b), (s, e) in zip(wanted, runs, strict=True)}
        shifts.update(steps)
        if any(abs(k) > 16 for step in steps for k in step):
            other.append(id)
    if shifts:
        usual = ", ".join(f"start {s:+d}, end {e:+d}: {n}" for (s, e), n in shifts.most_common(3))
        yield ok(f"intervals against the annotation, cut at the array's end: {usual}")
    if other:
        yield problem(f"{len(other)} videos have other intervals than the annotation: {names.some(other)}")


def _fits(labels: np.ndarray, entry: Entry) -> bool:
    """Whether labels are those of the annotation to a snippet."""
    if entry.intervals is None:
        return True
    wanted, runs = _runs(entry, len(labels)), datasets.intervals_from_labels(labels)
    return len(wanted) == len(runs) and all(
        abs(a - s) <= 16 and abs(b - e) <= 16 for (a, b), (s, e) in zip(wanted, runs, strict=True)
    )


def _runs(entry: Entry, length: int) -> tuple[tuple[int, int], ...]:
    """The annotated runs within an array; intervals that touch are one, as in an array."""
    labels = np.zeros(length, np.int8)
    for start, end in entry.intervals or ():
        labels[start:end] = 1
    return datasets.intervals_from_labels(labels)


def _matched(name: str, labels: Mapping[str, np.ndarray]) -> dict[str, str]:
    try:
        return names.match(datasets.facts(name), labels, name)
    except ValueError:
        return {}


def _tests(name: str) -> list[Entry]:
    return [entry for entry in datasets.facts(name).values() if entry.split == "test"]
