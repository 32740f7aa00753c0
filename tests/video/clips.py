"""Makes small videos, plain and odd, for the tests of decoding."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def picture(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture without any symmetry; the stripes in its lowest quarter are the bits of its index."""
    y, x = np.mgrid[:height, :width]
    colours = np.stack([x * 200 // width, y * 200 // height, np.full((height, width), 60)], axis=-1)
    bits = 255 * (index >> (8 * x // width) & 1)[..., None]
    return np.where((y >= height * 3 // 4)[..., None], bits, colours).astype(np.uint8)


def index_of(frame: np.ndarray) -> int:
    """Reads the stripes, which survive any codec."""
    height, width = frame.shape[:2]
    stripes = frame[height * 7 // 8, [width * (2 * i + 1) // 16 for i in range(8)]].mean(axis=-1) > 127
    return int(sum(1 << i for i in range(8) if stripes[i]))


def make(
    path: Path,
    num_frames: int = 50,
    height: int = 48,
    width: int = 64,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    format: str | None = None,
    times: list[int] | None = None,
    container: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a clip at 25 fps, or with frames at `times` in milliseconds."""
    with av.open(str(path), "w", format=format, options=container or {}) as file:
        stream = file.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(i, height, width), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def make_sound(path: Path, codec: str = "aac") -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48000, layout="mono")
        for i in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, 1024 * i
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes a display matrix into the track header of an mp4 file."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    one = 1 << 16
    data[start : start + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
