"""The sets a config names → readers of training, validation and test videos, and their text."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax import records
from gvvad_jax.bags.texts import Texts

HELD_OUT = 3  # the random stream of the validation split, beside data_seed


@dataclasses.dataclass(frozen=True)
class Sets:
    """Readers by purpose. `validation` is empty where nothing is held out, `test` None where there is no test video."""

    training: list[Any]
    validation: list[Any]
    test: Any | None
    texts: Texts | None
    notes: list[str]
    digests: dict[str, str]  # path -> SHA-256 of the manifest


def open_sets(
    features: str,
    *,
    text: str | None = None,
    selection: str | None = None,
    test: str | None = None,
    validation: float = 0.0,
    data_seed: int = 0,
) -> Sets:
    """Open what `config.data` names; `features` and `text` are sets separated by commas.

    Test videos: those of `test` (of split test where it has some, else all), or of split test among `features`.
    `validation`: a set's own validation split, or else this share of each class's real training videos.
    """
    if not features:
        raise ValueError(
            "data.features is empty; name a feature set, as tools/extract.py makes (--config.data.features=SET)."
        )
    opened = [_open(path, "feature") for path in _paths(features)]
    _same_encoder(opened)
    training = [_split(reader, "train") for reader in opened]
    training, notes = _selected(training, selection)
    training = [reader for reader in training if len(reader)]
    if not training:
        raise ValueError(f"{features} holds no training videos{' that data.selection keeps' if selection else ''}.")
    held, held_notes = _validation(training, [_split(r, "validation") for r in opened], validation, data_seed)
    names = {row["id"] for reader in held for row in reader.rows}
    training = [reader.select(lambda row: row["id"] not in names) for reader in training]
    chosen, test_notes = _test(opened, test)
    if chosen is not None:
        _same_encoder([*opened, chosen])
    texts = Texts([_open(path, "text") for path in _paths(text)]) if _paths(text) else None
    every = [*opened, *([chosen] if chosen is not None else []), *(texts.readers if texts else [])]
    return Sets(
        training=[reader for reader in training if len(reader)],
        validation=held,
        test=chosen,
        texts=texts,
        notes=[*notes, *held_notes, *test_notes],
        digests={str(reader.path): reader.digest for reader in every},
    )


def open_test(test: str | None, features: str | None = None, text: str | None = None) -> Sets:
    """A set to be scored by a detector that exists: `test`, or the split test of `features`."""
    reader, notes = _test([] if test else [_open(path, "feature") for path in _paths(features)], test)
    if reader is None:
        raise ValueError("there are no test videos to evaluate; name a set by data.test (--config.data.test=SET).")
    texts = Texts([_open(path, "text") for path in _paths(text)]) if _paths(text) else None
    every = [reader, *(texts.readers if texts else [])]
    return Sets([], [], reader, texts, notes, {str(r.path): r.digest for r in every})


def require_encoder(reader: Any, width: int, extraction: Mapping[str, Any], bundle: str) -> None:
    """Refuse features that were not made as a bundle's were."""
    own = reader.manifest
    if own.get("width") != width:
        raise ValueError(f"{reader.path} has {own.get('width')} columns, but {bundle} was trained on {width}.")
    _same_identity(extraction, bundle, own.get("encoder") or {}, str(reader.path))


def _paths(value: str | None) -> list[str]:
    return [path.strip() for path in (value or "").split(",") if path.strip()]


def _open(path: str, kind: str) -> Any:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; a {kind} set is the folder that extraction or import wrote.")
    reader = records.reader(path)
    if reader.kind != kind:
        raise ValueError(f"{path} is a {reader.kind} set, but a {kind} set is needed here.")
    return reader


def _split(reader: Any, split: str) -> Any:
    return reader.select(lambda row: row["split"] == split)


