"""One video container: its frames in presentation order, counted as stored, upright RGB where asked for.

Runs inside the decode worker, on files nobody vouches for.
"""

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from gvvad_jax.video import whole

# Demuxers that are containers or streams of video. FFmpeg also opens text as `tty`, pictures, playlists that name other
# files (hls, concat) and devices: those must never be tried.
VIDEO_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,flv,live_flv,"
    "asf,asf_o,wtv,ogg,gif,apng,nut,mxf,gxf,dv,rm,swf,dhav,ifv,amv,avs,nsv,h261,h263,vc1,vc1test,dirac,cavsvideo,"
    "yuv4mpegpipe,mjpeg,smjpeg,dxa,flic,roq,bink,smk,nuv,pva,mlv"
)
PICTURES = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM")
# Opened only so that the sentence can say that there is no video stream.
AUDIO_FORMATS = "mp3,wav,w64,flac,aac,ac3,eac3,aiff,au,amr,caf,dts,wv,ape,tta"
RAW_FORMATS = set("h264,hevc,vvc,av1,obu,m4v,mpegvideo,h261,h263,vc1,cavsvideo,mjpeg,dirac".split(","))
OPTIONS = {"format_whitelist": f"{VIDEO_FORMATS},{AUDIO_FORMATS}", "protocol_whitelist": "file"}

ADVICE = "copy it again, repair it with ffmpeg, or leave it out"


class Container:
    """Iterating gives decoded frames; `rgb` converts one; `fps` and `notes` are complete once the iteration is."""

    def __init__(self, source: Path | bytes, threads: int):
        self.source = source
        self.notes: list[str] = []
        self.fps: float | None = None
        self.reformatter = VideoReformatter()
        self.container = _open(source)
        try:
            stream = self.container.streams.best("video")
            if not isinstance(stream, VideoStream) or _is_cover(stream):
                cut = whole.damage(source)
                raise ValueError(f"has no video stream{f' and {cut}; {ADVICE}' if cut else ''}")
            if stream.codec_context is None:
                raise ValueError("holds a video codec that FFmpeg cannot decode")
            self.stream = stream
            videos = [s for s in self.container.streams.video if not _is_cover(s)]
            if len(videos) > 1:
                self.notes.append(f"{len(videos)} video streams: stream {self.stream.index} is read")
            self.stream.thread_type = "AUTO"
            self.stream.codec_context.thread_count = threads
        except BaseException:
            self.container.close()
            raise

    @property
    def promised(self) -> int:
        """The container's own frame count; 0 where it has none."""
        return max(0, self.stream.frames)

    def __iter__(self) -> Iterator[VideoFrame]:
        clock, size, count, corrupt, interlaced = _Clock(), None, 0, 0, False
        try:
            for packet in self.container.demux(self.stream):
                for frame in self.stream.decode(packet):
                    if size is None:
                        size = (frame.width, frame.height)
                    elif size != (frame.width, frame.height):
                        raise ValueError(
                            f"changes from {size[0]}x{size[1]} to {frame.width}x{frame.height} pixels at "
                            f"frame {count}; cut it there into two videos"
                        )
                    clock.add(frame.pts)
                    corrupt += frame.is_corrupt
                    interlaced |= frame.interlaced_frame
                    count += 1
                    yield frame
            self._conclude(clock, count, corrupt, interlaced)
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            cut = whole.damage(self.source)
            why = f"the file {cut}" if cut else _reason(error)
            raise ValueError(f"breaks off after {_frames(count)}{self._of_promised()}: {why}; {ADVICE}") from error
        finally:
            self.container.close()  # whose streams must not be asked for anything from here on

    def _of_promised(self) -> str:
        return f" of the {self.promised} that its container promises" if self.promised else ""

    def _conclude(self, clock: "_Clock", count: int, corrupt: int, interlaced: bool) -> None:
        if self.promised != count or self.container.format.name == "gif":  # whose frames FFmpeg counts itself
            cut = whole.damage(self.source)
            if cut:  # or the rest of the video would be missing without a word, and labels would not fit
                raise ValueError(f"{cut}; {_frames(count)}{self._of_promised()} could be read; {ADVICE}")
        if self.promised and self.promised != count:
            self.notes.append(f"the container promises {_frames(self.promised)}, {count} were decoded")
        if corrupt:
            self.notes.append(f"damaged frames, which FFmpeg patched up: {corrupt}")
        if interlaced:
            self.notes.append("interlaced: the two fields of a frame are left as they are")
        if self.container.format.name in RAW_FORMATS:
            self.notes.append("a raw stream without timestamps: frames per second unknown")
            return
        rate = self.stream.average_rate or self.stream.guessed_rate
        measured = clock.rate(self.stream.time_base)
        if measured and (not rate or abs(measured / rate - 1) > 0.02):  # less is the rounding of timestamps
            if rate and not clock.varies:
                self.notes.append(f"the container says {float(rate):g} frames a second, its timestamps {measured:.4g}")
            rate = measured
        if clock.varies:
            self.notes.append("variable frame rate: every stored frame counts once, fps is the average")
        self.fps = float(rate) if rate else None

    def rgb(self, frame: VideoFrame) -> np.ndarray:
        """Converts to uint8 [height, width, 3] and turns it upright."""
        plane: Any = self.reformatter.reformat(frame, format="rgb24", threads=1).planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : 3 * frame.width]
        return upright(rows.reshape(frame.height, frame.width, 3), display_matrix(frame))


