"""Clips of one's own to files: scores.npz, and for each clip scores.csv, curve.png and a page that plays it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import logging

from gvvad_jax import program, records
from gvvad_jax.datasets import files
from gvvad_jax.evaluation import output
from gvvad_jax.evaluation.videos import TestVideo
from gvvad_jax.features import captioner
from gvvad_jax.features import captions as caption_files
from gvvad_jax.inference.scorer import Scored, Scorer
from gvvad_jax.reports import page, plots
from gvvad_jax.reports.page import Curve, Figure, Page
from gvvad_jax.video import decode, preview

CLIP, PICTURE, TABLE, PAGE = "clip.mp4", "curve.png", "scores.csv", "index.html"
NO_PROOF = (
    "A score is no proof: look at the video before acting on it. Scores rank moments of a camera; choose a threshold "
    "from quiet recordings of your own."
)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Ids of what was scored, and of what failed (errors.jsonl says why)."""

    done: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def status(self) -> int:
        """The program's: 0 where no video failed, else 1."""
        return int(bool(self.failed))


def name(videos: Sequence[str | Path]) -> dict[str, Path]:
    """Videos by id: the file's name without a video's ending. Two of one id are refused, both named."""
    found: dict[str, Path] = {}
    for video in map(Path, videos):
        id = files.without_ending(video.name or video.resolve().name)
        if id in found:
            raise ValueError(f"{id}: two videos with one id, {found[id]} and {video}; rename one, or score them apart.")
        found[id] = video
    if not found:
        raise ValueError("no video is named; give one or more files, see --help.")
    return found


def score(
    videos: Sequence[str | Path],
    bundle: str | Path,
    out: str | Path,
    *,
    captions: str | Path | None = None,
    caption_weights: str | Path | None = None,
    weights: str | Path | None = None,
    text_weights: str | Path | None = None,
    players: bool = True,
    say: Callable[[str], Any] = logging.info,
) -> Summary:
    """Scores each video with a bundle and writes all of it into `out`; `say` gets a line a video as it is done.

    A video that fails is a line in `out`/errors.jsonl, and the rest goes on. A bundle that reads text needs `captions`
    (a caption file) or `caption_weights` (a folder of GIT, which captions each video). `players=False` leaves out the
    copies that pages play.
    """
    if captions is not None and caption_weights is not None:
        raise ValueError("give --captions (a file) or --caption_weights (a captioner), not both.")
    named, out = name(videos), Path(out)
    has_captions = captions is not None or caption_weights is not None
    scorer = Scorer(bundle, weights=weights, text_weights=text_weights, has_captions=has_captions)
    writer = captioner.Captioner(caption_weights) if caption_weights is not None and scorer.reads_text else None
    texts = caption_files.read(captions) if captions is not None and scorer.reads_text else {}
    errors, done = program.Errors(out / "errors.jsonl"), []
    # What an earlier run left of these videos must not pass for this one's.
    errors.clear()
    for stale in (out / "scores.npz", *(out / id / PAGE for id in named)):
        stale.unlink(missing_ok=True)
    with decode.Decoder() as decoder, program.Progress("score", len(named), prints=True) as progress:
        for id, path in named.items():
            try:
                sentences = _captions(texts, id) if writer is None else _written(writer, id, path, decoder)
                scored = scorer(id, path, sentences)
                _write(out / id, scored, path, scorer, decoder if players else None)
            except (ValueError, OSError) as error:
                progress.end()
                errors.add(id, error)
            else:
                progress.add(len(scored.scores))
                progress.end()
                say(_line(scored, out / id))
                done.append(scored)
    if done:
        write_scores(out / "scores.npz", done)
    return Summary(done=tuple(one.id for one in done), failed=tuple(row["id"] for row in errors.rows))


def write_scores(path: Path, done: Sequence[Scored]) -> None:
    """`scores/<id>` float32 a frame, `crops/<id>` int16 a snippet where C > 1, as a run's scores.npz."""
    videos = [TestVideo(id=one.id, category="", label=-1, scores=one.scores, crops=one.crops) for one in done]
    output.write_scores(path, videos)


