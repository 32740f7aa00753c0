"""The page next to a selection: how many were kept, what each measure says, and every dropped clip with its reasons."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gvvad_jax import records
from gvvad_jax.reports import page
from gvvad_jax.synthesis.filtering import gap, rule

SHOWN = 4  # frames a thumbnail
MOST = 120  # cards a gallery
NAMES = {
    "frozen": "frozen: longest unchanging part",
    "activity": "activity: share of the picture that changes",
    "jitter": "jitter, pixels a frame",
    "sharpness": "sharpness",
    "dark": "black frames",
    "burnt": "burnt-out share",
    "overlay_alone": "corner mark: detail that stands out",
    "overlay_shared": "corner mark: likeness to other clips' mark",
    "similarity": "similarity to its description",
    "margin": "margin over the paired description",
    "zero_shot": "probability of its own class",
    "disagreement": "disagreement of a detector",
}


def thumbnail(pictures: UInt8[np.ndarray, "pictures height width 3"]) -> str:
    """A strip of a few of a clip's frames as a data URI."""
    chosen = pictures[np.linspace(0, len(pictures) - 1, SHOWN).round().astype(int)]
    small = [Image.fromarray(picture).resize((144, 108), Image.Resampling.BOX) for picture in chosen]
    memory = io.BytesIO()
    Image.fromarray(np.concatenate([np.asarray(image) for image in small], 1)).save(memory, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(memory.getvalue()).decode()


def write(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    thumbnails: Mapping[str, str],
    chosen: rule.Rule,
    gaps: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
    source: str,
) -> None:
    """Writes the page as one file that loads nothing."""
    kept, dropped = [row for row in rows if row["keep"]], [row for row in rows if not row["keep"]]
    tables = [_checks(rows, chosen)]
    if gaps:
        tables.append(_gap(gaps))
    text = page.render(
        page.Page(
            title="Which generated clips to keep",
            subtitle=f"{len(rows)} clips of {source}, rule: {chosen.name}. Judged by pixels and descriptions alone.",
            figures=_figures(rows),
            tables=tables,
            histograms=_histograms(rows, chosen),
            histograms_text="One number a clip. Heights are square roots of counts, so that single clips show.",
            galleries=[
                _gallery(f"Dropped: {len(dropped)}", dropped, thumbnails),
                _gallery(f"Kept: {len(kept)}", kept, thumbnails),
            ],
            notes=notes,
        )
    )
    with records.atomic_write(path) as file:
        file.write(text.encode())


def _figures(rows: Sequence[Mapping[str, Any]]) -> list[page.Figure]:
    figures = [page.Figure("kept", f"{sum(row['keep'] for row in rows)}", f"of {len(rows)} clips")]
    for label, name in rule.CLASSES.items():
        own = [row for row in rows if row["label"] == label]
        if own:
            share = sum(row["keep"] for row in own) / len(own)
            hint = f"of {len(own)}; GV-VAD's lists keep {rule.PUBLISHED[name]:.0%}"
            figures.append(page.Figure(f"{name} kept", f"{share:.0%}", hint))
    return figures


def _checks(rows: Sequence[Mapping[str, Any]], chosen: rule.Rule) -> page.Table:
    table = []
    for name, check in rule.CHECKS.items():
        states = [row["checks"][name] for row in rows]
        limit = chosen.limit(name)
        bound = "none" if limit is None else f"{'≥' if check.higher_is_better else '≤'} {limit:g}"
        table.append([NAMES[name], bound, *(states.count(s) for s in ("passed", "failed", "not checked"))])
    repeats = sum(row["duplicate_of"] is not None for row in rows)
    table.append(["the same clip as an earlier one", "", len(rows) - repeats, repeats, 0])
    events = [row["wrong_event"] for row in rows]
    table.append(
        ["wrong event (the three that read text)", "", *(events.count(s) for s in ("passed", "failed", "not checked"))]
    )
    return page.Table("Checks", ("check", "limit", "passed", "failed", "not checked"), table, strong=(len(table) - 1,))


def _gap(gaps: Mapping[str, Mapping[str, Any]]) -> page.Table:
    table = [
        [
            name,
            own["real"],
            own["before"],
            own["after"],
            own["components"],
            _with_spread(own["frechet"]["before"], own["frechet"]["spread"]),
        ]
        + [f"{own['frechet']['after']:.3g}", f"{own['mmd2']['before']:.3f}", f"{own['mmd2']['after']:.3f}"]
        for name, own in gaps.items()
    ]
    columns = ("class", "real", "generated", "kept", "components", "Fréchet before", "after", "MMD² before", "after")
    text = (
        "Distance of generated from real clips in the encoder's features. Fréchet: in the first principal components, "
        f"{gap.COMPONENTS} or, where a side has fewer videos, one less than it has; before: mean and spread of "
        "random subsets of as many clips as kept. MMD²: all columns, unbiased, so it may be negative."
    )
    return page.Table("Domain gap", columns, table, text)


def _with_spread(value: float, spread: float) -> str:
    """Rounding's own spread, where every subset is the whole, is none."""
    return f"{value:.3g} ± {spread:.2g}" if spread > 1e-6 * abs(value) else f"{value:.3g}"


def _histograms(rows: Sequence[Mapping[str, Any]], chosen: rule.Rule) -> list[page.Histogram]:
    found = []
    for name in rule.CHECKS:
        values = [
            np.array(
                [row["measures"][name] for row in rows if row["keep"] is keep and row["measures"].get(name) is not None]
            )
            for keep in (True, False)
        ]
        if sum(map(len, values)):
            found.append(page.Histogram(NAMES[name], values[0], values[1], chosen.limit(name)))
    return found


def _gallery(title: str, rows: Sequence[Mapping[str, Any]], thumbnails: Mapping[str, str]) -> page.Gallery:
    cards = [
        page.Card(
            title=row["id"],
            picture=thumbnails.get(row["id"], ""),
            tag=row["category"] or {1: "anomalous", 0: "normal"}.get(row["label"], "unlabelled"),
            anomalous=row["label"] == 1,
            text=row["text"],
            reasons=row["reasons"],
        )
        for row in rows[:MOST]
    ]
    text = f"The first {MOST}; selection.jsonl has all." if len(rows) > MOST else ""
    return page.Gallery(title, cards, text)
