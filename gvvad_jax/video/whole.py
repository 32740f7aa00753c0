"""Is a file all there? FFmpeg reads most cut-off containers to where they end and says nothing.

A container that names its own length, or has to close with an end mark, is compared with the file. Transport and
program streams, raw streams and recordings whose length was never filled in promise nothing.
"""

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
EBML_SEGMENT = 0x18538067
UNKNOWN_RIFF = (0, 0xFFFFFFFF)


def damage(source: Path | bytes) -> str | None:
    """Says how a file is cut off, as the end of a sentence that begins with its name; None where nothing shows it."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            head = file.read(65536)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
                return _boxes(file, size)
            if head[:4] == b"\x1aE\xdf\xa3":
                return _shorter(_matroska(head), size)
            if head[:4] == b"RIFF" and head[8:11] == b"AVI":
                announced = int.from_bytes(head[4:8], "little")
                return None if announced in UNKNOWN_RIFF else _shorter(announced + 8, size)
            if head[:3] == b"FLV":
                return _shorter(_flash(head), size)
            if ASF_FILE_PROPERTIES in head:
                start = head.index(ASF_FILE_PROPERTIES) + 40
                return _shorter(int.from_bytes(head[start : start + 8], "little"), size)
            file.seek(max(0, size - 65536))
            tail = file.read()
    except OSError:
        return None
    if head[:4] == b"GIF8" and tail.rstrip(b"\0")[-1:] != b";":
        return "is cut off: a GIF closes with an end mark, which is missing"
    if head[:4] == b"OggS":
        page = tail.rfind(b"OggS")
        if page >= 0 and not _ends_ogg(tail[page:]):
            return "is cut off: its last Ogg page is incomplete or not marked as the last"
    return None


def _ends_ogg(page: bytes) -> bool:
    if len(page) < 27 or not page[5] & 4:
        return False
    lengths = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(lengths)


def _shorter(announced: int | None, size: int) -> str | None:
    if announced is None or size >= announced:
        return None
    return f"is cut off: it announces {announced:,} bytes and has {size:,}"


def _boxes(file: BinaryIO, size: int) -> str | None:
    """Walks the top-level boxes of an mp4 or mov file."""
    start, has_index = 0, False
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        has_index |= kind == b"moov"
        if length == 0:  # to the end of the file
            start = size
        elif length < 8 or not kind.isascii():
            break  # garbage behind the last box
        else:
            start += length
    if start > size:
        return _shorter(start, size)
    return None if has_index else "has no index (moov box): it is cut off or was never finished"


def _flash(head: bytes) -> int | None:
    """Gives the `filesize` of an FLV file's metadata, where it has one."""
    start = head.find(b"filesize\0") + 9
    if start < 9 or len(head) < start + 8:
        return None
    value = struct.unpack(">d", head[start : start + 8])[0]
    return int(value) if 0 < value < 2**53 else None  # damage can make it infinite or no number at all


def _matroska(head: bytes) -> int | None:
    """Gives where the first segment of a Matroska or WebM file ends; None where it does not say."""
    start = 0
    for _ in range(8):
        identity, start = _number(head, start, keep_marker=True)
        length, start = _number(head, start, keep_marker=False)
        if identity is None or length is None:
            return None
        if identity == EBML_SEGMENT:
            return start + length
        start += length
    return None


def _number(data: bytes, start: int, keep_marker: bool) -> tuple[int | None, int]:
    """Reads an EBML number of one to eight bytes; None where it is not there or all ones, which stands for unknown."""
    if start >= len(data) or not data[start]:
        return None, start
    length = 9 - data[start].bit_length()
    value = int.from_bytes(data[start : start + length], "big")
    if not keep_marker:
        value &= (1 << (7 * length)) - 1
        if value == (1 << (7 * length)) - 1:
            return None, start + length
    return value, start + length
