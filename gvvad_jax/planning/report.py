"""A plan as a table, and what it comes to: does every program fit, and how long is a clip at the chips' peaks."""

from collections.abc import Sequence

from gvvad_jax.planning.chips import GIB, Chip
from gvvad_jax.planning.programs import Result

HEAD: tuple[str, ...] = (
    "program",
    "calls",
    "peak GiB",
    "arguments",
    "temporaries",
    "TFLOP",
    "GB moved",
    "least s",
    "XLA's s",
)


def table(results: Sequence[Result], chip: Chip) -> str:
    """A line a program; everything but calls is one chip's share of one call, or of one step where a call has many."""
    lines = [HEAD]
    for r in results:
        peak = f"{r.peak / GIB:.2f}" + ("" if r.fits else " !")
        line = (r.name, str(r.calls * r.steps), peak, f"{r.arguments / GIB:.2f}", f"{r.temporaries / GIB:.2f}")
        line += (f"{r.operations / 1e12:.4g}", f"{r.moved / 1e9:.4g}", f"{r.seconds(chip):.4g}")
        lines.append((*line, "-" if r.estimate is None else f"{r.estimate:.4g}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    text = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    for r in results:
        if r.collectives:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(r.collectives.items()))
            text.append(f"{r.name}: {kinds} (a loop's body counted once)")
    return "\n".join(text)


def total(results: Sequence[Result], chip: Chip) -> float:
    """Seconds of a clip at the peaks."""
    return sum(r.calls * r.steps * r.seconds(chip) for r in results)
