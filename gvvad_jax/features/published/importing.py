"""A published list and the files under the user's root → a feature set, with sentence vectors a text set beside it.

Everything that can be refused as a whole is looked at before a set is begun: the list, its counts, the files, their
shapes. Then threads read, check and write a video each; a video that fails is a line in errors.jsonl.
"""

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gvvad_jax import datasets, program, records
from gvvad_jax.datasets.entry import NORMAL
from gvvad_jax.features.published import layouts, lists, places
from gvvad_jax.records import manifest

NUMBERS = re.compile(r"\d[\d,.]*")
TEXT_ENCODER = "sup-simcse-bert-base-uncased"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an import is told, apart from where files are; names as the flags of tools/import_features.py."""

    dataset: str
    layout: str = "auto"
    encoder_name: str = ""
    text_encoder_name: str = TEXT_ENCODER
    split: str | None = None
    skip_missing: bool = False
    workers: int = 4


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a call did. Ids in `failed` are in errors.jsonl beside the set."""

    path: Path
    made: int
    there: int
    texts: int | None
    counts: str
    shape: str
    failed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def status(self) -> int:
        """The program's: 0 where every listed video is there, else 1."""
        return int(bool(self.failed))

    def __str__(self) -> str:
        said = [f"{self.made} videos imported", *([f"{self.there} were there"] if self.there else [])]
        said += [f"{self.texts} texts"] if self.texts is not None else []
        said += [f"{len(set(self.failed))} failed (errors.jsonl)"] if self.failed else []
        where = f"{self.path}" if self.texts is None else f"{self.path}, {self.path}-text"
        return f"{', '.join(said)}; list of {self.counts}; {self.shape}: {where}"


@dataclass(frozen=True)
class _Job:
    video: lists.Video
    paths: tuple[Path, ...]
    text: Path | None


_Task = tuple[_Job, Callable[[], Any], records.Writer]


def import_features(list_path: Path, root: Path, out: Path, options: Options, text_root: Path | None = None) -> Summary:
    """Writes the feature set `out` (and with `text_root` the text set `out`-text) of a published list.

    Called again it makes what is missing. Another list may be added to a finished set. ValueError or
    FileNotFoundError where it cannot run, before anything is written.
    """
    if options.workers < 1:
        raise ValueError(f"--workers={options.workers}; at least 1 is needed.")
    videos, notes = lists.videos(list_path, options.dataset, options.split)
    there_already = records.reader(out) if (out / manifest.NAME).exists() else None
    if there_already is not None and there_already.kind == "feature":
        _refuse_conflicts(there_already, videos, list_path)
        if options.layout == "auto":  # a short list may not tell what the set it is added to has told
            kept_layout = there_already.manifest["options"].get("layout", "auto")
            options = dataclasses.replace(options, layout=kept_layout)
    jobs, left_out = _located(list_path, videos, root, text_root, options)
    plan, rows, unreadable = _planned(jobs, options.layout)
    jobs = [job for job in jobs if job.video.id not in unreadable]
    errors = program.Errors(out / "errors.jsonl")
    ids = {video.id for video in videos}
    earlier = [row for row in errors.read() if row["id"] not in ids]
    made: Counter[str] = Counter()
    remarks: dict[str, list[str]] = {}
    with contextlib.suppress(_Nothing), _features(out, options, plan) as features:
        there = sum(id in features for id in ids)
        _refuse_unfinished(features, set(there_already.ids) if there_already else set(), ids)
        for id, reason in (left_out | unreadable).items():
            errors.add(id, reason)
        with contextlib.suppress(_Nothing), _texts(out, options, text_root) as texts:
            tasks = [(job, _feature(job, plan, root, options), features) for job in jobs]
            if texts is not None:
                tasks += [(job, _text(job, rows, text_root, options), texts) for job in jobs if job.text]
            tasks = [task for task in tasks if task[0].video.id not in task[2]]
            failed: dict[str, Exception] = {}
            for job, writer, result in _done(tasks, options.workers):
                if isinstance(result, Exception):
                    failed.setdefault(job.video.id, result)
                    continue
                made[writer.kind] += 1
                for note in result:
                    alike = NUMBERS.sub("…", note.removeprefix(f"{job.video.id}: "))
                    remarks.setdefault(alike, []).append(job.video.id)
            for id in sorted(failed):  # below the progress line, and always in one order
                errors.add(id, failed[id])
            _require_some(texts)
        _require_some(features)
    # Only now: a run killed before here tries again what failed in the ones before it.
    if errors.rows or earlier:
        records.write_jsonl(errors.path, [*earlier, *errors.rows])
    else:
        errors.clear()
    return Summary(
        path=out,
        made=made["feature"],
        there=there,
        texts=None if text_root is None else made["text"],
        counts=_counts(videos),
        shape=f"[T, {plan.crops}, {plan.width}] read as {plan.layout}",
        failed=tuple(row["id"] for row in errors.rows),
        notes=(*notes, *(f"{note} ({len(ids)} videos: {lists.some(sorted(ids), 3)})" for note, ids in remarks.items())),
    )


