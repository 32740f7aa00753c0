"""Videos to sentences by GIT: windows of frames, a few frames evenly from each, token ids, text.

Windows of several videos share a batch of fixed size; while the device works on one, the next is decoded. A window's
sentence depends on its own frames alone.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Int, UInt8

from gvvad_jax import datasets, program, records
from gvvad_jax.features import captions
from gvvad_jax.features.sentences import SentenceEncoder, name_of, tokenizer
from gvvad_jax.models import clip, git
from gvvad_jax.video import decode
from gvvad_jax.weights import finite, folder, hub

MAX_LENGTH = 50  # tokens of a sentence, its first and its end counted; captions seldom reach half of it
PER_DEVICE = {"cpu": 1}  # windows a device and call
PER_ACCELERATOR = 16
Sources = Mapping[str, Callable[[], decode.Source]]


@runtime_checkable
class Writer(Protocol):
    """What writes sentences: cropped frames of at most `batch` windows are begun, and their sentences ended later."""

    batch: int
    frames: int  # of a window
    identity: dict[str, Any]

    def crop(self, frame: Any, /) -> np.ndarray:
        """The pixels that it sees of a frame."""
        ...

    def begin(self, windows: Any, /) -> Any:
        """Starts on windows."""
        ...

    def end(self, begun: Any, /) -> Sequence[str | Exception]:
        """For each window its sentence, or why its video has none."""
        ...


class Captioner:
    """GIT of a folder or hub name, its tokenizer and pixels; float32 on a CPU and bfloat16 on accelerators."""

    def __init__(self, path: str | Path, max_length: int = MAX_LENGTH, has_clip_pixels: bool = False):
        """ValueError or OSError where weights, tokenizer or settings are missing or damaged.

        `has_clip_pixels`: CLIP's, whatever the folder's preprocessor_config.json says.
        """
        path = hub.folder_of(path)
        devices = np.array(jax.local_devices())
        dtype = "float32" if devices[0].platform == "cpu" else "bfloat16"
        model = git.load(path, dtype)
        finite.require(model, path)
        self.config, self.max_length = model.config, min(max_length, model.config.positions)
        self.frames = self.config.frames or 1
        self.tokenizer = tokenizer(path, self.max_length)
        if self.tokenizer.get_vocab_size() > self.config.vocabulary:
            raise ValueError(
                f"{path}: its tokenizer knows {self.tokenizer.get_vocab_size():,} tokens, its network "
                f"{self.config.vocabulary:,}; they do not belong together."
            )
        pixels = git.clip_pixels(self.config.size) if has_clip_pixels else git.pixels(path, self.config.size)
        self.crop = pixels.crop
        self.identity: dict[str, Any] = {
            "name": name_of(path),
            "weights_sha256": folder.sha256(path),
            "frames": self.frames,
            "max_length": self.max_length,
            "pixels": {
                "short": pixels.short,
                "size": pixels.size,
                "resample": pixels.resample,
                "mean": list(pixels.mean),
                "std": list(pixels.std),
            },
            "dtype": dtype,
        }
        self.batch = len(devices) * PER_DEVICE.get(devices[0].platform, PER_ACCELERATOR)
        mesh = jax.sharding.Mesh(devices, ("data",), axis_types=(AxisType.Auto,))
        whole, split = PartitionSpec(), PartitionSpec("data")
        table = jnp.asarray(pixels.table)
        graph, state = nnx.split(model)
        self._state = jax.device_put(state, NamedSharding(mesh, whole))

        def run(state: Any, images: jax.Array) -> jax.Array:
            return nnx.merge(graph, state).greedy(clip.looked_up(table, images), self.max_length)[0]

        # Each device by itself: it stops at the end of its own sentences, and on a CPU attention goes row by row, which
        # the compiler would gather from all devices.
        self._run = jax.jit(jax.shard_map(run, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False))

    def __call__(self, windows: UInt8[np.ndarray, "n frames size size 3"]) -> list[str]:
        """A sentence for each window of frames that `crop` made."""
        found: list[str] = []
        for start in range(0, len(windows), self.batch):
            found += self.end(self.begin(windows[start : start + self.batch]))
        return found

    def begin(self, windows: Sequence[UInt8[np.ndarray, "frames size size 3"]] | UInt8[np.ndarray, "..."]) -> Any:
        """Starts at most `batch` windows on the device, without waiting."""
        images = np.zeros((self.batch, self.frames, self.config.size, self.config.size, 3), np.uint8)
        images[: len(windows)] = windows
        return len(windows), self._run(self._state, images)

    def end(self, begun: Any) -> list[str]:
        """The sentences of what was begun."""
        return [self.text(row) for row in self.ids(begun)]

    def ids(self, begun: Any) -> Int[np.ndarray, "n length"]:
        """Their token ids, the first token among them."""
        count, ids = begun
        return np.asarray(ids)[:count]

    def text(self, ids: Int[np.ndarray, " length"]) -> str:
        """The sentence up to its end token, without special tokens."""
        ends = np.flatnonzero(ids[1:] == self.config.end)
        kept = ids[1 : 1 + ends[0]] if len(ends) else ids[1:]
        return self.tokenizer.decode(kept.tolist(), skip_special_tokens=True).strip()


def sources(videos: Sequence[datasets.Entry] | records.Reader) -> Sources:
    """By id where each video's frames are: the records of a video set, or the files of a data set's entries."""
    if isinstance(videos, records.Reader):
        if videos.kind != "video":
            raise ValueError(f"{videos.path} is a {videos.kind} set, but captions are of a video set.")
        return {row["id"]: lambda i=i: videos[i].video for i, row in enumerate(videos.rows)}  # pyright: ignore
    return {entry.id: lambda path=entry.path: path for entry in videos if entry.path is not None}


def write(
    out: str | Path,
    encoder: SentenceEncoder,
    captioner: Writer,
    videos: Sequence[datasets.Entry] | records.Reader,
    *,
    window: int = captions.WINDOW,
    stride: int = captions.STRIDE,
    shards: int = 1,
) -> captions.Summary:
    """Captions videos and writes the text set `out`, each video as it is done; run again it makes what lacks.

    A video that cannot be read is a line in `out`/errors.jsonl, and the rest goes on.
    """
    captions.require_frames(window, stride)
    found = sources(videos)
    if not found:
        raise ValueError("there is no video to caption.")

    def written(todo: Iterable[str], errors: program.Errors) -> Iterator[captions.Captioned]:
        with decode.Decoder() as decoder:
            for id, spans, texts in sentences(captioner, ((id, found[id]) for id in todo), decoder, window, stride):
                if isinstance(texts, Exception):
                    errors.add(id, texts)
                else:
                    if empty := texts.count(""):
                        logging.warning(
                            "%s: %d of %d windows got no words; their sentence is empty", id, empty, len(texts)
                        )
                    yield id, spans, texts

    return captions.embed(
        out,
        encoder,
        list(found),
        written,
        {"captions": captioner.identity, "window": window, "stride": stride},
        source={"captions": captioner.identity["name"], "captioner": captioner.identity},
        together=1,
        shards=shards,
    )


@dataclass(eq=False)
class _Video:
    """One that is under way; `sentences` has a place for each window begun."""

    id: str
    spans: captions.Spans = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    count: int | None = None  # of its windows, once all are known
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or self.count == len(self.sentences)


def sentences(
    captioner: Writer,
    videos: Iterable[tuple[str, Callable[[], decode.Source]]],
    decoder: decode.Decoder,
    window: int = captions.WINDOW,
    stride: int = captions.STRIDE,
) -> Iterator[tuple[str, captions.Spans, list[str] | Exception]]:
    """Each video's windows and their sentences, or why it has none, in the videos' order."""
    waiting: collections.deque[_Video] = collections.deque()
    pending: list[tuple[_Video, np.ndarray]] = []
    running: collections.deque[tuple[list[_Video], Any]] = collections.deque()

    def begin() -> None:
        running.append(([video for video, _ in pending], captioner.begin([images for _, images in pending])))
        pending.clear()
        if len(running) > 1:
            end()

    def end() -> None:
        owners, begun = running.popleft()
        if all(owner.error for owner in owners):
            return
        for owner, text in zip(owners, captioner.end(begun), strict=True):
            if isinstance(text, Exception):
                owner.error = owner.error or text
            else:
                owner.sentences.append(text)

    def done() -> Iterator[tuple[str, captions.Spans, list[str] | Exception]]:
        while waiting and waiting[0].is_done:
            video = waiting.popleft()
            yield video.id, video.spans, video.error or video.sentences

    for id, load in videos:
        waiting.append(video := _Video(id))
        for cropped in _cropped(captioner, id, load, decoder, window, stride):
            if isinstance(cropped, Exception):
                video.error = cropped
                break
            video.spans.append(cropped[0])
            pending.append((video, cropped[1]))
            if len(pending) == captioner.batch:
                begin()
            if video.error is not None:  # the rest of it is not asked for
                break
        else:
            video.count = len(video.spans)
        if video.error is not None:
            pending[:] = [item for item in pending if item[0] is not video]
        yield from done()
    if pending:
        begin()
    while running:
        end()
    yield from done()


def _cropped(
    captioner: Writer,
    id: str,
    load: Callable[[], decode.Source],
    decoder: decode.Decoder,
    window: int,
    stride: int,
) -> Iterator[tuple[tuple[int, int], np.ndarray] | Exception]:
    """A video's windows; last what is wrong with its file, as anything else is ours and ends the run."""
    try:
        snippets = decoder.snippets(load(), keep="all", name=id)
        frames = (frame for snippet in snippets for frame in snippet.frames)
        yield from cut(frames, captioner.crop, captioner.frames, window, stride)
    except (ValueError, OSError) as error:
        yield error


def cut(
    frames: Iterable[np.ndarray], crop: Callable[[np.ndarray], np.ndarray], count: int, window: int, stride: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """The windows of a stream of frames, as `captions.windows` has them, and `count` cropped frames evenly of each.

    From its first to its last frame; a window of fewer than `count` frames repeats some. At most one window is held.
    """
    held: dict[int, np.ndarray] = {}
    start = number = 0

    def taken(stop: int) -> tuple[tuple[int, int], np.ndarray]:
        return (start, stop), np.stack([held[i] for i in evenly(start, stop, count)])

    for frame in frames:
        if number >= start:
            held[number] = crop(frame)
        number += 1
        if number == start + window:
            yield taken(number)
            start += stride
            held = {i: image for i, image in held.items() if i >= start}
    while start < number:
        yield taken(number)
        start += stride


def evenly(start: int, stop: int, count: int) -> list[int]:
    """`count` frames of [start, stop), the first and the last among them."""
    return np.linspace(start, stop, count).clip(start, stop - 1).astype(int).tolist()
