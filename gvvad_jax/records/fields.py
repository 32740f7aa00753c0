"""What is checked of a record's fields before it is written, and the form in which a reader gives them back."""

import dataclasses
import math
import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gvvad_jax.records import files, schemas
from gvvad_jax.records.schemas import Block, Feature, Record, Text, Video


def checked(record: Record) -> Any:
    """The record with its fields in the form a reader gives back; a wrong field: ValueError that names the video."""
    return {"feature": _feature, "text": _text, "video": _video}[schemas.kind_of(record)](record)


def json_object(value: Any, what: str) -> dict[str, Any]:
    """The dict as JSON gives it back (tuples become lists); one that JSON would change otherwise: ValueError."""

    def plain(item: Any) -> Any:
        if isinstance(item, Mapping):
            if not all(isinstance(key, str) for key in item):
                raise ValueError(f"{what} has a key that is no text; JSON would change it")
            return {str(key): plain(v) for key, v in item.items()}
        if isinstance(item, (list, tuple)):
            return [plain(v) for v in item]
        return item.item() if isinstance(item, np.generic) else item

    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is a {type(value).__name__}, but a dict is needed")
    result = plain(value)
    files.dump(result, what)
    return result


def _feature(r: Feature) -> Feature:
    visual = _array(r, "visual", r.visual, ("snippets", "crops", "width"), (np.float16, np.float32))
    snippets, crops, width = visual.shape
    names = _texts(r, "baseline_names", r.baseline_names)
    baselines, boxes = r.baselines, r.crop_boxes
    if baselines is not None:
        baselines = _array(r, "baselines", baselines, ("snippets", "baselines"), (np.float32,), (snippets, len(names)))
    elif names:
        raise ValueError(f"{r.id}: {len(names)} baseline_names but no baselines; give both or neither")
    if boxes is not None:
        boxes = _array(r, "crop_boxes", boxes, ("crops", "4"), (np.float32,), (crops, 4))
    blocks, at = [], 0
    for b in r.blocks:
        block = Block(
            _text_value(r, "a block's name", b.name), _count(r, "start", b.start, 0), _count(r, "stop", b.stop)
        )
        if not at <= block.start < block.stop <= width or block.name in {other.name for other in blocks}:
            raise ValueError(
                f"{r.id}: block '{block.name}' has columns {block.start} to {block.stop}, but blocks are named once, "
                f"follow each other and lie within 0 to {width}"
            )
        blocks, at = [*blocks, block], block.stop
    return dataclasses.replace(
        r,
        **_common(r),
        dataset=_text_value(r, "dataset", r.dataset),
        snippet_frames=_count(r, "snippet_frames", r.snippet_frames, 0),
        visual=visual,
        baselines=baselines,
        baseline_names=names,
        blocks=tuple(blocks),
        crop_boxes=boxes,
        crop_order=_text_value(r, "crop_order", r.crop_order),
        encoder=_json(r, "encoder", r.encoder),
    )


def _text(r: Text) -> Text:
    vectors = _array(r, "vectors", r.vectors, ("sentences", "width"), (np.float16, np.float32))
    spans, sentences = r.spans, _texts(r, "sentences", r.sentences)
    if spans is not None:
        spans = np.asarray(spans)
        spans = spans.astype(np.int64) if spans.dtype.kind in "iu" else spans
        spans = _array(r, "spans", spans, ("sentences", "2"), (np.int64,), (len(vectors), 2))
        if (spans[:, 0] < 0).any() or (spans[:, 0] >= spans[:, 1]).any():
            raise ValueError(f"{r.id}: a span of 'spans' holds no frame; give half-open frame ranges (start, end)")
    if sentences and len(sentences) != len(vectors):
        raise ValueError(
            f"{r.id}: {len(sentences)} sentences but {len(vectors)} vectors; give one sentence a vector, or none"
        )
    return dataclasses.replace(
        r,
        id=_id(r),
        vectors=vectors,
        spans=spans,
        sentences=sentences,
        sentence_encoder=_json(r, "sentence_encoder", r.sentence_encoder),
        source=_json(r, "source", r.source),
        notes=_texts(r, "notes", r.notes),
    )


