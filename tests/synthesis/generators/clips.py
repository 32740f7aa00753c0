"""Small clips and their descriptions."""

from pathlib import Path

import numpy as np
from PIL import Image

from gvvad_jax import records
from gvvad_jax.video import encode


def frames(seed=0, count=20, height=33, width=48):
    """Noise that moves, of odd height."""
    return np.random.default_rng(seed).integers(0, 255, (count, height, width, 3), dtype=np.uint8)


def gif(path: Path, images) -> None:
    """A GIF of 10 frames a second."""
    first, *rest = (Image.fromarray(image) for image in images)
    first.save(path, save_all=True, append_images=rest, duration=100, loop=0)


def descriptions(path: Path, *ids: str) -> Path:
    """A table in which ids that begin with `n` are normal."""
    rows = [
        records.Description(
            id=id,
            pair_id=id[1:],
            label=int(id[0] != "n"),
            category="Normal" if id[0] == "n" else "Fire",
            text=f"The text of {id}.",
        )
        for id in ids
    ]
    records.write_descriptions(path, rows)
    return path


def mp4s(root: Path, *ids: str) -> Path:
    """A clip for each id."""
    root.mkdir(exist_ok=True)
    for number, id in enumerate(ids):
        encode.write(root / f"{id}.mp4", frames(number), fps=8)
    return root
