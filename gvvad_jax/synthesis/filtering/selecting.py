"""From a video set to a selection and its page: decode, measure, compare, choose, explain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax import program, records
from gvvad_jax.synthesis.filtering import agreement, clips, gap, likeness, measures, report, rule
from gvvad_jax.video import decode


@dataclass(frozen=True)
class Summary:
    """What a selection came to; `failed` are the clips whose file could not be read."""

    rows: Sequence[dict[str, Any]]
    gap: dict[str, dict[str, Any]]
    notes: Sequence[str]
    failed: Sequence[tuple[str, str]]
    out: Path

    @property
    def lines(self) -> list[str]:
        """What a program prints."""
        lines = []
        for label, name in {**rule.CLASSES, -1: "unlabelled"}.items():
            own = [row for row in self.rows if row["label"] == label]
            if own:
                kept = sum(row["keep"] for row in own)
                lines.append(f"{name}: {kept} of {len(own)} kept ({kept / len(own):.0%})")
        for name, own in self.gap.items():
            lines.append(
                f"domain gap, {name}: Fréchet {own['frechet']['before']:.4g} to {own['frechet']['after']:.4g}, "
                f"MMD² {own['mmd2']['before']:.4f} to {own['mmd2']['after']:.4f}"
            )
        return [*lines, *(f"note: {note}" for note in self.notes), f"selection: {self.out}, {page_of(self.out)}"]


def page_of(out: Path) -> Path:
    """The page next to a selection."""
    return out.with_suffix(".html")


def select(
    videos: records.Reader,
    out: Path,
    chosen: rule.Rule,
    *,
    features: Sequence[str] = (),
    scores: Path | None = None,
    model: agreement.TextImageModel | None = None,
    still: float = 0.94,
    moving: float = 0.84,
    workers: int = 2,
    make_decoder: Callable[[], decode.Decoder] = decode.Decoder,
) -> Summary:
    """Filters a video set into `out` (.jsonl) and the page next to it (.html).

    A clip whose file cannot be read is dropped and named in the summary; the rest goes on.
    """
    if videos.kind != "video":
        raise ValueError(f"{videos.path} is a {videos.kind} set; --videos names a video set.")
    if not len(videos):
        raise ValueError(f"{videos.path} holds no video; generate some first.")
    for path in features:
        records.reader(path)  # a wrong one is refused before minutes of decoding
    if scores is not None and not scores.is_file():
        raise FileNotFoundError(f"{scores}: no such file; --scores names the scores.npz of a detector.")
    disagreements = agreement.disagreement(videos.rows, scores)
    out.parent.mkdir(parents=True, exist_ok=True)
    facts, found, errors, vectors, thumbnails = [], [], {}, [], {}
    for known, clip in program.progress(clips.read(videos, workers, make_decoder), "filter", len(videos), "clip"):
        facts.append(known)
        if not isinstance(clip, clips.Clip):
            errors[len(facts) - 1] = f"cannot be read: {' '.join(str(clip).split())}"
            found.append(None)
            vectors.append(None)
            continue
        found.append(measures.measure(clip))
        vectors.append(model.encode_images(clip.pictures) if model else None)
        thumbnails[clip.id] = report.thumbnail(clip.pictures)
    rows = _choose(facts, found, vectors, errors, chosen, disagreements, model, still, moving)
    notes = _notes(rows, chosen, scores, model)
    gaps: dict[str, dict[str, Any]] = {}
    if features:
        gaps, more = gap.measure(features, rows)
        notes += more
    report.write(page_of(out), rows, thumbnails, chosen, gaps, notes, str(videos.path))
    records.write_selection(out, rows)
    failed = [(facts[number]["id"], text) for number, text in errors.items()]
    return Summary(rows, gaps, notes, failed, out)


def _choose(
    facts: Sequence[dict[str, Any]],
    found: Sequence[measures.Measures | None],
    vectors: Sequence[Any],
    errors: dict[int, str],
    chosen: rule.Rule,
    disagreements: Sequence[float | None],
    model: agreement.TextImageModel | None,
    still: float,
    moving: float,
) -> list[dict[str, Any]]:
    """Joins every number of each clip and applies the rule."""
    at = [number for number, own in enumerate(found) if own is not None]
    readable = [own for own in found if own is not None]
    repeats: dict[int, list[tuple[int, float]]] = {}
    for earlier, later, like in likeness.duplicates(readable, still, moving):
        repeats.setdefault(at[later], []).append((at[earlier], like))
    # Only clips that nothing else is wrong with may say what a mark looks like.
    sound = [
        not any(chosen.fails(name, value) for name, value in own.numbers.items() if name != "overlay_alone")
        for own in readable
    ]
    group = list(range(len(facts)))  # a clip's first likeness in the set stands for it
    for number, earlier in sorted(repeats.items()):
        group[number] = min(group[first] for first, _ in earlier)
    marks = likeness.shared_overlay(readable, np.array(sound, bool), np.array(group, int)[at])
    shared = dict(zip(at, marks.tolist(), strict=True))
    events = agreement.event(facts, vectors, model)
    numbers: list[dict[str, float | None] | None] = []
    for number, own in enumerate(found):
        numbers.append(
            None
            if own is None
            else {**own.numbers, "overlay_shared": shared[number], **events[number]}
            | {"disagreement": disagreements[number]}
        )
    return rule.choose(facts, numbers, repeats, chosen, errors)


def _notes(
    rows: Sequence[dict[str, Any]], chosen: rule.Rule, scores: Path | None, model: agreement.TextImageModel | None
) -> list[str]:
    notes = []
    for label, name in rule.CLASSES.items():
        own = [row["keep"] for row in rows if row["label"] == label]
        wanted = chosen.wanted(label, len(own))
        if wanted is not None and sum(own) < wanted:
            notes.append(
                f"{name}: {wanted} of {len(own)} clips were asked for and {sum(own)} are kept, as the others are "
                "frozen, black, burnt out, still, repeated or cannot be read; generate more."
            )
    if model is None:
        notes.append(
            "wrong event: not checked, as there is no text–image model; a kept clip may show something else than its "
            "description says."
        )
    if scores is None:
        notes.append("disagreement with a detector: not checked; --scores names the scores.npz of one.")
    else:
        lacking = sum(row["measures"].get("disagreement") is None for row in rows)
        if lacking:
            notes.append(
                f"disagreement with a detector: not checked for {lacking} clips, which {scores} does not score."
            )
    return notes
