"""A cheap image encoder, small clips, and bundles trained on nothing, for tests of own clips."""

import numpy as np

from gvvad_jax import detectors
from gvvad_jax.features import encoders
from gvvad_jax.nn.inputs import Columns
from gvvad_jax.video import encode


class Encoder:
    """Means of the picture's quarters, by colour."""

    name, size, width, batch = "quarters", 224, 12, 4

    def __init__(self, sha: str = "abc"):
        self.identity = {"name": self.name, "weights_sha256": sha, "width": self.width, "size": self.size}

    def begin(self, images):
        found = self(images)
        return lambda: found

    def __call__(self, images):
        parts = images.reshape(len(images), 2, 112, 2, 112, 3).mean((2, 4)) / 255
        return parts.reshape(len(images), 12).astype(np.float32)


def use(monkeypatch, sha="abc"):
    monkeypatch.setitem(encoders.ENCODERS, "quarters", lambda weights: Encoder(sha))


def clip(path, num_frames=50, height=60, width=81, seed=0):
    """Noise that grows brighter."""
    random = np.random.default_rng(seed)
    light = np.linspace(20, 200, num_frames)[:, None, None, None]
    frames = light + random.normal(0, 15, (num_frames, height, width, 3))
    encode.mp4(frames.clip(0, 255).astype(np.uint8), fps=12.5, path=path)
    return path


def bundle(path, found, identity, name="linear", text=None, **changes):
    """A bundle whose weights are drawn, for features like `found`."""
    blocks = tuple(Columns(block.name, block.start, block.stop) for block in found.blocks)
    inputs = detectors.Inputs(found.visual.shape[2], text, blocks=blocks)
    detector = detectors.create(name, inputs, seed=1, **changes)
    detector.fit_inputs([found.visual.reshape(-1, found.visual.shape[2]).astype(np.float32)])
    detectors.bundle.save(path, detector, identity, {"trained_on": "nothing", "step": 0})
    return detector
