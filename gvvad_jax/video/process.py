"""The parent's end of one decode worker: start it, talk to it with a deadline, say how it died."""

import contextlib
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile

import numpy as np
from jaxtyping import UInt8

from gvvad_jax.video import pipe

START_SECONDS = 60


class Died(Exception):
    """The worker ended by itself; the text says how."""


class Hung(Exception):
    """The worker sent nothing for too long and was killed."""


class Process:
    """A running worker. Every method may raise Died or Hung, after which the worker is gone."""

    def __init__(self, memory_bytes: int, timeout_seconds: float | int):
        self.timeout_seconds = timeout_seconds
        self.log = tempfile.TemporaryFile()
        shared_bytes = max(1 << 20, memory_bytes // 8)  # only what is used of it takes memory
        with _shared_file() as shared:
            shared.truncate(shared_bytes)
            self.memory = mmap.mmap(shared.fileno(), shared_bytes)
            limits = [memory_bytes, 2 * timeout_seconds + 5, shared.fileno(), shared_bytes]
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", "gvvad_jax.video.worker", *map(str, limits)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                pass_fds=[shared.fileno()],
                env=_environment(),
                bufsize=0,
            )
        assert self.child.stdin is not None and self.child.stdout is not None
        self.to, self.back = self.child.stdin.fileno(), self.child.stdout.fileno()
        os.set_blocking(self.back, False)
        self.poll = select.poll()
        self.poll.register(self.back, select.POLLIN)
        try:
            self.receive(START_SECONDS)
        except (Died, Hung) as error:
            raise OSError(f"The decode worker does not start ({error}); memory_bytes is {memory_bytes:,}.") from None

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self.child.poll() is None

    def send(self, header: dict, payload: bytes) -> None:
        """Sends a request."""
        self._write(pipe.pack(header, len(payload)))
        self._write(payload)

    def receive(self, seconds: float | int | None = None) -> dict:
        """Gives the next message, waiting up to `seconds` (default: the time limit) without a sign of life."""
        return pipe.unpack(lambda count: self._read(count, seconds or self.timeout_seconds))[0]

    def take(self, slot: int, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Copies the frame that lies in a slot of the shared memory and gives the slot back."""
        place = np.frombuffer(self.memory, np.uint8, frame.nbytes, slot * frame.nbytes)
        np.copyto(frame, place.reshape(frame.shape))
        # A worker that has died needs no slot; `receive` reads what it still said, and then how it ended.
        with contextlib.suppress(BrokenPipeError):
            pipe.write_all(self.to, bytes([slot]))

    def kill(self) -> None:
        """Ends the worker, whatever it is doing."""
        self.child.kill()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            pass  # stuck in the kernel, for example on a network disk; nothing more can be done from here
        for stream in (self.child.stdin, self.child.stdout, self.log):
            if stream is not None:
                stream.close()
        self.memory.close()

    def _write(self, data: bytes) -> None:
        try:
            pipe.write_all(self.to, data)
        except BrokenPipeError:
            raise Died(self._end()) from None

    def _read(self, count: int, seconds: float | int) -> bytes:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            try:
                got = os.readv(self.back, [view])
            except BlockingIOError:
                if not self.poll.poll(1000 * seconds):
                    self.kill()
                    raise Hung(f"no new frame for {seconds:g} s") from None
                continue
            if not got:
                raise Died(self._end())
            view = view[got:]
        return bytes(data)

    def _end(self) -> str:
        try:
            status = self.child.wait(5)
        except subprocess.TimeoutExpired:
            status = None  # it closed its pipe and yet goes on
        self.log.seek(max(0, self.log.seek(0, os.SEEK_END) - 2000))
        lines = [line.strip() for line in self.log.read().decode(errors="replace").split("\n") if line.strip()]
        self.kill()
        how = f"signal {signal.Signals(-status).name}" if status is not None and status < 0 else f"exit status {status}"
        return f"{how}: {lines[-1]}" if lines else how


def _environment() -> dict[str, str]:
    """The same modules as here, whatever made them importable, and an allocator that suits an address-space limit.

    One BLAS thread and one malloc arena, for each reserves address space. Frames are allocated and freed all the time:
    memory that goes back to the system in between costs a page fault for each 4 KiB.
    """
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    }


def _shared_file():
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("gvvad-frames"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