def _selected(training: list[Any], selection: str | None) -> tuple[list[Any], list[str]]:
    """Training videos that a selection keeps. It speaks of real, or of generated, videos of a set if it names any.

    So a filter's selection of clips leaves the real videos alone, and a published list chooses among both.
    """
    if not selection:
        return training, []
    view = records.read_selection(selection)
    named = set(view.named)
    known = {row["id"] for reader in training for row in reader.rows}
    unknown = sorted(named - known)
    if unknown:
        raise ValueError(
            f"{selection} names {len(unknown)} of {len(named)} videos that are no training videos of data.features "
            f"({', '.join(unknown[:5])}{', …' if len(unknown) > 5 else ''}); use the selection made for these sets."
        )
    kept = []
    for reader in training:
        spoken = {row["synthetic"] for row in reader.rows if row["id"] in named}
        kept.append(reader.select(lambda row, spoken=spoken: row["synthetic"] not in spoken or view(row)))
    before, after = sum(map(len, training)), sum(map(len, kept))
    return kept, [f"{selection} keeps {after} of {before} training videos"]


def _validation(training: list[Any], own: list[Any], share: float, data_seed: int) -> tuple[list[Any], list[str]]:
    """Readers of the held-out videos, and what was done."""
    if not 0 <= share < 1:
        raise ValueError(f"data.validation is {share}; give a share of the training videos from 0 up to below 1.")
    if not share:
        return [], ["no validation: data.validation is 0 and all training videos train"]
    own = [reader for reader in own if len(reader)]
    if own:
        count = sum(map(len, own))
        return own, [
            f"validation: the data set's own split, {count} videos (data.validation says only that it is used)"
        ]
    rows = [row for reader in training for row in reader.rows]
    held: set[str] = set()
    for label in (0, 1):
        ids = [row["id"] for row in rows if row["label"] == label and not row["synthetic"]]
        count = max(1, round(share * len(ids))) if ids else 0
        if ids and count >= len(ids):
            raise ValueError(
                f"data.validation={share} holds out all {len(ids)} real videos of label {label}; "
                "lower it or set it to 0."
            )
        drawn = np.random.default_rng([data_seed, HELD_OUT, label]).permutation(len(ids))[:count]
        held |= {ids[i] for i in drawn}
    views = [reader.select(lambda row: row["id"] in held) for reader in training]
    note = f"validation: {len(held)} real training videos held out ({share:g} of each class, data_seed {data_seed})"
    return [view for view in views if len(view)], [note]


def _test(opened: list[Any], test: str | None) -> tuple[Any | None, list[str]]:
    if test:
        paths = _paths(test)
        if len(paths) > 1:
            raise ValueError(f"data.test names {len(paths)} sets ({test}); evaluate one at a time.")
        reader = _open(paths[0], "feature")
        chosen = _split(reader, "test")
        if len(chosen):
            return chosen, []
        return reader, [f"{test} has no split test: all {len(reader)} videos are scored"]
    found = [view for view in (_split(reader, "test") for reader in opened) if len(view)]
    if len(found) > 1:
        names = ", ".join(str(view.path) for view in found)
        raise ValueError(f"{len(found)} sets hold test videos ({names}); name the one to evaluate by data.test.")
    return (found[0], []) if found else (None, ["no test videos: metrics are null"])


def _same_encoder(readers: Sequence[Any]) -> None:
    """Refuse sets whose manifests say that their features were made differently."""
    first = readers[0]
    for other in readers[1:]:
        for key in ("width", "num_crops", "blocks"):
            if first.manifest.get(key) != other.manifest.get(key):
                raise ValueError(
                    f"{other.path} has {key} {other.manifest.get(key)}, but {first.path} {first.manifest.get(key)}; "
                    "extract both in one way."
                )
        _same_identity(
            first.manifest.get("encoder") or {}, str(first.path), other.manifest.get("encoder") or {}, str(other.path)
        )


def _same_identity(mine: Mapping[str, Any], first: str, theirs: Mapping[str, Any], other: str) -> None:
    for key in sorted(mine.keys() & theirs.keys()):
        if mine[key] != theirs[key]:
            raise ValueError(
                f"{other} was extracted with {key} {theirs[key]}, but {first} with {mine[key]}; "
                "extract both in one way."
            )
