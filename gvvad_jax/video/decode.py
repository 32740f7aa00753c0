"""Video decoding that outlives any file: a worker process with a memory and a time limit, restarted after a death.

`Decoder.snippets` streams the kept frames of one video; whatever is wrong with the file is one `DecodeError` sentence
that names it, and the next video works. One Decoder is one worker and reads one video at a time; two threads use two.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gvvad_jax.video.process import Died, Hung, Process
from gvvad_jax.video.snippets import Keep, Snippet

Source = Path | str | bytes


class DecodeError(ValueError):
    """A video that cannot be decoded: one sentence that names the file."""


@dataclass(frozen=True)
class Info:
    """What is known of a video once all its frames were read; height and width are those of the upright frame."""

    num_frames: int
    fps: float | None
    height: int
    width: int
    notes: tuple[str, ...] = ()


class Decoder:
    """A decode worker, kept over videos. `info` describes the last video that was read to its end, else None."""

    def __init__(self, memory_bytes: int = 2 << 30, timeout_seconds: float | int = 15, threads: int | None = None):
        self.memory_bytes = memory_bytes
        self.timeout_seconds = timeout_seconds
        self.threads = threads or min(8, os.cpu_count() or 1)
        self.info: Info | None = None
        self._process: Process | None = None
        self._reading: object | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the worker; another video would start a new one."""
        self._reading = None
        if self._process is not None:
            self._process.kill()
            self._process = None

    def snippets(
        self, source: Source, keep: Keep = 1, snippet_frames: int = 16, name: str | None = None
    ) -> Iterator[Snippet]:
        """Streams a video (a file, a folder of pictures or a file's bytes): `keep` frames of each snippet.

        `keep` as in `snippets.chosen`. `name` is what errors call the video. The worker decodes ahead while the caller
        computes, by at most two snippets of undecoded and 64 MiB of converted frames. A video that is not read to its
        end costs a restart of the worker.
        """
        if snippet_frames < 1 or (keep != "all" and keep < 1):
            raise ValueError(f"keep={keep} of snippets of {snippet_frames} frames: both must be at least 1 (or 'all').")
        name = name or _name(source)
        _check(source, name)
        return self._read(source, keep, snippet_frames, name)

    def probe(self, source: Source, name: str | None = None) -> Info:
        """Reads a whole video for its true frame count, upright size, rate and notes."""
        name = name or _name(source)
        _check(source, name)
        for _ in self._read(source, 1, 16, name):
            pass
        assert self.info is not None
        return self.info

    def _read(self, source: Source, keep: Keep, snippet_frames: int, name: str) -> Iterator[Snippet]:
        if self._reading is not None:
            self.close()  # an abandoned video, which the worker is still sending
        self.info, me = None, object()
        self._reading = me
        finished, header, frames, filled = False, {}, np.empty(0, np.uint8), 0
        try:
            process = self._ask(source, keep, snippet_frames)
            while True:
                if self._reading is not me:
                    raise RuntimeError(f"{name}: the decoder was closed or has moved on to another video.")
                message = process.receive()
                kind = message["kind"]
                if kind == "snippet":
                    header, filled = message, 0
                    frames = np.empty((len(header["indices"]), *header["shape"]), np.uint8)
                elif kind == "frame":
                    process.take(message["slot"], frames[filled])
                    filled += 1
                    if filled == len(frames):
                        yield Snippet(header["start"], header["stop"], np.array(header["indices"], np.int64), frames)
                        frames = np.empty(0, np.uint8)
                elif kind == "done":
                    finished = True
                    self.info = Info(
                        message["num_frames"], message["fps"], *message["shape"][:2], notes=tuple(message["notes"])
                    )
                    return
                elif kind == "error":
                    finished = True
                    raise DecodeError(f"{name} {message['reason']}.")
                elif kind == "memory":
                    raise DecodeError(
                        f"{name} needs more than the {self.memory_bytes / 2**30:.3g} GiB that a decode worker may use; "
                        "raise memory_bytes or scale the video down."
                    )
        except Hung as error:
            raise DecodeError(f"{name} was given up: {error}; raise timeout_seconds or leave it out.") from None
        except Died as error:
            raise DecodeError(
                f"{name} ended its decode worker ({error}); the file is damaged or needs more memory: re-encode it or "
                "leave it out."
            ) from None
        finally:
            if self._reading is me:
                self._reading = None
                if not finished:
                    self.close()

    def _ask(self, source: Source, keep: Keep, snippet_frames: int) -> Process:
        in_memory = isinstance(source, bytes)
        request = {
            "path": None if in_memory else os.path.abspath(source),
            "keep": keep,
            "snippet_frames": snippet_frames,
            "threads": self.threads,
        }
        if self._process is not None and not self._process.alive:
            self._process.kill()
            self._process = None
        if self._process is None:
            self._process = Process(self.memory_bytes, self.timeout_seconds)
        self._process.send(request, source if in_memory else b"")
        return self._process


def frames(source: Source, name: str | None = None) -> UInt8[np.ndarray, "frames height width 3"]:
    """Decodes every frame of a short video into memory."""
    with Decoder() as decoder:
        return np.concatenate([snippet.frames for snippet in decoder.snippets(source, keep="all", name=name)])


def probe(source: Source, name: str | None = None) -> Info:
    """Counts a video's frames by decoding it; gives size, rate and notes."""
    with Decoder() as decoder:
        return decoder.probe(source, name)


def _name(source: Source) -> str:
    return f"a video of {len(source):,} bytes" if isinstance(source, bytes) else str(source)


def _check(source: Source, name: str) -> None:
    if isinstance(source, bytes):
        if not source:
            raise DecodeError(f"{name} is empty (0 bytes).")
        return
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{name}: no such video file or folder ({path}).")
    if path.is_file() and path.stat().st_size == 0:
        raise DecodeError(f"{name} is empty (0 bytes).")
