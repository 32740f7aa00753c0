"""A set of records or a data set's raw folder: damage, lengths, labels, leaks between splits."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax import datasets, records
from gvvad_jax.doctor.finding import Finding, ok, problem
from gvvad_jax.evaluation import names
from gvvad_jax.records import inspection

Groups = dict[str, list[str]]


def inspect(path: Path) -> Iterator[Finding]:
    """Every byte of a set, then what its records say."""
    problems = inspection.check(path)
    yield from map(problem, problems)
    try:
        reader = records.reader(path)
    except (ValueError, OSError) as error:
        if not problems:
            yield problem(str(error))
        return
    if not problems:
        yield ok(f"{path}: {len(reader)} {reader.kind} records, every checksum right")
    yield from _counts(path, reader)
    if reader.kind == "feature":
        yield from _features(path, reader)
    elif reader.kind == "text":
        yield from _finite(path, reader, "vectors")


def inspect_dataset(name: str, root: Path) -> Iterator[Finding]:
    """A data set's raw folder: what is missing, how many of each class, empty files, annotations to be doubted."""
    known = datasets.facts(name)
    try:
        entries = datasets.entries(name, root, skip_missing=True)
    except (ValueError, OSError) as error:
        yield problem(str(error))
        return
    missing = set(known) - {entry.id for entry in entries}
    if missing:
        yield problem(f"{root}: {len(missing)} of {name}'s {len(known)} videos are missing: {names.some(missing)}")
    counts = Counter((entry.split, entry.label) for entry in entries)
    said = ", ".join(f"{split} {_label(label)} {n}" for (split, label), n in sorted(counts.items()))
    yield ok(f"{root}: {len(entries)} videos of {name}: {said}")
    empty = [e.id for e in entries if e.path is not None and e.path.is_file() and not e.path.stat().st_size]
    if empty:
        yield problem(f"{len(empty)} video files are empty: {names.some(empty)}; fetch them again")
    bare = [e.id for e in entries if e.split == "test" and e.label == 1 and not e.intervals]
    if bare:
        yield ok(f"{len(bare)} anomalous test videos have no intervals and stay out of metrics: {names.some(bare)}")
    for note in [note for entry in entries for note in entry.notes][:10]:
        yield ok(note)


def _counts(path: Path, reader: records.Reader) -> Iterator[Finding]:
    if reader.kind == "text":
        return
    counts = Counter((row["split"], row["label"], row["synthetic"]) for row in reader.rows)
    said = ", ".join(
        f"{split} {_label(label)}{' synthetic' if synthetic else ''} {n}"
        for (split, label, synthetic), n in sorted(counts.items())
    )
    yield ok(f"{path}: {said}")
    train = {row["label"] for row in reader.rows if row["split"] == "train"}
    if train and not {0, 1} <= train:
        yield problem(
            f"{path}: training videos are all {_label(train.pop())}; learning needs normal and anomalous ones"
        )


def _features(path: Path, reader: records.Reader) -> Iterator[Finding]:
    """One pass over the records."""
    found: dict[str, list[str]] = {}
    seen: dict[str, list[tuple[str, str]]] = {}
    encoders: Counter[str] = Counter()
    columns: Any = 0
    for record in _readable(reader):
        for what in _doubts(record):
            found.setdefault(what, []).append(record.id)
        digest = hashlib.sha256(np.ascontiguousarray(record.visual).tobytes()).hexdigest()
        seen.setdefault(digest, []).append((record.id, record.split))
        encoders[str(record.encoder.get("name") or "unnamed")] += 1
        columns = np.maximum(columns, np.abs(record.visual).max(axis=(0, 1)))
    for what, ids in sorted(found.items()):
        level = ok if what.startswith("note: ") else problem
        yield level(f"{path}: {what.removeprefix('note: ')}: {len(ids)} videos: {names.some(ids)}")
    for same in seen.values():
        if len(same) > 1:
            splits = " and ".join(sorted({split for _, split in same}))
            leak = len({split for _, split in same}) > 1
            yield (problem if leak else ok)(
                f"{path}: {names.some(id for id, _ in same)} hold the same features, in split {splits}"
                + ("; the test set has been seen in training" if leak else "")
            )
    if len(encoders) > 1:
        yield problem(f"{path}: features of several encoders in one set: {dict(encoders)}; extract them alike")
    if np.ndim(columns) and not np.all(columns):
        yield ok(f"{path}: {int((columns == 0).sum())} of {len(columns)} columns are zero in every video")
    if not found and len(encoders) <= 1:
        yield ok(f"{path}: lengths, labels and values of all videos agree; encoder {next(iter(encoders), 'unnamed')}")


def _readable(reader: records.Reader) -> Iterator[records.Feature]:
    for index in range(len(reader)):
        try:
            yield reader[index]
        except (ValueError, OSError):
            continue  # inspection.check has told of it


def _doubts(record: records.Feature) -> Iterator[str]:
    if not np.isfinite(record.visual).all():
        yield "NaN or infinite features"
        return
    snippets = len(record.visual)
    apart = snippets - record.num_frames / record.snippet_frames if record.snippet_frames else 0
    if abs(apart) > 1:
        yield f"{'more' if apart > 0 else 'fewer'} snippets than frames allow, by over one"
    empty = ~record.visual.any(axis=(1, 2))
    if empty.any():
        yield "whole snippets of zeros"
    if snippets > 2 and np.ptp(record.visual.astype(np.float32), axis=0).max() == 0:
        yield "note: every snippet is the same"
    if record.label == 0 and record.intervals:
        yield "normal, but with anomalous intervals"
    if record.split == "test" and record.label == 1 and not record.intervals:
        yield "note: anomalous test videos without intervals, left out of frame metrics"
    past = max((end for _, end in record.intervals or ()), default=0) - record.num_frames
    if past > record.snippet_frames:
        yield "intervals that end more than a snippet after the video"


def _finite(path: Path, reader: records.Reader, field: str) -> Iterator[Finding]:
    bad = [record.id for record in reader if not np.isfinite(getattr(record, field)).all()]
    if bad:
        yield problem(f"{path}: NaN or infinite {field}: {len(bad)} videos: {names.some(bad)}")


def _label(label: int) -> str:
    return {0: "normal", 1: "anomalous"}.get(label, "unlabelled")
