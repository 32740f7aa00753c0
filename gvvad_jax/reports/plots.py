"""PNG plots: a video's score over its frames with the anomalous intervals shaded, and ROC curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Num

LINE, SHADE, INK, GRID = "#1f5fa8", "#e2574c", "#3d434b", "#dfe3e8"
STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
}
Intervals = Sequence[tuple[int, int]]


class Curves:
    """Draws many curves on one figure: a video costs a quarter of what a figure of its own does."""

    def __init__(self, size: tuple[float, float] = (9.0, 2.3), dpi: int = 100):
        with _style():
            self.figure = _figure(size, dpi)
            self.axes = self.figure.subplots()
            self.figure.subplots_adjust(left=0.065, right=0.975, bottom=0.22, top=0.86)
            self.axes.set(ylim=(0, 1), ylabel="anomaly score", xlabel="frame")
            self.axes.set_yticks([0, 0.5, 1])
            self.axes.set_axisbelow(True)
            (self.line,) = self.axes.plot([], [], color=LINE, linewidth=1.4, clip_on=False)
        self.spans: list[Any] = []

    def draw(
        self,
        path: str | Path,
        scores: Num[np.ndarray, " frames"],
        intervals: Intervals | None = (),
        title: str = "",
        fps: float | int | None = None,
        threshold: float | int | None = None,
    ) -> None:
        """Writes one curve; y is always 0 to 1, so that pictures compare. `fps` adds seconds to the axis label."""
        for artist in self.spans:
            artist.remove()
        self.spans = [
            self.axes.axvspan(s, e, color=SHADE, alpha=0.22, linewidth=0, label=None) for s, e in intervals or ()
        ]
        if threshold is not None:
            self.spans.append(self.axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 3))))
        x, y = steps(scores)
        self.line.set_data(x, y)
        self.axes.set_xlim(0, max(1, len(scores)))
        seconds = f" (video of {len(scores) / fps:.1f} s at {fps:g} frames/s)" if fps else ""
        self.axes.set_xlabel(f"frame{seconds}", color=INK)
        self.axes.set_title(_shortened(title), loc="left", color=INK)
        self.figure.savefig(path, pil_kwargs={"compress_level": 4})


def curve(
    path: str | Path, scores: Num[np.ndarray, " frames"], intervals: Intervals | None = (), **options: Any
) -> None:
    """One curve as PNG; options as in `Curves.draw`."""
    Curves().draw(path, scores, intervals, **options)


def roc(path: str | Path, lines: Mapping[str, Float[np.ndarray, "points xy"]]) -> None:
    """ROC curves by name, the first one emphasised."""
    with _style():
        figure = _figure((4.6, 4.6), dpi=120, layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
        for number, (name, points) in enumerate(lines.items()):
            strong = number == 0
            axes.plot(
                *points.T,
                color=LINE if strong else INK,
                alpha=1 if strong else 0.45,
                linewidth=2 if strong else 1.1,
                linestyle="-" if strong else (0, (4, 2)),
                label=name,
            )
        axes.set(
            xlim=(0, 1), ylim=(0, 1.005), aspect="equal", xlabel="false positive rate", ylabel="true positive rate"
        )
        axes.legend(loc="lower right", frameon=False, labelcolor=INK)
        figure.savefig(path)


def steps(values: Num[np.ndarray, " n"], limit: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the step curve through per-frame values; above `limit` runs, the extremes of equal stretches.

    Without values (a tail policy may leave a short video no frame) it is the one point 0, 0.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return np.zeros(1), np.zeros(1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    if len(starts) <= limit:
        edges = np.append(starts, len(values))
        return np.repeat(edges, 2)[1:-1], np.repeat(values[starts], 2)
    edges = np.linspace(0, len(values), limit // 2 + 1).astype(int)
    extremes = np.stack([ufunc.reduceat(values, edges[:-1]) for ufunc in (np.maximum, np.minimum)], axis=1)
    return np.repeat(edges, 2)[1:-1], extremes.ravel()


def _style() -> Any:
    import matplotlib  # half a second, which programs that draw nothing should not wait

    return matplotlib.rc_context(STYLE)


def _figure(size: tuple[float, float], dpi: int, layout: Any = None) -> Any:
    """A figure apart from pyplot, whose backend and windows belong to whoever imports us."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=dpi, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _shortened(title: str, limit: int = 110) -> str:
    title = title.replace("$", r"\$")
    return title if len(title) <= limit else f"{title[: limit - 1]}…"
