"""A bundle and the encoders that it names, made once: videos to scores, as its training set's videos were scored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gvvad_jax import detectors, evaluation
from gvvad_jax.features import captions, encoders, sentences, video

OWN_SET = "train on a set of tools/extract.py to score clips of your own"


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """A video's scores a frame, and what is known of it."""

    id: str
    scores: Float32[np.ndarray, " frames"]
    crops: np.ndarray | None  # int16 [snippets], the highest crop, where there are several
    crop_boxes: np.ndarray  # float32 [C, 4], x0, y0, x1, y1 as fractions of the frame
    snippet_frames: int
    fps: float | None
    notes: tuple[str, ...]


class Scorer:
    """The detector of a bundle with the encoder that made its features; a difference between them is refused."""

    def __init__(
        self,
        bundle: str | Path,
        *,
        weights: str | Path | None = None,
        text_weights: str | Path | None = None,
        has_captions: bool = False,
    ):
        """Reads the bundle and makes its encoders; `weights` and `text_weights` as theirs."""
        self.path = Path(bundle)
        self.detector, self.config = detectors.bundle.load(self.path)
        self.reads_text = detectors.reads_text(self.detector.name)
        if self.reads_text and not has_captions:
            raise ValueError(
                f"{self.path} holds a {self.detector.name}, which reads text: give --captions=FILE.jsonl, or "
                "--caption_weights (a folder of GIT), or train a detector that sees alone (--config.detector=rtfm)."
            )
        extraction = dict(self.config["extraction"])
        text = extraction.pop("sentence_encoder", None) or {}
        self.options = _options(extraction, self.path)
        self.encoder = encoders.create(str(extraction["name"]), weights)
        _require_same(extraction, self.options.identity(self.encoder), self.path, "--weights")
        self.sentences = self._sentence_encoder(text, text_weights) if self.reads_text else None

    def __call__(self, id: str, path: Path, texts: Sequence[str] | None = None) -> Scored:
        """Scores one video (a file or a folder of pictures); `texts`: its captions, where the detector reads text.

        What cannot be decoded, and captions of another length: ValueError or OSError that names the video.
        """
        if self.sentences is not None and texts is None:
            raise ValueError(f"{id}: the caption file does not name it; add its sentences.")
        found = video.features(path, self.encoder, self.options, name=str(path))
        if not np.isfinite(found.visual).all():
            raise ValueError(f"{path}: its features hold NaN or infinite values; look at the video.")
        vectors = None
        if self.sentences is not None:
            captions.fit(id, texts or (), found.info.num_frames)
            vectors = {id: self.sentences(texts or ())}
        given = evaluation.score_set(self.detector, _Set(_Item(id, found.visual)), texts=vectors, batch=1)[id]
        frames = evaluation.frame_scores(given.scores, found.info.num_frames, self.options.snippet_frames)
        return Scored(
            id=id,
            scores=np.asarray(frames, np.float32),
            crops=given.crops,
            crop_boxes=found.plan.fractions,
            snippet_frames=self.options.snippet_frames,
            fps=found.info.fps,
            notes=found.info.notes,
        )

    def _sentence_encoder(self, wanted: Mapping[str, Any], weights: str | Path | None) -> sentences.SentenceEncoder:
        made = sentences.create(weights)
        _require_same(wanted, made.identity, self.path, "--text_weights")
        if made.width != self.detector.inputs.text:
            raise ValueError(
                f"{self.path} was trained on sentence vectors of {self.detector.inputs.text} columns, but "
                f"{made.identity['name']} makes {made.width}; name the encoder it was trained with (--text_weights)."
            )
        return made


@dataclass(frozen=True, eq=False)
class _Item:
    id: str
    visual: np.ndarray


class _Set(Sequence):
    """One video in the form of a set, as evaluation reads it."""

    def __init__(self, item: _Item):
        self._item = item
        self.rows = [{"id": item.id, "num_snippets": len(item.visual)}]

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        return (self._item,)[index]


def _options(extraction: Mapping[str, Any], path: Path) -> video.Options:
    """How the bundle's features were made; features that this program did not make are refused."""
    name = extraction.get("name")
    if name is not None and name not in encoders.names():
        raise ValueError(
            f"{path} was trained on features of {name!r}, an encoder that this version does not run (it has "
            f"{', '.join(encoders.names())}); {OWN_SET}."
        )
    try:
        if name is None:
            raise KeyError("name")
        return video.Options.of(extraction)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(
            f"{path} does not say how its features were made, so no clip can be encoded alike; {OWN_SET}."
        ) from None


def _require_same(wanted: Mapping[str, Any], made: Mapping[str, Any], path: Path, flag: str) -> None:
    """Refuses an encoder whose identity is not the one that a bundle names, field for field."""
    made = json.loads(json.dumps(made))  # as the bundle's was
    for key in wanted:
        if wanted[key] != made.get(key):
            raise ValueError(
                f"{path} was trained with {key} {_short(wanted[key])}, but the encoder at hand has "
                f"{_short(made.get(key))}; name the weights it was trained with ({flag})."
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