def _video(r: Video) -> Video:
    if not isinstance(r.video, (bytes, bytearray, memoryview)) or len(r.video) == 0:
        raise ValueError(f"{r.id}: 'video' is no mp4 file's bytes, or empty")
    captions = r.captions
    if captions is not None:
        captions = [
            (*_interval(r, "captions", item[:2]), _text_value(r, "a caption", item[2] if len(item) == 3 else None))
            for item in captions
        ]
    return dataclasses.replace(
        r,
        **_common(r),
        height=_count(r, "height", r.height),
        width=_count(r, "width", r.width),
        video=bytes(r.video),
        captions=captions,
    )


def _common(r: Feature | Video) -> dict[str, Any]:
    if r.split not in schemas.SPLITS:
        raise ValueError(f"{r.id}: split '{r.split}' is none of {', '.join(schemas.SPLITS)}")
    label, synthetic = _integer(r, "label", r.label), _integer(r, "synthetic", r.synthetic)
    if label not in (0, 1, -1) or synthetic not in (0, 1):
        raise ValueError(
            f"{r.id}: label {label} and synthetic {synthetic}, but label is 0, 1 or -1 (unknown) and synthetic 0 or 1"
        )
    fps = r.fps
    if fps is not None and not (isinstance(fps, numbers.Real) and math.isfinite(fps) and fps > 0):
        raise ValueError(f"{r.id}: fps {fps} is no frame rate; give a positive number, or None where it is unknown")
    return {
        "id": _id(r),
        "label": label,
        "synthetic": synthetic,
        "num_frames": _count(r, "num_frames", r.num_frames),
        "category": _text_value(r, "category", r.category),
        "fps": None if fps is None else float(fps),
        "intervals": None if r.intervals is None else [_interval(r, "intervals", i) for i in r.intervals],
        "source": _json(r, "source", r.source),
        "notes": _texts(r, "notes", r.notes),
    }


def _id(r: Record) -> str:
    if not isinstance(r.id, str) or not r.id:
        raise ValueError(f"a {type(r).__name__} has the id {r.id!r}; give it text that is not empty")
    return _text_value(r, "id", r.id)


def _array(
    r: Record,
    name: str,
    array: Any,
    axes: tuple[str, ...],
    dtypes: tuple[type, ...],
    shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    allowed = " or ".join(np.dtype(d).name for d in dtypes)
    if not isinstance(array, np.ndarray) or array.dtype not in [np.dtype(d) for d in dtypes]:
        have = f"{array.dtype.str} array" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{r.id}: '{name}' is a {have}, but a record holds a NumPy array of {allowed}")
    if array.ndim != len(axes) or 0 in array.shape or (shape is not None and array.shape != shape):
        want = f"[{', '.join(axes)}]" + (f" = {list(shape)}" if shape is not None else ", none of them 0")
        raise ValueError(f"{r.id}: '{name}' has shape {list(array.shape)}, but it is {want}")
    return np.ascontiguousarray(array)


def _integer(r: Record, name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{r.id}: '{name}' is {value!r}, but a whole number is needed") from None


def _count(r: Record, name: str, value: Any, least: int = 1) -> int:
    number = _integer(r, name, value)
    if not least <= number < 2**63:
        raise ValueError(f"{r.id}: '{name}' is {number}, but at least {least} is needed")
    return number


def _interval(r: Record, name: str, value: Sequence[Any]) -> tuple[int, int]:
    bounds = [_integer(r, name, v) for v in value] if isinstance(value, Iterable) else [value]
    if len(bounds) != 2 or not 0 <= bounds[0] < bounds[1]:
        raise ValueError(f"{r.id}: {bounds} in '{name}' is no half-open frame range (start, end) with 0 <= start < end")
    return bounds[0], bounds[1]


def _text_value(r: Record, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{r.id!r}: {name} is {value!r}, but text is needed")
    files.dump(value, f"{r.id!r}: {name}")
    return str(value)


def _texts(r: Record, name: str, values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ValueError(f"{r.id}: '{name}' is one text; give a list of them")
    return tuple(_text_value(r, f"an item of '{name}'", value) for value in values)


def _json(r: Record, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return json_object(value, f"{r.id}: '{name}'")
