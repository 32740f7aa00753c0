"""Videos to a set of feature records, resumed where it stopped.

Threads decode, resize and cut (each with a worker process of its own); the caller's thread fills the encoder's batch
with crops of whatever snippets come and writes each video as it ends. An image's vector depends on the image alone, so
the set does not depend on the order, on the number of workers and hosts or on where an earlier run was killed.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvvad_jax import datasets, hosts, program, records
from gvvad_jax.features import video
from gvvad_jax.features.encoders import Encoder
from gvvad_jax.records import manifest
from gvvad_jax.video import decode

WAITING = 4  # snippets between decoding and encoding, which bounds memory


@dataclass(frozen=True, kw_only=True)
class Source:
    """One video to extract."""

    id: str
    dataset: str
    num_frames: int | None
    load: Callable[[], Path | bytes]
    describe: Callable[[], dict[str, Any]]  # what its record repeats: split, label, intervals …


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a call did. Ids in `failed` are in errors.jsonl beside the set."""

    path: Path
    made: int
    there: int
    failed: tuple[str, ...]
    later: int  # videos that came after the set was finished; they are not in it
    frames: int
    seconds: float

    @property
    def status(self) -> int:
        """The program's: 0 where no video failed, else 1."""
        return int(bool(self.failed))

    def __str__(self) -> str:
        said = [f"{self.made} videos made"]
        if self.made:
            said.append(f"{self.frames:,} frames in {self.seconds:.0f} s")
        if self.there:
            said.append(f"{self.there} were there")
        if self.failed:
            said.append(f"{len(self.failed)} failed (errors.jsonl)")
        if self.later:
            said.append(f"{self.later} are not in this finished set (name another --out to have them)")
        return f"{', '.join(said)}: {self.path}"


def extract(
    videos: Sequence[datasets.Entry] | records.Reader,
    encoder: Encoder,
    options: video.Options,
    out: str | Path,
    *,
    dataset: str = "folder",
    workers: int = 2,
    shards: int = 8,
    decoder: Callable[[], decode.Decoder] = decode.Decoder,
    share: hosts.Share = hosts.Share(),  # noqa: B008, frozen
) -> Summary:
    """Writes the feature set `out` of a data set's entries or of a video set (whose records then are of `dataset`).

    A video that fails is a line in `out`/errors.jsonl and the rest goes on. Called again it makes what is missing; on a
    finished set it tries only the videos in errors.jsonl. Other options than the set was begun with: ValueError.
    `decoder` makes each thread's, with its limits of memory and time. With a `share` every process calls it alike and
    makes its own videos; process 0's summary is of all.
    """
    if workers < 1:
        raise ValueError(f"workers={workers}; at least 1 is needed.")
    out, start = Path(out), time.perf_counter()
    found = _sources(videos, dataset)
    if not found:
        raise ValueError("there is no video to extract.")
    identity = options.identity(encoder)
    errors = program.Errors(out / "errors.jsonl")
    failed_before = {row["id"] for row in errors.read()}
    is_finished = (out / manifest.NAME).exists()
    made, frames, later = 0, 0, 0
    asked = {"dataset": found[0].dataset} | options.asked(encoder)
    with contextlib.suppress(_Nothing), share.open(out, "feature", shards, asked) as writer:
        if isinstance(writer, records.Helper):
            errors = program.Errors(writer.beside(share.index))
        there = len(writer.done)
        missing = [s for s in found if s.id not in writer]
        todo = [s for s in missing if not is_finished or s.id in failed_before]
        later = len(missing) - len(todo)
        if share.count > 1:
            todo.sort(key=lambda source: source.id)
        for source, result in _results(share.of(todo), encoder, options, workers, decoder):
            try:
                if isinstance(result, Exception):
                    raise result
                record = _record(source, result, identity, encoder)
                records.require_finite(record)
            except (ValueError, OSError) as error:
                errors.add(source.id, error)
                continue
            writer.add(record)
            made, frames = made + 1, frames + result.info.num_frames
        part = {"made": made, "frames": frames, "errors": errors.rows, "failed": [row["id"] for row in errors.rows]}
        parts = share.join(writer, [source.id for source in todo], part)
        made, frames = (sum(part[name] for part in parts) for name in ("made", "frames"))
        failed = [row for part in parts for row in part["errors"]]
        if not writer.done:
            raise _Nothing
    # Only now: a run killed before here tries again what failed in the ones before it.
    if share.index == 0 and failed:
        records.write_jsonl(errors.path, failed)
    elif share.index == 0:
        errors.clear()
    share.wait()
    return Summary(
        path=out,
        made=made,
        there=there,
        failed=tuple(row["id"] for row in failed),
        later=later,
        frames=frames,
        seconds=time.perf_counter() - start,
    )


class _Nothing(Exception):
    """Leaves the writer without a finished set: not one video could be read."""


def _sources(videos: Sequence[datasets.Entry] | records.Reader, dataset: str) -> list[Source]:
    if not isinstance(videos, records.Reader):
        return [_from_entry(entry) for entry in videos]
    if videos.kind != "video":
        raise ValueError(f"{videos.path} is a {videos.kind} set, but features are made of a video set.")
    return [_from_record(videos, i, dataset) for i in range(len(videos))]


def _from_entry(entry: datasets.Entry) -> Source:
    path = entry.path
    if path is None:
        raise ValueError(f"{entry.id}: its entry has no file; pass entries that datasets.entries found.")
    names = ("split", "label", "category", "intervals", "fps", "notes")
    fields = {name: getattr(entry, name) for name in names} | {"synthetic": 0, "source": {"file": path.name}}
    return Source(
        id=entry.id, dataset=entry.dataset, num_frames=entry.num_frames, load=lambda: path, describe=lambda: fields
    )


