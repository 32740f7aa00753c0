"""The same plots as SVG text inside a page: sharp at any width, in the page's own colours, light or dark."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num

from gvvad_jax.reports import plots

WIDTH, HEIGHT = 1000, 120  # units of the drawing, which stretches to the page


def curve(
    scores: Num[np.ndarray, " frames"],
    intervals: Sequence[tuple[int, int]] | None = (),
    threshold: float | int | None = None,
    name: str = "",
) -> str:
    """Score over frames, y from 0 to 1, anomalous intervals shaded; the text of axes is the page's."""
    num_frames = max(1, len(scores))
    x, y = plots.steps(scores, limit=700)
    points = [
        (_short(a / num_frames * WIDTH), _short((1 - min(max(b, 0.0), 1.0)) * HEIGHT))
        for a, b in zip(x, y, strict=True)
    ]
    path = _path(points)
    shades = "".join(
        f'<rect class="shade" x="{_short(s / num_frames * WIDTH)}" y="0" '
        f'width="{_short(max(2.0, (e - s) / num_frames * WIDTH))}" height="{HEIGHT}"/>'
        for s, e in intervals or ()
    )
    lines = "".join(f'<path class="grid" d="M0 {_short(v * HEIGHT)}H{WIDTH}"/>' for v in (0, 0.5, 1))
    if threshold is not None:
        lines += f'<path class="threshold" d="M0 {_short((1 - threshold) * HEIGHT)}H{WIDTH}"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{_escaped(name)}">'
        f'{shades}{lines}<path class="area" d="{path}V{HEIGHT}H0Z"/><path class="line" d="{path}"/></svg>'
    )


def roc(lines: Mapping[str, Float[np.ndarray, "points xy"]]) -> str:
    """ROC curves in a square, the first one emphasised."""
    drawn = []
    for number, points in enumerate(lines.values()):
        at = [(_short(float(x) * 300), _short(300 - float(y) * 300)) for x, y in points]
        path = "M" + "L".join(f"{a} {b}" for a, b in at)
        drawn.append(f'<path class="{"line" if number == 0 else f"other other{number}"}" d="{path}"/>')
    grid = "".join(f'<path class="grid" d="M0 {v}H300M{v} 0V300"/>' for v in (0, 75, 150, 225, 300))
    return (
        '<svg class="roc" viewBox="-2 -2 304 304" role="img" aria-label="ROC curves">'
        f'{grid}<path class="chance" d="M0 300L300 0"/>{"".join(reversed(drawn))}</svg>'
    )


def histogram(
    kept: Num[np.ndarray, " n"],
    dropped: Num[np.ndarray, " m"],
    limit: float | int | None = None,
    ends: tuple[float, float] = (0.0, 1.0),
    name: str = "",
    bins: int = 32,
) -> str:
    """Bars of kept items with dropped ones on top of them, and a dashed line at the limit.

    Heights are square roots of counts, so that few items among hundreds still show.
    """
    edges = np.linspace(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1, bins + 1)
    below, above = (np.histogram(np.clip(values, *edges[[0, -1]]), edges)[0] for values in (kept, dropped))
    scale, width = HEIGHT / np.sqrt(max(1, int((below + above).max()))), WIDTH / bins
    bars = []
    for number, (low, more) in enumerate(zip(below.tolist(), above.tolist(), strict=True)):
        full, part = np.sqrt(low + more) * scale, np.sqrt(low + more) * scale * low / max(1, low + more)
        for kind, top, tall in (("kept", part, part), ("dropped", full, full - part)):
            if tall:
                bars.append(
                    f'<rect class="{kind}" x="{_short(number * width)}" y="{_short(HEIGHT - top)}" '
                    f'width="{_short(width - 3)}" height="{_short(tall)}"/>'
                )
    line = ""
    if limit is not None:
        line = (
            f'<path class="threshold" d="M{_short((limit - edges[0]) / (edges[-1] - edges[0]) * WIDTH)} 0V{HEIGHT}"/>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{_escaped(name)}">'
        f"{''.join(bars)}{line}</svg>"
    )


def _path(points: list[tuple[str, str]]) -> str:
    """Moves along one axis at a time, as steps do, and says each coordinate once."""
    words, (x, y) = [f"M{points[0][0]} {points[0][1]}"], points[0]
    for a, b in points[1:]:
        if a != x and b != y:
            words.append(f"L{a} {b}")
        elif a != x:
            words.append(f"H{a}")
        elif b != y:
            words.append(f"V{b}")
        x, y = a, b
    return "".join(words)


def _short(value: float | int) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