def write_table(path: Path, scored: Scored) -> None:
    """A line a frame: frame from 0, second (empty where the frame rate is unknown), score."""
    with records.atomic_write(path, text=True) as file:
        file.write("frame,second,score\n")
        for frame, value in enumerate(scored.scores):
            second = "" if scored.fps is None else f"{frame / scored.fps:.3f}"
            file.write(f"{frame},{second},{value:.6f}\n")


def build(scored: Scored, config: Mapping[str, Any], bundle: str, media: str) -> Page:
    """The page of one video, which plays `media` where that is not empty."""
    highest = int(scored.scores.argmax())
    length = f"{len(scored.scores):,} frames" + (f", {len(scored.scores) / scored.fps:.1f} s" if scored.fps else "")
    provenance, extraction = config["provenance"], config["extraction"]
    details = {
        "bundle": bundle,
        "trained on": provenance.get("trained_on"),
        "step": provenance.get("step"),
        "encoder": f"{extraction.get('name')}, SHA-256 {str(extraction.get('weights_sha256'))[:16]}…",
        "crops": f"{extraction.get('crops')}, {extraction.get('resize')}",
        "motion": ", ".join(extraction.get("motion") or ()),
        "text": (extraction.get("sentence_encoder") or {}).get("name"),
        "snippet": f"{scored.snippet_frames} frames share a score",
    }
    player = "Play the clip and the mark follows; click the curve to jump to a moment." if media else ""
    return Page(
        title=scored.id,
        subtitle=f"scored by {config['detector']} ({config['variant']}) · {length}",
        figures=[
            Figure("highest score", f"{scored.scores[highest]:.2f}", _moment(scored, highest)),
            Figure("mean score", f"{scored.scores.mean():.2f}"),
        ],
        curves=[
            Curve(
                id=scored.id,
                scores=scored.scores,
                anchor="video",
                fps=scored.fps,
                picture=PICTURE,
                media=media,
                threshold=config["threshold"],
            )
        ],
        curves_title="Score over frames",
        curves_text=f"From 0 to 1. {player}".strip(),
        notes=[*scored.notes, NO_PROOF],
        details={name: str(value) for name, value in details.items() if value},
    )


def _captions(texts: Mapping[str, list[str]], id: str) -> list[str] | None:
    """A video's sentences by its id, or by the only id of a set (a path) that ends in it."""
    if id in texts:
        return texts[id]
    ending = [other for other in texts if other.endswith(f"/{id}")]
    if len(ending) > 1:
        raise ValueError(f"{id}: the caption file has {ending[0]} and {ending[1]}; name one of them {id}.")
    return texts[ending[0]] if ending else None


def _written(writer: captioner.Captioner, id: str, path: Path, decoder: decode.Decoder) -> list[str]:
    """The captioner's sentences of a video, one for every window."""
    ((_, _, found),) = captioner.sentences(writer, [(id, lambda: path)], decoder)
    if isinstance(found, Exception):
        raise found
    return found


def _write(folder: Path, scored: Scored, source: Path, scorer: Scorer, decoder: decode.Decoder | None) -> None:
    """One video's folder; the page comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / TABLE, scored)
    threshold = scorer.config["threshold"]
    plots.curve(folder / PICTURE, scored.scores, (), title=scored.id, fps=scored.fps, threshold=threshold)
    if decoder is None:
        (folder / CLIP).unlink(missing_ok=True)
    else:
        preview.write(folder / CLIP, decoder.snippets(source, "all", name=str(source)), scored.fps)
    page.write(folder / PAGE, build(scored, scorer.config, str(scorer.path), CLIP if decoder is not None else ""))


def _line(scored: Scored, folder: Path) -> str:
    highest = int(scored.scores.argmax())
    said = f"highest {scored.scores[highest]:.3f} at {_moment(scored, highest)}"
    return f"{scored.id}: {len(scored.scores):,} frames, {said}: {folder / PAGE}"


def _moment(scored: Scored, frame: int) -> str:
    return f"frame {frame:,}" + (f", {frame / scored.fps:.1f} s" if scored.fps else "")