def _from_record(reader: records.Reader, i: int, dataset: str) -> Source:
    """Its bytes are read when its turn comes."""
    row = reader.rows[i]
    names = ("split", "label", "category", "intervals", "fps", "notes", "synthetic", "source")
    return Source(
        id=row["id"],
        dataset=dataset,
        num_frames=row["num_frames"],
        load=lambda: reader[i].video,
        describe=lambda: {name: getattr(reader[i], name) for name in names},
    )


def _record(source: Source, result: video.Features, identity: Mapping[str, Any], encoder: Encoder) -> records.Feature:
    """The record; intervals that end a frame or two past the video are cut there, further ones refused.

    So is a video over a snippet longer or shorter than published: its intervals would lie at other moments.
    """
    fields, info = source.describe(), result.info
    notes = [*fields["notes"], *(f"{source.id}: {note}" for note in info.notes)]
    if source.num_frames is not None and source.num_frames != info.num_frames:
        lengths = f"{source.id}: {info.num_frames:,} frames decoded, but {source.num_frames:,} as published"
        if fields["intervals"] and abs(source.num_frames - info.num_frames) > identity["snippet_frames"]:
            raise ValueError(f"{lengths}; its intervals do not fit: get the published file at its own frame rate")
        notes.append(lengths)
    if fields["intervals"] is not None:
        fields["intervals"], cut = datasets.clip(fields["intervals"], info.num_frames, source.id)
        notes += cut
    baselines, names = result.baselines, tuple(result.baseline_names)
    zero_shot = getattr(encoder, "zero_shot", None)
    if zero_shot is not None:  # the highest crop's, as an event fills one
        appearance = np.asarray(result.visual[..., : encoder.width], np.float32)
        found = zero_shot(appearance.reshape(-1, encoder.width)).reshape(appearance.shape[:2]).max(1)
        baselines, names = np.concatenate([baselines, found[:, None]], 1), (*names, "zero_shot")
    return records.Feature(
        **fields
        | {
            "id": source.id,
            "dataset": source.dataset,
            "num_frames": info.num_frames,
            "fps": info.fps if fields["fps"] is None else fields["fps"],
            "snippet_frames": identity["snippet_frames"],
            "visual": result.visual,
            "blocks": result.blocks,
            "baselines": baselines,
            "baseline_names": names,
            "crop_boxes": result.plan.fractions,
            "crop_order": result.plan.order,
            "encoder": identity,
            "notes": notes,
        }
    )


def _results(
    todo: Sequence[Source],
    encoder: Encoder,
    options: video.Options,
    workers: int,
    decoder: Callable[[], decode.Decoder],
) -> Iterator[tuple[Source, video.Features | Exception]]:
    """Each video's features, or why it has none, in the order in which they are done."""
    jobs: queue.SimpleQueue[Source] = queue.SimpleQueue()
    for source in todo:
        jobs.put(source)
    found: queue.Queue[tuple[Source | None, Any]] = queue.Queue(WAITING)
    stop = threading.Event()
    devices = jax.local_devices()
    threads = [
        threading.Thread(
            target=_decode,
            args=(jobs, found, stop, options, encoder.size, devices[i % len(devices)], decoder),
            daemon=True,
        )
        for i in range(min(workers, len(todo)))
    ]
    for thread in threads:
        thread.start()
    batches, running = video.Batches(encoder), len(threads)
    begun: dict[str, list[video.Part]] = {}
    ended: dict[str, tuple[Source, decode.Info]] = {}
    try:
        counts = [source.num_frames for source in todo]
        total = None if None in counts else sum(filter(None, counts))
        with program.Progress("extract", len(todo), total) as progress:
            while running:
                source, item = found.get()
                if source is None:
                    if item is not None:
                        raise item
                    running -= 1
                    if not running:
                        with progress.device():
                            batches.finish()
                elif isinstance(item, video.Part):
                    begun.setdefault(source.id, []).append(item)
                    with progress.device():
                        batches.add(item)
                    progress.add(item.num_frames)
                elif isinstance(item, decode.Info):
                    ended[source.id] = (source, item)
                else:
                    begun.pop(source.id, None)
                    progress.end()
                    yield source, item
                for id in [id for id in ended if all(part.images is None for part in begun[id])]:
                    source, info = ended.pop(id)
                    progress.end()
                    yield source, video.assemble(begun.pop(id), info)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _decode(
    jobs: "queue.SimpleQueue[Source]",
    found: "queue.Queue[tuple[Source | None, Any]]",
    stop: threading.Event,
    options: video.Options,
    size: int,
    device: Any,
    make_decoder: Callable[[], decode.Decoder],
) -> None:
    """A thread's work: its videos' snippets, then Info or what was wrong with the file; last (None, None or a bug)."""

    def give(source: Source | None, item: Any) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                return found.put((source, item), timeout=0.2)

    try:
        with make_decoder() as decoder, jax.default_device(device):
            while not stop.is_set():
                try:
                    source = jobs.get_nowait()
                except queue.Empty:
                    break
                try:
                    for part in video.parts(decoder, source.load(), source.id, options, size):
                        if stop.is_set():
                            return
                        give(source, part)
                    give(source, decoder.info)
                except (ValueError, OSError) as error:  # the file's fault; anything else is ours and ends the run
                    give(source, error)
    except BaseException as error:
        give(None, error)
    else:
        give(None, None)
