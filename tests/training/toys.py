"""Tiny made-up feature sets and a small run, for tests that train."""

from pathlib import Path
from typing import Any

import numpy as np

from configs import base
from gvvad_jax import records
from gvvad_jax.batch import Batch
from gvvad_jax.features import prompts

WIDTH, CROPS, TEXT = 16, 2, 6


def write_set(path: Path, *, test: bool = True, synthetic: bool = True, seed: int = 0, dataset: str = "toy") -> Path:
    """Normal videos are noise; in anomalous ones a few snippets of column 0 stand out."""
    rng = np.random.default_rng(seed)
    plan = [("train", label, 0, i) for label in (0, 1) for i in range(6)]
    plan += [("train", label, 1, i) for label in (0, 1) for i in range(2)] if synthetic else []
    plan += [("test", label, 0, i) for label in (0, 1) for i in range(4)] if test else []
    with records.writer(path, kind="feature", shards=2) as writer:
        for split, label, generated, number in plan:
            snippets = int(rng.integers(5, 12))
            visual = rng.normal(size=(snippets, CROPS, WIDTH)).astype(np.float32)
            start = int(rng.integers(0, snippets - 3))
            if label:
                visual[start : start + 3, :, 0] += 3
            writer.add(
                records.Feature(
                    id=f"{split}-{'na'[label]}{'rg'[generated]}{number}",
                    dataset=dataset,
                    split=split,
                    label=label,
                    synthetic=generated,
                    category="jump" if label else "",
                    num_frames=16 * snippets + 5,
                    snippet_frames=16,
                    visual=visual,
                    intervals=[(16 * start, 16 * start + 48)] if label else [],
                    baselines=np.abs(visual[:, 0, :1]),
                    baseline_names=("frame_difference",),
                    encoder={"name": "toy"},
                )
            )
    return path


POOLER = {"pooling": "pooler", "weights_sha256": "1" * 64}


def write_text(
    path: Path, features: Path, *, without: Any = (), encoder: str = "toy", more: int = 1, width: int = TEXT
) -> Path:
    """Sentence vectors of a set's videos, `more` than they have snippets; `without`: ids that get none."""
    rng = np.random.default_rng(1)
    with records.writer(path, kind="text") as writer:
        for row in records.reader(features).rows:
            if row["id"] not in without:
                vectors = rng.normal(size=(row["num_snippets"] + more, width)).astype(np.float32)
                writer.add(records.Text(id=row["id"], vectors=vectors, sentence_encoder=POOLER | {"name": encoder}))
    return path


def write_bank(path: Path, width: int = TEXT, encoder: str = "toy", **identity: Any) -> Path:
    """Three prompt vectors."""
    vectors = np.random.default_rng(2).normal(size=(3, width))
    prompts.write_bank(
        path, vectors, ("a fall", "a fight", "a fire"), identity | {"name": encoder} if encoder else None
    )
    return path


def config(features: Path | str, **changes: Any) -> Any:
    """A linear detector for twelve steps; `changes` by dotted name with `__` for the dot."""
    c = base.get_config()
    c.detector, c.steps, c.batch = "linear", 12, 4
    c.data.features, c.data.segments = str(features), 8
    c.optimizer.learning_rate = 0.02
    c.eval.every, c.checkpoint.every = 4, 4
    for name, value in changes.items():
        *path, last = name.split("__")
        place = c
        for part in path:
            place = place[part]
        place[last] = value
    return c


def batch(pairs: int, crops: int, segments: int, width: int) -> Batch:
    """Random pairs, every third video synthetic."""
    rng = np.random.default_rng(0)
    shape = (2, pairs)
    index = np.arange(2 * pairs, dtype=np.int32).reshape(shape)
    return Batch(
        visual=rng.normal(size=(*shape, crops, segments, width)).astype(np.float32),
        text=None,
        mask=np.ones((*shape, segments), bool),
        text_mask=None,
        label=np.repeat(np.arange(2, dtype=np.int32)[:, None], pairs, 1),
        category=np.zeros(shape, np.int32),
        synthetic=(index % 3 == 0).astype(np.int32),
        index=index,
    )
