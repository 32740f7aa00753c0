"""One self-contained HTML page: figures, tables, a chart, curves of videos, notes. The template is page.jinja."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np
from jaxtyping import Num

from gvvad_jax import records
from gvvad_jax.reports import vector


@dataclass(frozen=True)
class Figure:
    """A large number with its name, and one line on how to read it."""

    name: str
    value: str
    hint: str = ""


@dataclass(frozen=True)
class Bar:
    """A table cell that also shows its number as a bar from 0 to 1."""

    value: float | int | None
    text: str = ""


@dataclass(frozen=True)
class Link:
    """A table cell that leads to another place of the page or to a file beside it."""

    text: str
    target: str


@dataclass(frozen=True)
class Table:
    """Rows of text, numbers, Bars and Links under a heading; `strong` are the numbers of emphasised rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    text: str = ""
    strong: Sequence[int] = ()


@dataclass(frozen=True, eq=False)
class Curve:
    """A video's scores; `anchor` names its place in the page, `media` a video file that is played over its curve.

    The file must hold the frames of the scores evenly in time: the mark moves by the share of its length.
    """

    id: str
    scores: Num[np.ndarray, " frames"]
    anchor: str
    intervals: Sequence[tuple[int, int]] | None = ()
    caption: str = ""
    tag: str = ""
    anomalous: bool = False
    fps: float | int | None = None
    picture: str = ""
    media: str = ""
    threshold: float | int | None = None

    @property
    def svg(self) -> str:
        """The drawing."""
        return vector.curve(self.scores, self.intervals, self.threshold, f"Score of {self.id} over its frames")

    @property
    def seconds(self) -> float | None:
        """How long the video is, where its frame rate is known."""
        return len(self.scores) / self.fps if self.fps else None


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many kept and dropped items have which value, with the limit between them where there is one."""

    name: str
    kept: Num[np.ndarray, " n"]
    dropped: Num[np.ndarray, " m"]
    limit: float | int | None = None
    text: str = ""

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value drawn."""
        values = [*self.kept, *self.dropped, *([] if self.limit is None else [self.limit])]
        return float(min(values, default=0)), float(max(values, default=1))

    @property
    def low(self) -> str:
        """The text at the left end."""
        return f"{round(self.range[0], 3):.3g}"

    @property
    def high(self) -> str:
        """The text at the right end."""
        return f"{round(self.range[1], 3):.3g}"

    @property
    def svg(self) -> str:
        """The drawing."""
        return vector.histogram(self.kept, self.dropped, self.limit, self.range, f"Histogram of {self.name}")


@dataclass(frozen=True)
class Card:
    """One item of a gallery; `picture` is a file beside the page or a data URI."""

    title: str
    picture: str = ""
    tag: str = ""
    anomalous: bool = False
    text: str = ""
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Gallery:
    """Cards under a heading."""

    title: str
    cards: Sequence[Card]
    text: str = ""


@dataclass(frozen=True, eq=False)
class Page:
    """What a page shows, top to bottom."""

    title: str
    subtitle: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    histograms: Sequence[Histogram] = ()
    histograms_title: str = "Measures"
    histograms_text: str = ""
    galleries: Sequence[Gallery] = ()
    roc: Mapping[str, Any] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    curves_title: str = "Every video"
    curves_text: str = ""
    notes: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def render(page: Page) -> str:
    """The page as text; everything that comes from data is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = _breakable
    environment.tests["bar"] = lambda cell: isinstance(cell, Bar)
    environment.tests["link"] = lambda cell: isinstance(cell, Link)
    chart = vector.roc({name: points for name, points in page.roc.items()}) if page.roc else ""
    return environment.get_template("page.jinja").render(page=page, roc=chart)


def _breakable(text: str) -> markupsafe.Markup:
    """Lets a browser break a long id after `_` and `/`."""
    return markupsafe.Markup(re.sub(r"([_/])(?=\w)", r"\1<wbr>", str(markupsafe.escape(text))))


def write(path: str | Path, page: Page) -> None:
    """Writes the page, whole or not at all."""
    with records.atomic_write(path) as file:
        file.write(render(page).encode())
