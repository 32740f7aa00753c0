"""Evaluates anyone's scores on a data set: from files to figures, under our annotation or a published ground truth."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax import datasets
from gvvad_jax.evaluation import comparison, figures, ground_truth, names, output, score_files
from gvvad_jax.evaluation import summary as summaries
from gvvad_jax.evaluation.videos import Known, TestVideo, VideoScores, join
from gvvad_jax.video import decode


@dataclass(frozen=True)
class Options:
    """How scores and labels are read; names as the flags of tools/evaluate.py."""

    dataset: str
    root: Path | None = None
    split: str = "test"
    scores_list: Path | None = None  # order of a flat array of scores
    unit: str = "auto"
    tail: str = "exact"
    labels: Path | None = None
    label_list: Path | None = None
    label_padding: str = "zero"
    skip_missing: bool = False


@dataclass(frozen=True)
class Failed:
    """Inputs that could not be used, each with its reason."""

    rows: list[tuple[str, str]]


def evaluate(
    scores: Path,
    options: Options,
    out: Path,
    compare: Path | None = None,
) -> tuple[dict[str, Any], Failed]:
    """Writes what an evaluation leaves into `out`; gives the summary and what could not be used."""
    facts, others, unread = known_videos(options)
    given, notes, failed = load(scores, facts, others, options)
    failed.rows.extend(unread.rows)
    facts = [fact for fact in facts if fact.id in given]
    given, scaled = _unit_range(given)
    notes += [f"{scores.name}: {scaled}"] if scaled else []
    videos, remarks = _joined(facts, given, options)
    metrics: dict[str, Any] = {"given": _figures(videos, bool(scaled))}
    if options.labels:
        try:
            own, _ = _joined(facts, given, dataclasses.replace(options, labels=None))
            metrics["annotation"] = _figures(own, bool(scaled))
        except (
            ValueError
        ) as error:  # scores and labels of the same other lengths, which the annotation knows nothing of
            metrics["annotation"] = None
            remarks.append(f"no figures under this package's annotation: {error}")
    more: dict[str, Any] = {}
    if compare is not None:
        second, compared, missing = load(compare, facts, others, options)
        second, scaled = _unit_range(second)
        notes += compared + ([f"{compare.name}: {scaled}"] if scaled else [])
        failed.rows.extend(row for row in missing.rows if row not in failed.rows)
        rivals, _ = _joined([fact for fact in facts if fact.id in second], second, options)
        more["compare"] = comparison.compare(videos, rivals, scores.name, compare.name)
    summary = summaries.build(
        dataset=options.dataset,
        rule="given",
        metrics=metrics,
        baselines=figures.baselines_of(facts, videos),
        counts={"test": len(videos)},
        inputs={"scores": str(scores)} | ({"compare": str(compare)} if compare else {}),
        labels=_named(options),
        tail=options.tail,
        notes=notes + remarks + ([f"{len(failed.rows)} inputs not used: see errors.jsonl"] if failed.rows else []),
        **more,
    )
    output.write(out, videos, metrics["given"], summary)
    return summary, failed


def known_videos(options: Options) -> tuple[list[Known], set[str], Failed]:
    """The videos to be scored, the ids of the data set's other ones, and videos whose frames could not be counted.

    A raw video whose frame count no table has is decoded to count it.
    """
    name, root = options.dataset, options.root
    if root is not None:
        entries = datasets.entries(name, root, options.skip_missing)
    else:
        entries = list(datasets.facts(name).values())
        if not entries:
            raise ValueError(f"{name} keeps its annotation with the videos; give --root, the folder that holds them.")
    chosen = [entry for entry in entries if options.split in ("all", entry.split)]
    if not chosen:
        splits = ", ".join(sorted({entry.split for entry in entries}))
        raise ValueError(f"{name} has no video of split {options.split} here, only {splits}; give --split.")
    facts, failed = [], Failed([])
    with decode.Decoder() as decoder:
        for entry in sorted(chosen, key=lambda entry: entry.id):
            num_frames, fps = entry.num_frames, entry.fps
            if num_frames is None and entry.path is not None:
                try:
                    info = decoder.probe(entry.path, entry.id)
                    num_frames, fps = info.num_frames, info.fps
                except decode.DecodeError as error:
                    failed.rows.append((entry.id, str(error)))
            facts.append(
                Known(
                    id=entry.id,
                    label=entry.label,
                    category=entry.category,
                    num_frames=num_frames,
                    intervals=entry.intervals,
                    fps=fps,
                    notes=entry.notes,
                )
            )
    return facts, {entry.id for entry in entries} - {fact.id for fact in facts}, failed


def load(
    path: Path, facts: Sequence[Known], others: set[str], options: Options
) -> tuple[dict[str, VideoScores], list[str], Failed]:
    """Scores by id, notes on how they were read, and files that belong to no video of the data set.

    Videos without scores: ValueError that names them, or with `skip_missing` rows of the failed.
    """
    found = score_files.read(path)
    lengths = _lengths(facts, options)
    notes, failed = [], Failed([])
    if isinstance(found, np.ndarray):
        found, note = _split(path, found, lengths, options)
        notes.append(note)
    matched = names.match([fact.id for fact in facts], found, str(path))
    missing = [fact.id for fact in facts if fact.id not in matched]
    if not matched:
        raise ValueError(
            f"{path}: none of its {len(found)} names ({names.some(found, 3)}) is a video of {options.dataset} "
            f"({names.some((fact.id for fact in facts), 3)})."
        )
    if missing and not options.skip_missing:
        raise ValueError(
            f"{path}: {len(missing)} of {len(facts)} {options.split} videos of {options.dataset} have no scores: "
            f"{names.some(missing)}; add them, or pass --skip_missing to evaluate the others."
        )
    failed.rows.extend((id, f"no scores in {path}") for id in missing)
    spare = set(found) - set(matched.values())
    elsewhere = set(names.match(others, spare, str(path)).values())
    if elsewhere:
        notes.append(f"{path.name}: {len(elsewhere)} videos of other splits were left aside")
    unknown = spare - elsewhere
    failed.rows.extend(
        (name, f"{path} has scores of it, but {options.dataset} no such video") for name in sorted(unknown)
    )
    arrays = {id: found[name] for id, name in matched.items()}
    frame, note = score_files.per_frame(arrays, lengths, options.unit)
    notes.append(f"{path.name}: {note}")
    return {id: VideoScores(array, per_frame=frame) for id, array in arrays.items()}, notes, failed


def _lengths(facts: Sequence[Known], options: Options) -> dict[str, int | None]:
    """Frames of every video: of a published dictionary of labels where one is given, else as known."""
    lengths = {fact.id: fact.num_frames for fact in facts}
    if options.labels:
        labels = ground_truth.read(options.labels)
        if isinstance(labels, dict):
            matched = names.match(lengths, labels, str(options.labels))
            lengths |= {id: len(labels[name]) for id, name in matched.items()}
    return lengths


def _split(
    path: Path, flat: np.ndarray, lengths: Mapping[str, int | None], options: Options
) -> tuple[dict[str, np.ndarray], str]:
    if options.scores_list is None:
        raise ValueError(f"{path} is a flat array of {len(flat):,} scores; give the list of its videos with --list.")
    listed = ground_truth.read_list(options.scores_list)
    matched = names.match(listed, lengths, str(options.scores_list))
    unknown = [name for name in listed if name not in matched]
    if unknown:
        raise ValueError(
            f"{options.scores_list}: {len(unknown)} of {len(listed)} lines name no {options.split} video of "
            f"{options.dataset}: {names.some(unknown)}"
        )
    found, rule = score_files.split(flat, listed, {name: lengths[matched[name]] for name in listed}, path)
    return {matched[name]: array for name, array in found.items()}, (
        f"{path.name}: {len(flat):,} scores = sum of {rule} over the {len(listed)} videos of {options.scores_list.name}"
    )


def _joined(
    facts: Sequence[Known], given: Mapping[str, VideoScores], options: Options
) -> tuple[list[TestVideo], list[str]]:
    return join(
        facts,
        given,
        tail=options.tail,
        labels=options.labels,
        label_list=options.label_list,
        label_padding=options.label_padding,
    )


def _unit_range(given: dict[str, VideoScores]) -> tuple[dict[str, VideoScores], str]:
    """Scores of another range moved into 0 to 1 together, which changes no rank, and a note that says so."""
    low = min(float(np.min(v.scores)) for v in given.values())
    high = max(float(np.max(v.scores)) for v in given.values())
    if not np.isfinite([low, high]).all() or (low >= 0 and high <= 1):
        return given, ""  # NaN is refused where scores meet labels
    size = (high - low) or 1.0
    moved = {
        id: dataclasses.replace(v, scores=(np.asarray(v.scores, np.float64) - low) / size) for id, v in given.items()
    }
    return moved, f"scores from {low:.4g} to {high:.4g} were moved to 0 to 1: false alarms at 0.5 have no meaning"


def _figures(videos: Sequence[TestVideo], scaled: bool) -> dict[str, Any] | None:
    found = figures.full_metrics(videos)
    return found | {"far_normal": None} if found and scaled else found


def _named(options: Options) -> dict[str, str] | None:
    if not options.labels:
        return None
    return {"file": str(options.labels), "list": str(options.label_list or ""), "padding": options.label_padding}
