"""Clips of a video set as the filter sees them: luminance of one working size, a few pictures, the description."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from gvvad_jax import records
from gvvad_jax.video import decode

HEIGHT, WIDTH = 240, 320  # aspect not kept, so that every clip has one shape on the device
MAX_SNIPPETS = 20  # of 16 frames; a longer video is measured on this many, evenly spaced
PICTURES = 8  # colour frames a clip, for a text-image model and thumbnails


@dataclass(frozen=True, eq=False)
class Clip:
    """One decoded clip. `joins[t]` is True where luminance t and t + 1 are neighbours in the video."""

    id: str
    label: int
    category: str
    text: str  # the description it was generated from; empty: unknown
    pair_id: str
    num_frames: int
    luma: UInt8[np.ndarray, "frames height width"]
    joins: Bool[np.ndarray, " pairs"]
    pictures: UInt8[np.ndarray, "pictures height width 3"]


def read(
    videos: Iterable[records.Video], workers: int = 2, make_decoder: Callable[[], decode.Decoder] = decode.Decoder
) -> Iterator[tuple[Mapping[str, Any], Clip | ValueError | OSError]]:
    """Each record's facts and its clip, or what is wrong with its file, in the order of the set; at most a few ahead.

    The facts are id, label, category, text and pair_id: all that the filter may know besides pixels.
    """
    local, opened = threading.local(), []

    def one(record: records.Video) -> Clip | ValueError | OSError:
        if not hasattr(local, "decoder"):
            local.decoder = make_decoder()
            opened.append(local.decoder)
        try:
            return _clip(local.decoder, record)
        except (ValueError, OSError) as error:  # the file's fault; anything else is ours and ends the run
            return error

    pending: deque[tuple[Mapping[str, Any], Future[Clip | ValueError | OSError]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        source = iter(videos)
        for record in itertools.chain(source, [None] * (2 * workers)):
            if record is not None:
                pending.append((facts(record), pool.submit(one, record)))
            if pending and (record is None or len(pending) >= 2 * workers):
                known, future = pending.popleft()
                yield known, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for decoder in opened:
            decoder.close()


def facts(record: records.Video) -> dict[str, Any]:
    """What a record says that the filter may use."""
    source = record.source
    return {
        "id": record.id,
        "label": record.label,
        "category": record.category,
        "text": str(source.get("text") or ""),
        "pair_id": str(source.get("pair_id") or ""),
    }


def _clip(decoder: decode.Decoder, record: records.Video) -> Clip:
    every = max(1, -(-max(1, record.num_frames // 16) // MAX_SNIPPETS))
    wanted = set(np.linspace(0, max(0, record.num_frames - 1), PICTURES).astype(int).tolist())
    luma, at, pictures = [], [], []
    for number, snippet in enumerate(decoder.snippets(record.video, keep="all", name=record.id)):
        for frame, index in zip(snippet.frames, snippet.indices.tolist(), strict=True):
            takes_luma = number % every == 0
            if not takes_luma and index not in wanted:
                continue
            image = Image.fromarray(frame)
            if frame.shape[:2] != (HEIGHT, WIDTH):
                image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
            if takes_luma:
                luma.append(np.asarray(image.convert("L")))
                at.append(index)
            if index in wanted:
                pictures.append(np.asarray(image))
    assert decoder.info is not None
    if not pictures:  # the record promises more frames than the file holds
        raise ValueError(f"{record.id}: its file gives no frame at the places its record names; generate it again.")
    return Clip(
        **facts(record),
        num_frames=decoder.info.num_frames,
        luma=np.stack(luma),
        joins=np.diff(np.array(at)) == 1,
        pictures=np.stack(pictures),
    )
