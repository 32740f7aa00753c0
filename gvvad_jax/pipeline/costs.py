"""What a stage would cost, in words: rates measured on two cores (docs/benchmarks.md), so orders of magnitude."""

DRAWN = 400  # frames a second
FRAMES = 350  # decoded a second, motion blocks included
IMAGES = 70  # pictures a second through EfficientNet-Lite0
CLIPS = 6  # a second through the filter
TOKENS = 500  # asked and answered for a pair of descriptions, at four letters a token
# A segment of a crop in a training step, at 768 columns a branch (linear: Ped2's 48); compilation comes on top.
SECONDS = {"linear": 8e-6, "rtfm": 1.9e-4, "tevad": 2.8e-4, "lap": 2.8e-4}


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


def generating(clips: int, generator: str, frames: int | None, steps: int | None) -> str:
    """Of clips by any generator."""
    if generator == "scenes" and frames:
        return drawing(clips, frames)
    if generator == "cogvideox":
        count = f"{clips:,} clips" + (f" of {steps} steps" if steps else "")
        return f"{count}, each minutes on an accelerator (tools/plan.py --stage=generate) and hours on a CPU"
    return f"{clips:,} clips"


def extraction(videos: int, frames: int | None, crops: int, snippet: int = 16) -> str:
    """Of features; `frames` of all videos together, None where no one knows before they are decoded."""
    each = 1 / FRAMES + crops / snippet / IMAGES
    if frames is None:
        return f"{videos:,} videos of unknown length, {time(25 * 3600 * each)} for an hour at 25 frames a second"
    return f"{videos:,} videos, {frames:,} frames, {time(frames * each)}"


def filtering(clips: int) -> str:
    """Of a selection."""
    return f"{clips:,} clips, {time(clips / CLIPS)}"


def training(detector: str, steps: int, seeds: int, rows: int) -> str:
    """Of both runs; `rows`: segments of all crops of all videos of a batch."""
    runs = f"twice {steps:,} steps, {seeds} seed{'s' if seeds > 1 else ''}"
    return f"{runs}, {time(2 * seeds * steps * rows * SECONDS[detector])}" if detector in SECONDS else runs