class _Nothing(Exception):
    """Leaves a writer without a finished set: not one video could be read."""


def _require_some(writer: records.Writer | None) -> None:
    if writer is not None and not writer.done:
        raise _Nothing


def _features(out: Path, options: Options, plan: layouts.Plan) -> records.Writer:
    kept = {"dataset": options.dataset, "layout": plan.layout, "encoder_name": options.encoder_name}
    return records.writer(out, "feature", options=kept)


def _texts(
    out: Path, options: Options, text_root: Path | None
) -> contextlib.AbstractContextManager[records.Writer | None]:
    if text_root is None:
        return contextlib.nullcontext()
    kept = {"dataset": options.dataset, "text_encoder_name": options.text_encoder_name}
    return records.writer(out.with_name(f"{out.name}-text"), "text", options=kept)


def _located(
    list_path: Path, videos: Sequence[lists.Video], root: Path, text_root: Path | None, options: Options
) -> tuple[list[_Job], dict[str, str]]:
    """The videos whose files are there, and what others lack; missing files are refused, all named, unless skipped."""
    index = places.Index(root)
    texts = places.Index(text_root, (".npy",)) if text_root is not None else None
    together = {"auto": None, "crop_files": True}.get(options.layout, False)
    where = str(root) if text_root is None else f"{root} and {text_root}"
    jobs, missing, left_out = [], [], {}
    for video in videos:
        paths, absent = index.of_video(video, together)
        text = texts.text(video) if texts is not None else None
        if paths and not absent:
            jobs.append(_Job(video, tuple(paths), text))
        if texts is not None and text is None:
            absent = [*absent, places.text_stems(video)[0]]
        if absent:
            missing += absent
            left_out[video.id] = f"no file {', '.join(absent)} under {where}"
    if missing and not options.skip_missing:
        raise FileNotFoundError(
            f"{list_path}: {len(missing)} files of its {len(videos)} videos are missing under {where}: "
            f"{', '.join(missing)}; add them, or leave them out knowingly with --skip_missing."
        )
    if not jobs:
        raise FileNotFoundError(f"{list_path}: not one of its {len(videos)} videos has a file under {root}.")
    return jobs, left_out


def _planned(jobs: Sequence[_Job], layout: str) -> tuple[layouts.Plan, dict[str, int], dict[str, str]]:
    """How the files are read, how many rows each video has, and why some cannot be read."""
    shapes, refused = {}, {}
    for job in jobs:
        try:
            shapes[job.video.id] = [layouts.shape_of(path, job.video.id) for path in job.paths]
        except (ValueError, OSError) as error:
            refused[job.video.id] = str(error)
    if not shapes:
        raise ValueError(f"not one of {len(jobs)} videos can be read; the first: {next(iter(refused.values()))}")
    texts = {job.video.id for job in jobs if job.paths[0].suffix.lower() == ".txt"} & shapes.keys()
    mostly_text = 2 * len(texts) > len(shapes)
    for id in shapes.keys() - texts if mostly_text else texts:
        refused[id] = f"{id}: text and .npy files are mixed in this list; import each kind by a list of its own"
        del shapes[id]
    plan = layouts.decide(shapes, mostly_text, layout)
    return plan, {id: plan.rows(each) for id, each in shapes.items()}, refused


def _feature(job: _Job, plan: layouts.Plan, root: Path, options: Options) -> Callable[[], records.Feature]:
    def make() -> records.Feature:
        video, entry = job.video, job.video.entry
        visual = plan.read(video.id, job.paths)
        num_frames, intervals, notes = frames(video, len(visual), plan.snippet_frames)
        return records.Feature(
            id=video.id,
            dataset=options.dataset,
            split=video.split,
            label=video.label,
            synthetic=video.synthetic,
            num_frames=num_frames,
            snippet_frames=plan.snippet_frames,
            visual=visual,
            category=entry.category if entry else NORMAL if video.label == 0 else "",
            fps=entry.fps if entry else None,
            intervals=intervals,
            encoder={"name": options.encoder_name} if options.encoder_name else {},
            source={"file": job.paths[0].relative_to(root).as_posix(), "listed": video.lines[0].path},
            notes=(*(entry.notes if entry else ()), *notes),
        )

    return make


