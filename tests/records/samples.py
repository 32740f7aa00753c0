"""Records to write, and how two of them are compared: bit for bit."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings

from gvvad_jax import records


def examples(count: int) -> settings:
    """A busy machine is no failure."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


ROOT = Path(__file__).parents[2]


def feature(id: str = "v", snippets: int = 5, crops: int = 2, width: int = 8, **fields: Any) -> records.Feature:
    visual = np.random.default_rng(len(id) + snippets).normal(size=(snippets, crops, width)).astype(np.float16)
    base = dict(id=id, dataset="ucf", split="train", label=1, synthetic=0, num_frames=16 * snippets, snippet_frames=16)
    return records.Feature(**(base | {"visual": visual} | fields))


def video(id: str = "c", **fields: Any) -> records.Video:
    base = dict(
        id=id, label=0, synthetic=1, split="train", num_frames=32, height=48, width=64, video=b"mp4" + id.encode()
    )
    return records.Video(**(base | fields))


def text(id: str = "t", rows: int = 3, **fields: Any) -> records.Text:
    return records.Text(**({"id": id, "vectors": np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)} | fields))


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert isinstance(y, np.ndarray) and (x.dtype, x.shape) == (y.dtype, y.shape), field.name
            assert x.tobytes() == y.tobytes(), field.name
        else:
            assert type(x) is type(y) and x == y, (field.name, x, y)


def folder_bytes(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def write(path: Path, kind: str, items: list[Any], **options: Any) -> Path:
    with records.writer(path, kind, **options) as w:
        for item in items:
            w.add(item)
    return path
