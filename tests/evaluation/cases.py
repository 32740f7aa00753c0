"""Small sets of features and scored videos that the tests of this room share."""

import numpy as np

from gvvad_jax import records
from gvvad_jax.evaluation.videos import TestVideo


def features(path, count=12, crops=3, width=8, seed=0, longest=700, **changes):
    """A set whose odd videos are anomalous in their middle; `changes` are fields of every record."""
    rng = np.random.default_rng(seed)
    with records.writer(path, kind="feature", shards=2) as writer:
        for number in range(count):
            frames = int(rng.integers(20, longest))
            snippets = max(1, frames // 16)
            anomalous = number % 2
            fields = {
                "id": f"v{number:02d}",
                "dataset": "folder",
                "split": "test",
                "label": anomalous,
                "synthetic": 0,
                "num_frames": frames,
                "snippet_frames": 16,
                "visual": rng.normal(size=(snippets, crops, width)).astype(np.float32),
                "category": "Fighting" if anomalous else "Normal",
                "fps": 25.0,
                "intervals": [(frames // 3, frames // 2)] if anomalous else [],
                "baselines": rng.random((snippets, 1)).astype(np.float32),
                "baseline_names": ("frame_difference",),
            }
            writer.add(records.Feature(**(fields | changes)))
    return records.reader(path)


def video(id, scores, labels=None, label=None, category="", **more):
    """A scored video; its label follows from its frames where none is given."""
    scores = np.asarray(scores, np.float32)
    labels = None if labels is None else np.asarray(labels, np.int8)
    if label is None:
        label = -1 if labels is None else int(labels.any())
    return TestVideo(id=id, category=category, label=label, scores=scores, labels=labels, **more)
