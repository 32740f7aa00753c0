"""The decode worker: `python -m gvvad_jax.video.worker`, one process that decodes videos for one `decode.Decoder`.

FFmpeg's decoders can crash, hang or ask for any amount of memory on damaged files; here they take only this process
down. It imports av, NumPy and Pillow and never JAX, which would not fit under its address-space limit. Requests come on
stdin and messages go to the pipe that was stdout (see pipe.py); libraries that print find stderr there instead.
"""

import os
import resource
import signal
import sys
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np

from gvvad_jax.video import pipe, snippets
from gvvad_jax.video.container import Container
from gvvad_jax.video.folder import Folder

AHEAD_BYTES = 64 << 20  # converted frames that may wait for the parent
HEARTBEAT_SECONDS = 0.5
LOG_BYTES = 1 << 20


class Alarm:
    """Ends this process by SIGALRM if `seconds` pass between two calls of `reset`: the parent may no longer be there."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def reset(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Outbox:
    """Sends messages from a thread of its own, so that decoding runs ahead of a busy parent by a bounded amount."""

    def __init__(self, fd: int):
        self.fd = fd
        self.waiting: deque[tuple[bytes, memoryview | None]] = deque()
        self.waiting_bytes = 0
        self.last = time.monotonic()
        self.changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, header: dict, pixels: np.ndarray | None = None) -> None:
        payload = None if pixels is None else memoryview(np.ascontiguousarray(pixels)).cast("B")
        size = payload.nbytes if payload is not None else 0
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting or self.waiting_bytes + size <= AHEAD_BYTES)
            self.waiting.append((pipe.pack(header, size), payload))
            self.waiting_bytes += size
            self.last = time.monotonic()
            self.changed.notify_all()

    def flush(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting)

    def _run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: bool(self.waiting))
                header, payload = self.waiting[0]
            try:
                pipe.write_all(self.fd, header)
                if payload is not None:
                    pipe.write_all(self.fd, payload)
            except OSError:
                os._exit(0)  # the parent has gone
            size = payload.nbytes if payload is not None else 0
            with self.changed:
                self.waiting.popleft()
                self.waiting_bytes -= size
                self.changed.notify_all()


def decode(request: dict, payload: bytes, outbox: Outbox, alarm: Alarm) -> None:
    """Answers one request with `snippet` and `frame` messages and a closing `done`."""
    alarm.reset()
    path = Path(request["path"]) if request["path"] is not None else None
    if path is not None and path.is_dir():
        source = Folder(path)
    else:
        source = Container(payload if path is None else path, request["threads"])
    count, shape = 0, None

    def counted():
        nonlocal count
        for frame in source:
            alarm.reset()
            count += 1
            if time.monotonic() - outbox.last > HEARTBEAT_SECONDS:
                outbox.put({"kind": "alive", "frames": count})
            yield frame

    for start, stop, indices, kept in snippets.stream(counted(), request["keep"], request["snippet_frames"]):
        for place, frame in enumerate(kept):
            pixels = source.rgb(frame)
            kept[place], frame, shape = None, None, pixels.shape
            alarm.stop()  # waiting for the parent is no hang
            if place == 0:
                outbox.put({"kind": "snippet", "start": start, "stop": stop, "indices": indices, "shape": shape})
            outbox.put({"kind": "frame"}, pixels)
            alarm.reset()
    if not count:
        raise ValueError("has a video stream without a single frame")
    outbox.put({"kind": "done", "num_frames": count, "fps": source.fps, "shape": shape, "notes": source.notes})


def main() -> None:
    """Serves requests until stdin ends."""
    memory_bytes, timeout_seconds = int(sys.argv[1]), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LOG_BYTES, LOG_BYTES))  # nothing to write but complaints on stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it closes our stdin
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    alarm = Alarm(2 * timeout_seconds + 5)
    outbox.put({"kind": "ready"})
    while True:
        try:
            request, payload_bytes = pipe.unpack(lambda count: bytes(pipe.read_exactly(0, count)))
            payload = bytes(pipe.read_exactly(0, payload_bytes))
        except EOFError:
            return
        try:
            decode(request, payload, outbox, alarm)
        except MemoryError:
            outbox.put({"kind": "memory"})
            outbox.flush()
            os._exit(0)  # a process that ran out of memory is not worth keeping
        except (ValueError, OSError) as error:
            outbox.put({"kind": "error", "reason": str(error)})
        except Exception as error:
            outbox.put({"kind": "error", "reason": f"cannot be decoded ({type(error).__name__}: {error})"})
        alarm.stop()


if __name__ == "__main__":
    main()
