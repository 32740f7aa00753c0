"""Captions to a set of text records: a sentence for every window of frames, and its vector.

Windows start every `stride` frames and take `window` frames (16 and 64, as the published caption files of this field),
the last ones what is left. Captions come from a file, from the records of a video set, or from a network (captioner).
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gvvad_jax import program, records
from gvvad_jax.features.sentences import SentenceEncoder

WINDOW, STRIDE = 64, 16
TOGETHER = 1024  # sentences embedded before they are written
NO_CAPTIONS = (
    "give --weights=DIR of a captioner (GIT), --captioner=openai, --captions=FILE.jsonl or a video set whose records "
    "carry captions"
)
Spans = list[tuple[int, int]]
Captioned = tuple[str, Spans, list[str]]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a call did. Ids in `failed` are in errors.jsonl beside the set."""

    path: Path
    made: int
    there: int
    sentences: int
    failed: tuple[str, ...]
    report: str = ""  # what a paid service took

    @property
    def status(self) -> int:
        """The program's: 0 where no video failed, else 1."""
        return int(bool(self.failed))

    def __str__(self) -> str:
        said = [f"{self.made} videos made, {self.sentences:,} sentences"]
        said += [f"{self.there} were there"] if self.there else []
        said += [f"{len(self.failed)} failed (errors.jsonl)"] if self.failed else []
        return f"{', '.join(said)}: {self.path}"


def windows(num_frames: int, window: int = WINDOW, stride: int = STRIDE) -> Spans:
    """Half-open frame ranges, ⌈frames / stride⌉ of them."""
    return [(start, min(start + window, num_frames)) for start in range(0, num_frames, stride)]


def read(path: str | Path) -> dict[str, list[str]]:
    """Sentences by video id of a caption file: lines of {"<video id>": [sentence, …]}, a sentence a window."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}; name a caption file (.jsonl).")
    found: dict[str, list[str]] = {}
    for number, row in enumerate(records.read_jsonl(path), 1):
        for id, sentences in row.items():
            if not id:
                raise ValueError(f"{path}, row {number}: a video without an id; name it.")
            if not isinstance(sentences, list) or not sentences or not all(isinstance(s, str) for s in sentences):
                raise ValueError(f"{path}, row {number}: '{id}' needs a list of sentences, one a window of frames.")
            if id in found:
                raise ValueError(f"{path}, row {number}: '{id}' is captioned twice; keep one of the rows.")
            found[id] = sentences
    if not found:
        raise ValueError(f"{path} holds no captions; a row is {{'video id': ['sentence', …]}}.")
    return found


def write(
    out: str | Path,
    encoder: SentenceEncoder,
    *,
    videos: records.Reader | None = None,
    captions: str | Path | None = None,
    ids: Sequence[str] | None = None,
    window: int = WINDOW,
    stride: int = STRIDE,
    shards: int = 1,
) -> Summary:
    """Writes the text set `out` of a video set's own captions, or of a caption file; run again it makes what lacks.

    With `captions` the file's sentences count, for the videos of `videos`, or of `ids`, or for all that it names. A
    video without captions, or with another number of them than it has windows, is a line in `out`/errors.jsonl.
    """
    require_frames(window, stride)
    if captions is None and videos is None:
        raise ValueError(f"{NO_CAPTIONS}.")
    if videos is not None and videos.kind != "video":
        raise ValueError(f"{videos.path} is a {videos.kind} set, but captions are of a video set.")
    given = None if captions is None else read(captions)
    if given is None and not any(videos[i].captions for i in range(len(videos))):  # pyright: ignore
        raise ValueError(f"no record of {videos.path} carries captions: {NO_CAPTIONS}.")  # pyright: ignore
    lengths = None if videos is None else {row["id"]: row["num_frames"] for row in videos.rows}
    wanted = list(lengths or ids or given or ())
    if given is not None and not set(wanted) & given.keys():
        raise ValueError(f"{captions} names none of the {len(wanted)} videos, such as {wanted[0]!r}; check its ids.")
    name = "records" if captions is None else Path(captions).name
    bytes_of = "records" if captions is None else hashlib.sha256(Path(captions).read_bytes()).hexdigest()
    return embed(
        out,
        encoder,
        wanted,
        lambda todo, errors: _captioned(todo, given, videos, lengths, errors, window, stride),
        {"captions": bytes_of, "window": window, "stride": stride},
        source={"captions": name},
        shards=shards,
    )


def embed(
    out: str | Path,
    encoder: SentenceEncoder,
    ids: Sequence[str],
    written: Callable[[Iterator[str], program.Errors], Iterator[Captioned]],
    options: Mapping[str, Any],
    *,
    source: Mapping[str, Any],
    together: int = TOGETHER,
    shards: int = 1,
) -> Summary:
    """Writes the text set `out` of the videos `ids`, whose windows and sentences `written` gives as it is asked.

    Videos that are there are not asked for; `written` adds those it has nothing for to the errors. `together`:
    sentences that are embedded before their videos are written. `options` and the encoder must be those of the set.
    """
    out = Path(out)
    errors = program.Errors(out / "errors.jsonl")
    made, there, count = 0, 0, 0
    options = {**options, "sentence_encoder": encoder.identity}
    with contextlib.suppress(_Nothing), records.writer(out, "text", shards, options) as writer:
        there = len(writer.done)
        errors.clear()
        todo = program.progress([id for id in ids if id not in writer], "caption", unit="video")
        for group in _groups(written(todo, errors), together):
            vectors = encoder([sentence for _, _, sentences in group for sentence in sentences])
            start = 0
            for id, spans, sentences in group:
                own = vectors[start : (start := start + len(sentences))]
                record = records.Text(
                    id=id,
                    vectors=own,
                    spans=spans,
                    sentences=sentences,
                    sentence_encoder=encoder.identity,
                    source=source,
                )
                records.require_finite(record)
                writer.add(record)
                made, count = made + 1, count + len(sentences)
        if not writer.done:
            raise _Nothing
    return Summary(path=out, made=made, there=there, sentences=count, failed=tuple(r["id"] for r in errors.rows))


def require_frames(window: int, stride: int) -> None:
    """ValueError where one of them is no number of frames."""
    if window < 1 or stride < 1:
        raise ValueError(f"window={window}, stride={stride}; give 1 or more frames.")


class _Nothing(Exception):
    """Leaves the writer without a finished set: not one video has captions that fit."""


def fit(id: str, sentences: Sequence[str], num_frames: int, window: int = WINDOW, stride: int = STRIDE) -> Spans:
    """The windows of a video that a file's sentences stand for; far too many or too few are refused."""
    spans = windows(num_frames, window, stride)
    if not len(spans) <= 2 * len(sentences) or len(sentences) > len(spans) + 1:
        raise ValueError(
            f"{id}: {len(sentences)} sentences, but {num_frames:,} frames make {len(spans)} windows that start every "
            f"{stride} frames; caption this very video, or give --stride."
        )
    return spans[: len(sentences)]


