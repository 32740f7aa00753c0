"""Messages between the decode worker and its parent: two lengths, a JSON header, raw bytes. Standard library alone."""

import json
import os
import struct
from collections.abc import Callable

LENGTHS = struct.Struct("<IQ")
MAX_HEADER_BYTES = 1 << 24


def pack(header: dict, payload_bytes: int = 0) -> bytes:
    """Gives what stands before the payload of a message."""
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), payload_bytes) + text


def unpack(read: Callable[[int], bytes]) -> tuple[dict, int]:
    """Reads a header and the number of payload bytes that follow; `read(n)` gives exactly n bytes."""
    header_bytes, payload_bytes = LENGTHS.unpack(read(LENGTHS.size))
    if header_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"a message header of {header_bytes} bytes: the pipe of the decode worker is out of step.")
    return json.loads(read(header_bytes)), payload_bytes


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Writes every byte, in as many calls as the pipe asks for."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(fd, view) :]


def read_exactly(fd: int, count: int) -> bytearray:
    """Reads `count` bytes or raises EOFError."""
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = os.readv(fd, [view])
        if not got:
            raise EOFError
        view = view[got:]
    return data
