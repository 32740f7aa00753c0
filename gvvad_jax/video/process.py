"""The parent's end of one decode worker: start it, talk to it with a deadline, say how it died."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time

from gvvad_jax.video import pipe

PIPE_BYTES = 1 << 20
START_SECONDS = 60


class Died(Exception):
    """The worker ended by itself; the text says how."""


class Hung(Exception):
    """The worker sent nothing for too long and was killed."""


class Process:
    """A running worker. Every method may raise Died or Hung, after which the worker is gone."""

    def __init__(self, memory_bytes: int, timeout_seconds: float):
        self.timeout_seconds = timeout_seconds
        self.log = tempfile.TemporaryFile()
        # The same modules as here, whatever made them importable. One BLAS thread and two malloc arenas, for each
        # reserves address space, which is what the limit counts.
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-m", "gvvad_jax.video.worker", str(memory_bytes), str(timeout_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
            bufsize=0,
        )
        assert self.child.stdin is not None and self.child.stdout is not None
        self.to, self.back = self.child.stdin.fileno(), self.child.stdout.fileno()
        os.set_blocking(self.back, False)
        _enlarge(self.back)
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
        try:
            pipe.write_all(self.to, pipe.pack(header, len(payload)))
            pipe.write_all(self.to, payload)
        except BrokenPipeError:
            raise Died(self._end()) from None

    def receive(self, seconds: float | None = None) -> dict:
        """Gives the next message's header; the payload is read by `fill`."""

        def read(count: int) -> bytearray:
            data = bytearray(count)
            self.fill(memoryview(data), seconds)
            return data

        return pipe.unpack(read)[0]

    def fill(self, view: memoryview, seconds: float | None = None) -> None:
        """Reads exactly the bytes that fit into `view`."""
        seconds = self.timeout_seconds if seconds is None else seconds
        while view:
            try:
                count = os.readv(self.back, [view])
            except BlockingIOError:
                if not self.poll.poll(1000 * seconds):
                    self.kill()
                    raise Hung(f"no new frame for {seconds:g} s") from None
                continue
            if not count:
                raise Died(self._end())
            view = view[count:]

    def kill(self) -> None:
        """Ends the worker, whatever it is doing."""
        self.child.kill()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            pass  # stuck in the kernel, for example on a network disk; nothing more can be done from here
        for stream in (self.child.stdin, self.child.stdout, self.log):
            if stream is not None and not stream.closed:
                stream.close()

    def _end(self) -> str:
        try:
            status = self.child.wait(5)
        except subprocess.TimeoutExpired:
            status = None  # it closed its pipe and yet goes on
        self.log.seek(max(0, self.log.seek(0, os.SEEK_END) - 2000))
        lines = self.log.read().decode(errors="replace").split("\n")
        self.kill()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"signal {signal.Signals(-status).name}" if status is not None and status < 0 else f"exit status {status}"
        return f"{how}: {last}" if last else how


def _enlarge(fd: int) -> None:
    """Gives the pipe a megabyte where the system allows it: fewer, larger reads."""
    try:
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        pass
