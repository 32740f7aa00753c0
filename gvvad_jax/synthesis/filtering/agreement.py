"""Whether a clip shows what it should: a text–image model on its description, and a detector's scores on its label.

Both are optional. Where one is absent the numbers are None, which the rule reports as not checked, never as passed.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from gvvad_jax.models import text_image

TOP = 0.1  # share of a clip's frames whose mean score stands for it
EVENT = ("similarity", "margin", "zero_shot")


@runtime_checkable
class TextImageModel(Protocol):
    """Vectors of pictures and sentences in one space; lengths need not be one."""

    scale: float  # of cosines before a softmax, as the model was trained (CLIP: 100)

    def encode_images(self, pictures: UInt8[np.ndarray, "n height width 3"]) -> Float[np.ndarray, "n width"]:
        """One vector a picture."""
        ...

    def encode_texts(self, sentences: Sequence[str]) -> Float[np.ndarray, "n width"]:
        """One vector a sentence."""
        ...


def event(
    facts: Sequence[Mapping[str, Any]], pictures: Sequence[np.ndarray | None], model: TextImageModel | None
) -> list[dict[str, float | None]]:
    """For each clip `similarity`, `margin` and `zero_shot`; `pictures` are the model's vectors of its frames.

    similarity: mean cosine of the frames and the clip's description. margin: that less the same with the paired
    description (same pair_id, other label). zero_shot: the probability, over fixed sentences of both kinds and from
    the half of the frames that look most anomalous, that the clip is of its class. None: no model, text, pair or class.
    """
    unknown: dict[str, float | None] = dict.fromkeys(EVENT)
    if model is None:
        return [dict(unknown) for _ in facts]
    sentences = sorted({fact["text"] for fact in facts if fact["text"]})
    known = dict(zip(sentences, text_image.unit(model.encode_texts(sentences)), strict=True)) if sentences else {}
    paired = {(fact["pair_id"], fact["label"]): fact["text"] for fact in facts if fact["pair_id"] and fact["text"]}
    banks = [model.encode_texts(bank) for bank in (text_image.NORMAL, text_image.ANOMALOUS)]
    found = []
    for fact, vectors in zip(facts, pictures, strict=True):
        row = dict(unknown)
        if vectors is not None:
            frames = text_image.unit(vectors)
            if fact["text"]:
                row["similarity"] = float((frames @ known[fact["text"]]).mean())
                other = paired.get((fact["pair_id"], 1 - fact["label"]))
                if other:
                    row["margin"] = row["similarity"] - float((frames @ known[other]).mean())
            if fact["label"] in (0, 1):
                share = np.sort(text_image.anomaly(frames, banks, model.scale))
                anomaly = float(share[len(share) // 2 :].mean())
                row["zero_shot"] = anomaly if fact["label"] else 1 - anomaly
        found.append(row)
    return found


def disagreement(facts: Sequence[Mapping[str, Any]], path: Path | None) -> list[float | None]:
    """|label − score| of each clip under a detector's scores.npz: its highest tenth of frames; None: not scored."""
    if path is None:
        return [None] * len(facts)
    try:
        arrays = np.load(path, allow_pickle=False)
        names = set(arrays.files)
    except (zipfile.BadZipFile, EOFError, ValueError, AttributeError):  # the last: one array, not an archive
        raise ValueError(f"{path}: not a .npz file of scores; evaluation writes scores.npz.") from None
    found = []
    with arrays:
        for fact in facts:
            key = f"scores/{fact['id']}"
            is_known = fact["label"] in (0, 1) and key in names
            found.append(abs(fact["label"] - _top(_row(arrays, key, path), path, fact["id"])) if is_known else None)
    if facts and not any(value is not None for value in found):
        raise ValueError(f"{path} holds scores/<id> for none of the {len(facts)} clips; score this video set first.")
    return found


def _row(arrays: Mapping[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    try:
        return np.asarray(arrays[key], np.float64)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:  # cut, or no numbers
        raise ValueError(f"{path}: {key} cannot be read ({error}); score this clip again.") from None


def _top(scores: np.ndarray, path: Path, id: str) -> float:
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
        raise ValueError(f"{path}: scores/{id} is not a row of numbers from 0 to 1; score this clip again.")
    return float(np.sort(scores)[-max(1, round(TOP * len(scores))) :].mean())
