"""Decoding speed: frames a second of `decode.Decoder` beside a PyAV loop in this process that converts every frame.

    python benchmarks/decode.py

Both read the same clips, made here, in turns. keep=all is what extraction asks for, whose untrained
baselines need every frame; keep=1 is what counting frames asks for.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from gvvad_jax.video import decode

CLIPS = {"320x240": (240, 320, 800), "1280x720": (720, 1280, 200)}
ROUNDS = 7


def make(path: Path, height: int, width: int, num_frames: int) -> None:
    """Writes a clip with camera noise and a moving square."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (4, height, width, 3))
    y, x = np.mgrid[:height, :width]
    still = np.stack([100 + 60 * np.sin(x / 23), 100 + 60 * np.cos(y / 17), 100 + 50 * np.sin((x + y) / 41)], axis=-1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(num_frames):
            frame = still + noise[i % 4]
            left = 3 * i % (width - 40)
            frame[height // 3 : height // 3 + 40, left : left + 40] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())


def plain(path: Path) -> None:
    """What most feature extractors do."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")


def main() -> None:
    """Prints a table."""
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"Python {platform.python_version()}, PyAV {av.__version__}, NumPy {np.__version__}, {ROUNDS} rounds in turns"
    )
    print(f"{'clip':10s} {'reader':22s} {'frames/s':>9s} {'from':>7s} {'to':>7s} {'beside plain':>13s}")
    with tempfile.TemporaryDirectory() as folder, decode.Decoder() as decoder:

        def ours(path: Path, keep: decode.Keep) -> None:
            for _ in decoder.snippets(path, keep=keep):
                pass

        for name, (height, width, num_frames) in CLIPS.items():
            path = Path(folder) / f"{name}.mp4"
            make(path, height, width, num_frames)
            readers = {
                "PyAV loop, all frames": lambda path=path: plain(path),
                "Decoder, keep=1": lambda path=path: ours(path, 1),
                "Decoder, keep=all": lambda path=path: ours(path, "all"),
            }
            rates: dict[str, list[float]] = {reader: [] for reader in readers}
            for turn in range(ROUNDS + 1):
                for reader, read in readers.items():
                    start = time.perf_counter()
                    read()
                    if turn:  # the first is the warm-up
                        rates[reader].append(num_frames / (time.perf_counter() - start))
            base = statistics.median(rates["PyAV loop, all frames"])
            for reader, values in rates.items():
                middle = statistics.median(values)
                spread = f"{min(values):7.0f} {max(values):7.0f}"
                print(f"{name:10s} {reader:22s} {middle:9.0f} {spread} {middle / base:12.2f}x")


if __name__ == "__main__":
    sys.exit(main())
