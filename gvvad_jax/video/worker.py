"""The decode worker: `python -m gvvad_jax.video.worker`, one process that decodes videos for one `decode.Decoder`.

FFmpeg's decoders can crash, hang or ask for any amount of memory on damaged files; here they take only this process
down. It imports av, NumPy and Pillow and never JAX, which would not fit under its address-space limit. Requests come on
stdin and messages go to the pipe that was stdout (pipe.py); libraries that print find stderr there instead. Pixels go
through memory shared with the parent: a pipe would copy them twice, at 1.2 ms a 1280x720 frame and side.
"""

import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gvvad_jax.video import pipe, snippets
from gvvad_jax.video.container import Container
from gvvad_jax.video.folder import Folder

AHEAD_BYTES = 64 << 20  # converted frames that may wait for the parent, at least one
MAX_SLOTS = 256  # their messages fit into any pipe
HEARTBEAT_SECONDS = 0.5
LOG_BYTES = 1 << 20


class Link:
    """The worker's end: sends messages and frames, and ends the process if nothing happens for `alarm_seconds`.

    SIGALRM is for the case that the parent has died and cannot kill a decoder that hangs. It is off while the worker
    waits for the parent, which may take any time to compute.
    """

    def __init__(self, out: int, shared: int, shared_bytes: int, alarm_seconds: float):
        self.out = out
        self.alarm_seconds = alarm_seconds
        self.memory = np.frombuffer(mmap.mmap(shared, shared_bytes), np.uint8)
        self.sent_at = 0.0
        self.free: list[int] = []
        self.slots = 0

    def rearm(self) -> None:
        """Says that decoding goes on."""
        signal.setitimer(signal.ITIMER_REAL, self.alarm_seconds)

    def disarm(self) -> None:
        """Says that the parent is waited for."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def send(self, **message) -> None:
        """Sends a message."""
        self.disarm()
        pipe.write_all(self.out, pipe.pack(message))
        self.sent_at = time.monotonic()
        self.rearm()

    def receive(self) -> tuple[dict, bytes]:
        """Waits for a request."""
        self.disarm()
        while len(self.free) < self.slots:
            self._take_back()
        self.slots = 0
        request, payload_bytes = pipe.unpack(lambda count: bytes(pipe.read_exactly(0, count)))
        payload = bytes(pipe.read_exactly(0, payload_bytes))
        self.rearm()
        return request, payload

    def send_frame(self, pixels: np.ndarray) -> None:
        """Puts a frame into a free slot, waiting for one where the parent is behind."""
        if not self.slots:
            self.slots = min(MAX_SLOTS, max(1, min(AHEAD_BYTES, self.memory.nbytes) // pixels.nbytes))
            self.free = list(range(self.slots))
        if pixels.nbytes > self.memory.nbytes:
            raise MemoryError
        if not self.free:
            self.disarm()
            self._take_back()
        slot = self.free.pop()
        place = self.memory[slot * pixels.nbytes : (slot + 1) * pixels.nbytes]
        np.copyto(place.reshape(pixels.shape), pixels)
        self.send(kind="frame", slot=slot)

    def _take_back(self) -> None:
        self.free += [*pipe.read_exactly(0, 1)]


def decode(request: dict, payload: bytes, link: Link) -> None:
    """Answers one request with `snippet` and `frame` messages and a closing `done`."""
    path = Path(request["path"]) if request["path"] is not None else None
    if path is not None and path.is_dir():
        source = Folder(path)
    else:
        source = Container(payload if path is None else path, request["threads"])
    count, shape = 0, None

    def counted() -> Iterator:
        nonlocal count
        for frame in source:
            link.rearm()
            count += 1
            if time.monotonic() - link.sent_at > HEARTBEAT_SECONDS:
                link.send(kind="alive")
            yield frame

    for start, stop, indices, kept in snippets.stream(counted(), request["keep"], request["snippet_frames"]):
        for place in range(len(kept)):
            pixels = source.rgb(kept[place])
            kept[place], shape = None, pixels.shape
            if place == 0:
                link.send(kind="snippet", start=start, stop=stop, indices=indices, shape=shape)
            link.send_frame(pixels)
    if not count:
        raise ValueError("has a video stream without a single frame")
    link.send(kind="done", num_frames=count, fps=source.fps, shape=shape, notes=source.notes)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (ValueError, OSError) as error:  # macOS refuses a limit on address space
        print(f"limit {kind} of {value} is not possible here: {error}", file=sys.stderr)


def main() -> None:
    """Serves requests until stdin ends: worker.py MEMORY_BYTES ALARM_SECONDS SHARED_FD SHARED_BYTES."""
    memory_bytes, alarm_seconds, shared, shared_bytes = (float(argument) for argument in sys.argv[1:])
    _limit(resource.RLIMIT_AS, int(memory_bytes))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LOG_BYTES)  # it has nothing to write but complaints on stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it closes our stdin
    link = Link(os.dup(1), int(shared), int(shared_bytes), alarm_seconds)
    os.dup2(2, 1)
    link.send(kind="ready")
    try:
        while True:
            request, payload = link.receive()
            try:
                decode(request, payload, link)
            except (BrokenPipeError, EOFError):
                return
            except MemoryError:
                link.send(kind="memory")
                return  # a process that ran out of memory is not worth keeping
            except (ValueError, OSError) as error:
                link.send(kind="error", reason=str(error))
            except Exception as error:
                link.send(kind="error", reason=f"cannot be decoded ({type(error).__name__}: {error})")
    except (BrokenPipeError, EOFError):
        return  # the parent has gone


if __name__ == "__main__":
    main()
