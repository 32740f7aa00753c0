"""The first frames that image-to-video starts from, brought to the video's size as published: by Lanczos."""

from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image


def prepared(image: Any, count: int, height: int, width: int) -> Float32[np.ndarray, "videos height width 3"]:
    """`count` pictures, uint8 [videos, rows, columns, 3] of any size, in [-1, 1]; another array is a ValueError."""
    found = np.asarray(image)
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[-1] != 3 or 0 in found.shape or len(found) != count:
        raise ValueError(
            f"image of shape {found.shape} and dtype {found.dtype}; [{count}, rows, columns, 3] of uint8 is needed, "
            "a picture a prompt."
        )
    pictures = [Image.fromarray(one).resize((width, height), Image.Resampling.LANCZOS) for one in found]
    return np.stack([np.asarray(picture) for picture in pictures]).astype(np.float32) / 127.5 - 1
