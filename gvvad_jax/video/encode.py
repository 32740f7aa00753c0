"""Frames to mp4, repeatably: the same frames give the same bytes with the same FFmpeg."""

import io
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

# libx264 by itself is not repeatable: macroblock-tree rate control gave up to six streams of one input in six runs. One
# thread, because the number of threads changes the stream too.
X264 = {"preset": "medium", "crf": "20", "x264-params": "no-mbtree=1:threads=1"}


def mp4(
    frames: UInt8[np.ndarray, "frames height width 3"],
    fps: float | int = 10,
    path: Path | str | None = None,
    options: Mapping[str, str] = X264,
) -> bytes:
    """Encodes RGB frames as H.264 in an mp4 file, also written to `path` where given.

    H.264 with halved colour needs even sizes: of an odd one the last row or column is repeated, so that a 121x163 video
    comes back as 122x164.
    """
    num_frames, height, width = frames.shape[:3]
    if not num_frames or not height or not width or not fps > 0:
        raise ValueError(f"{num_frames} frames of {width}x{height} at {fps} frames a second cannot become a video.")
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(100_000), options=dict(options))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        for frame in frames:
            odd = height % 2 or width % 2
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if odd else frame
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    if path is not None:
        _write(Path(path), memory.getvalue())
    return memory.getvalue()


def write(path: Path | str, frames: UInt8[np.ndarray, "frames height width 3"], fps: float | int = 10) -> None:
    """Writes an mp4 file, which is there as a whole or not at all."""
    mp4(frames, fps, path)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