class _Clock:
    """Watches presentation times for gaps of different length."""

    def __init__(self):
        self.first: int | None = None
        self.last: int | None = None
        self.count = 0
        self.shortest: int | None = None
        self.longest = 0

    def add(self, pts: int | None) -> None:
        if pts is None:
            return
        if self.first is None:
            self.first = pts
        elif self.last is not None and pts > self.last:
            gap = pts - self.last
            self.shortest = gap if self.shortest is None else min(gap, self.shortest)
            self.longest = max(gap, self.longest)
        self.last, self.count = pts, self.count + 1

    @property
    def varies(self) -> bool:
        """Is one gap half as long again as another? Less is the rounding of timestamps to ticks."""
        return self.shortest is not None and self.longest > 1.5 * self.shortest and self.longest > self.shortest + 1

    def rate(self, time_base: Fraction | None) -> float | None:
        if self.first is None or self.last is None or self.last <= self.first or not time_base:
            return None
        return (self.count - 1) / float((self.last - self.first) * time_base)


def _open(source: Path | bytes) -> InputContainer:
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    try:
        return av.open(file, mode="r", options=dict(OPTIONS), metadata_errors="replace")
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        picture = _picture_format(source)
        if picture:
            raise ValueError(f"is a single {picture} picture; give the folder of pictures as the video") from error
        if isinstance(error, ArgumentError):
            raise ValueError("is not a video: its content is no container that is read here") from error
        cut = whole.damage(source)
        raise ValueError(f"{cut or f'cannot be opened as a video ({_reason(error)})'}; {ADVICE}") from error


def _picture_format(source: Path | bytes) -> str | None:
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=PICTURES) as image:
            return image.format
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _is_cover(stream: Stream) -> bool:
    """Is it the picture of a music album?"""
    return bool(stream.disposition & Disposition.attached_pic)


def _frames(count: int) -> str:
    return f"{count:,} frame{'' if count == 1 else 's'}"


def _reason(error: FFmpegError) -> str:
    return f"FFmpeg: {error.strerror or type(error).__name__}"


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Gives a, b, c, d of the frame's display matrix: x' = a x + c y, y' = b x + d y (with y downwards)."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("<9i", bytes(data)[:36])
    return a, b, c, d


def upright(pixels: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Applies a display matrix to [height, width, 3] pixels, as the nearest of the eight turns and mirrorings."""
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        across, down = a, d
    else:
        pixels, across, down = pixels.transpose(1, 0, 2), c, b
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
