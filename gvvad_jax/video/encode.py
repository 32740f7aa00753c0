"""Frames to mp4, repeatably: the same frames give the same bytes on the same FFmpeg."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

# libx264 by itself is not repeatable: macroblock-tree rate control gave up to six streams of one input in six runs. One
# thread, because the number of threads changes the stream too.
X264 = {"preset": "medium", "crf": "20", "x264-params": "no-mbtree=1:threads=1"}


def mp4(frames: UInt8[np.ndarray, "frames height width 3"], fps: float = 10, path: Path | str | None = None) -> bytes:
    """Encodes RGB frames as H.264 in an mp4 file (also written to `path` where given); odd sizes get an edge repeated."""
    if not len(frames) or min(frames.shape[1:3]) < 2 or fps <= 0:
        raise ValueError(f"{len(frames)} frames of {frames.shape[2]}x{frames.shape[1]} at {fps} fps cannot be a video.")
    height, width = frames.shape[1:3]
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(100_000), options=dict(X264))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    if path is not None:
        write_bytes(path, memory.getvalue())
    return memory.getvalue()


def write_bytes(path: Path | str, data: bytes) -> None:
    Path(path).write_bytes(data)
