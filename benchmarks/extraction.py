"""Extraction from files beside its encoder alone: is decoding hidden behind compute?

  python benchmarks/extraction.py [--model=base32] [--videos=4] [--repeats=5]

CLIP's image tower with random weights, one middle frame a snippet of 16, over made-up 320x240 videos. The encoder alone
gets as many crops, already cut, in one call.
"""

import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx

from gvvad_jax import datasets, program
from gvvad_jax.features import encoders, extraction, video
from gvvad_jax.models import clip
from gvvad_jax.video import encode

SIZES = {  # width, layers, heads, inner, patch, projection of the published image towers
    "base32": (768, 12, 12, 3072, 32, 512),
    "base16": (768, 12, 12, 3072, 16, 512),
    "large": (1024, 24, 16, 4096, 14, 768),
}
MODEL = flags.DEFINE_enum("model", "base32", list(SIZES), "Which published size.")
VIDEOS = flags.DEFINE_integer("videos", 4, "Videos of 20 snippets.", 1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed runs of each after one to warm up.", 1)
SNIPPETS = 20


def main(argv: list[str]) -> int:
    """Prints both rates and their ratio."""
    del argv
    encoders.use_all_cores()
    encoder, random = _encoder(), np.random.default_rng(0)
    count = SNIPPETS * (VIDEOS.value or 1)
    crops = random.integers(0, 256, (count, encoder.size, encoder.size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(VIDEOS.value or 1):
            still = np.repeat(np.repeat(random.integers(0, 256, (60, 80, 3), dtype=np.uint8), 4, 0), 4, 1)
            frames = np.stack([np.roll(still, 3 * t, 1) for t in range(16 * SNIPPETS)])
            encode.mp4(frames, 30, Path(folder) / f"{i}.mp4")
        entries = datasets.entries("folder", folder)
        encoder(crops[: encoder.batch])
        seconds: dict[str, list[float]] = {"encoder alone": [], "extraction": []}
        for i in range(REPEATS.value or 1):
            start = time.perf_counter()
            encoder(crops)
            seconds["encoder alone"].append(time.perf_counter() - start)
            start = time.perf_counter()
            extraction.extract(entries, encoder, video.Options(), Path(folder) / f"set{i}")
            seconds["extraction"].append(time.perf_counter() - start)
    for name, found in seconds.items():
        rates = [count / s for s in found]
        print(f"{name:16}{statistics.median(rates):8.2f} images/s ({min(rates):.2f} to {max(rates):.2f})")
    ratio = statistics.median(seconds["encoder alone"]) / statistics.median(seconds["extraction"])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "av"))
    print(f"ratio {ratio:.2f}; CLIP {MODEL.value}, {jax.devices()[0].device_kind} x {len(jax.devices())}; {versions}")
    return 0


def _encoder() -> encoders.Sharded:
    width, layers, heads, inner, patch, projection = SIZES[MODEL.value or "base32"]
    tower = clip.Tower(width, inner, layers, heads, 1e-5, "quick_gelu")
    text = clip.Tower(64, 64, 1, 1, 1e-5, "quick_gelu")
    model = clip.Clip(clip.Config(tower, text, projection, 224, patch, 100, 77, 99))
    graph, state = nnx.split(model)
    random = np.random.default_rng(0)
    state = jax.tree.map(lambda x: jnp.asarray(random.normal(0, 0.02, x.shape), x.dtype), state)
    pixels = jnp.asarray(clip.table_of_pixels())
    return encoders.Sharded(
        name="clip",
        size=224,
        width=projection,
        weights_sha256="random",
        preprocessing="CLIP, float32",
        model=nnx.merge(graph, state),
        function=lambda model, images: model.encode_image(clip.looked_up(pixels, images)),
    )


if __name__ == "__main__":
    program.run(main)