def frames(video: lists.Video, rows: int, snippet_frames: int) -> tuple[int, list[tuple[int, int]] | None, list[str]]:
    """(frame count, intervals, notes): what the data set knows, else 16 frames a row; a mismatch is noted, no more."""
    known = video.entry.num_frames if video.entry else None
    num_frames, notes = known or 16 * rows, []
    if known is None:
        notes.append(f"{video.id}: frame count not known, taken as 16 a row")
    elif snippet_frames and abs(rows - known / snippet_frames) > 1:
        snippets = f"{known / snippet_frames:,.1f} snippets"
        notes.append(f"{video.id}: {rows} rows, but {known:,} frames as published, {snippets}")
    intervals = video.entry.intervals if video.entry else () if video.label == 0 else None
    if intervals is None:
        return num_frames, None, notes
    try:
        kept, cut = datasets.clip(intervals, num_frames, video.id, slack=2 if known else 16)
    except ValueError as error:
        return num_frames, list(intervals), [*notes, str(error)]
    return num_frames, kept, notes + cut


def _text(job: _Job, rows: Mapping[str, int], text_root: Path | None, options: Options) -> Callable[[], records.Text]:
    def make() -> records.Text:
        id, path = job.video.id, job.text
        assert path is not None and text_root is not None
        vectors = layouts.load(path, id)
        if vectors.ndim != 2 or not vectors.size:
            raise ValueError(f"{id}: {path} has shape {list(vectors.shape)}, but text is [sentences, width].")
        apart = rows[id] > 0 and abs(len(vectors) - rows[id]) > 1
        record = records.Text(
            id=id,
            vectors=vectors,
            sentence_encoder={"name": options.text_encoder_name} if options.text_encoder_name else {},
            source={"file": path.relative_to(text_root).as_posix()},
            notes=[f"{id}: {len(vectors)} rows of text, but {rows[id]} of features"] if apart else [],
        )
        records.require_finite(record)
        return record

    return make


def _done(tasks: Sequence[_Task], workers: int) -> Iterator[tuple[_Job, records.Writer, Exception | Sequence[str]]]:
    """Each task with its record's notes, or why it failed, as they end.

    What the writer itself refuses is no file's fault: it is raised.
    """

    def work(job: _Job, make: Callable[[], Any], writer: records.Writer) -> Exception | Sequence[str]:
        try:
            record = make()
        except (ValueError, OSError) as error:
            return error
        writer.add(record)
        return record.notes

    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(work, *task): task for task in tasks}
        try:
            for future in program.progress(as_completed(futures), "import", len(futures), "file"):
                job, _, writer = futures[future]
                yield job, writer, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _refuse_conflicts(reader: records.Reader, videos: Sequence[lists.Video], list_path: Path) -> None:
    rows = {row["id"]: row for row in reader.rows}
    for video in videos:
        row = rows.get(video.id)
        here = {"split": video.split, "label": video.label, "synthetic": video.synthetic}
        if row and any(row[key] != value for key, value in here.items()):
            there = {key: row[key] for key in here}
            raise ValueError(
                f"{reader.path} has {video.id} already, as {there}, but {list_path} gives {here}; name another folder."
            )


def _refuse_unfinished(writer: records.Writer, finished: set[str], ids: set[str]) -> None:
    """What a killed import of another list left would be taken for a whole set."""
    strangers = sorted(set(writer.done) - finished - ids)
    if strangers:
        raise ValueError(
            f"{writer.path} holds an unfinished import of another list ({lists.some(strangers, 3)}); run that one to "
            "its end first, or name another folder."
        )


def _counts(videos: Sequence[lists.Video]) -> str:
    """`810 + 297 generated anomalous, 800 + 299 generated normal (train)`."""
    found = Counter((video.label, video.synthetic) for video in videos)
    names: Mapping[int, str] = {1: "anomalous", 0: "normal", -1: "unlabelled"}
    said = [
        f"{found[label, 0]}{f' + {found[label, 1]} generated' if found[label, 1] else ''} {name}"
        for label, name in names.items()
        if found[label, 0] or found[label, 1]
    ]
    return f"{', '.join(said)} ({videos[0].split})"
