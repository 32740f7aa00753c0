"""What an evaluation leaves in a folder: scores.npz, curves/, roc.png, report.html, summary.json."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax import records
from gvvad_jax.evaluation import report
from gvvad_jax.evaluation.videos import TestVideo


def write(
    folder: str | Path, videos: Sequence[TestVideo], metrics: Mapping[str, Any] | None, summary: Mapping[str, Any]
) -> None:
    """Writes all of it; `metrics` are the headline's figures (None: no frame metrics). summary.json comes last."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(folder / "scores.npz", videos)
    report.write(folder, videos, metrics, summary)
    write_summary(folder / "summary.json", summary)


def write_scores(path: Path, videos: Sequence[TestVideo]) -> None:
    """`scores/<id>` float32 a frame, `labels/<id>` int8 where known, `crops/<id>` int16 a snippet where C > 1."""
    arrays: dict[str, np.ndarray] = {}
    for video in videos:
        arrays[f"scores/{video.id}"] = np.asarray(video.scores, np.float32)
        if video.labels is not None:
            arrays[f"labels/{video.id}"] = np.asarray(video.labels, np.int8)
        if video.crops is not None:
            arrays[f"crops/{video.id}"] = np.asarray(video.crops, np.int16)
    with records.atomic_write(path) as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """JSON of plain numbers; NaN and infinity become null, which every reader understands."""
    with records.atomic_write(path) as file:
        file.write((json.dumps(plain(summary), indent=2, ensure_ascii=False) + "\n").encode())


def plain(value: Any) -> Any:
    """The value with NumPy scalars, tuples and mappings as what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
