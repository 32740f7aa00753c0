"""What a stage would cost, in words: rates of a laptop's two cores (docs/benchmarks.md), so orders of magnitude."""

from typing import Any

DRAWN = 250  # frames a second
IMAGES = 70  # pictures a second through EfficientNet-Lite0, motion blocks included
CLIPS = 6  # a second through the filter
SENTENCES = 150  # a second
STEPS = {"linear": 40.0, "rtfm": 2.0, "tevad": 1.0, "lap": 1.0}  # a second, published widths
TOKENS = 900  # asked and answered for a pair of descriptions


def time(seconds: float | int) -> str:
    """Seconds as a reader says them."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def describing(pairs: int, describer: str, model: str) -> str:
    """Of descriptions."""
    if describer == "template":
        return f"{pairs} pairs, free"
    return f"{pairs} requests to {model}, some {TOKENS * pairs:,} tokens (answers that are kept cost nothing)"


def drawing(clips: int, frames: int) -> str:
    """Of drawn clips."""
    return f"{clips:,} clips of {frames} frames, {time(clips * frames / DRAWN)}"


def extraction(videos: int, frames: int | None, crops: int, snippet: int = 16) -> str:
    """Of features; `frames` of all videos together, None where no one knows before they are decoded."""
    if frames is None:
        return (
            f"{videos:,} videos of unknown length, {crops / snippet / IMAGES * 25 * 3600:,.0f} s an hour at 25 a second"
        )
    return f"{videos:,} videos, {frames:,} frames, {time(frames / snippet * crops / IMAGES)}"


def captions(videos: int, frames: int, snippet: int = 16) -> str:
    """Of sentence vectors."""
    return f"{videos:,} videos, {time(frames / snippet / SENTENCES)}"


def filtering(clips: int) -> str:
    """Of a selection."""
    return f"{clips:,} clips, {time(clips / CLIPS)}"


def training(detector: str, steps: int, seeds: int) -> str:
    """Of both runs."""
    rate: Any = STEPS.get(detector, 1.0)
    return f"twice {steps:,} steps, {seeds} seed{'s' if seeds > 1 else ''}, at most {time(2 * seeds * steps / rate)}"