def choose(captions: Sequence[Sequence[Any]], spans: Spans) -> list[str]:
    """For each window the caption (start, end, sentence) that fits it best: intersection over union, else nearest."""

    def fits(caption: Sequence[Any], span: tuple[int, int]) -> tuple[float, int]:
        start, end = caption[:2]
        common = min(end, span[1]) - max(start, span[0])  # below 0: the gap between them
        return max(0, common) / (end - start + span[1] - span[0] - common), min(0, common)

    return [max(captions, key=lambda caption, span=span: fits(caption, span))[2] for span in spans]


def _captioned(
    todo: Iterator[str],
    given: Mapping[str, list[str]] | None,
    videos: records.Reader | None,
    lengths: Mapping[str, int] | None,
    errors: program.Errors,
    window: int,
    stride: int,
) -> Iterator[Captioned]:
    """Each video's windows and sentences; those that have none go to `errors`."""
    for id in todo:
        try:
            if given is None:
                assert videos is not None and lengths is not None
                own, spans = videos.by_id(id).captions, windows(lengths[id], window, stride)
                if not own:
                    raise ValueError(f"{id}: its record carries no captions; give --captions=FILE.jsonl.")
                yield id, spans, choose(own, spans)
            elif id not in given:
                raise ValueError(f"{id}: the caption file does not name it; add its sentences.")
            elif lengths is None:
                starts = [stride * i for i in range(len(given[id]))]
                yield id, [(start, start + window) for start in starts], given[id]
            else:
                spans = fit(id, given[id], lengths[id], window, stride)
                yield id, spans, given[id][: len(spans)]
        except (ValueError, OSError) as error:
            errors.add(id, error)


def _groups(found: Iterable[Captioned], together: int) -> Iterator[list[Captioned]]:
    group: list[Captioned] = []
    for item in found:
        group.append(item)
        if sum(len(sentences) for _, _, sentences in group) >= together:
            yield group
            group = []
    if group:
        yield group
