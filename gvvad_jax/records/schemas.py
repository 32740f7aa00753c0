"""What a record of each kind holds, and how it becomes bytes and a row of the index.

A record's array fields become tensors, its other fields one JSON object (blob.py). Arrays that are read back are
read-only. `docs/records.md` says the same for other programs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gvvad_jax.records import blob

SCHEMA = 1
SPLITS = ("train", "validation", "test")
Intervals = Sequence[Sequence[int]] | None


@dataclasses.dataclass(frozen=True)
class Block:
    """Columns [start, stop) of a feature's width that one encoder or motion channel filled."""

    name: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Feature:
    """Snippet features of one video."""

    id: str
    dataset: str
    split: str  # train | validation | test
    label: int  # 0 normal, 1 anomalous, -1 unknown
    synthetic: int  # 1 = generated
    num_frames: int
    snippet_frames: int  # 0: the snippets are equal parts of the video
    visual: np.ndarray = dataclasses.field(repr=False)  # [T, C, F] float16 or float32
    category: str = ""
    fps: float | None = None
    blocks: Sequence[Block] = ()
    baselines: np.ndarray | None = None  # [T, K] float32: what untrained scores need from the pixels
    baseline_names: Sequence[str] = ()
    crop_boxes: np.ndarray | None = None  # [C, 4] float32: x0, y0, x1, y1 as fractions of the upright frame
    crop_order: str = ""  # "centre", "five", "ten", "tiles 5x3"
    intervals: Intervals = None  # anomalous frames, half-open; None unknown, [] none
    encoder: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Text:
    """Sentence vectors of one video; joined to its features by id."""

    id: str
    vectors: np.ndarray = dataclasses.field(repr=False)  # [T', E] float16 or float32
    spans: np.ndarray | Sequence[Sequence[int]] | None = None  # [T', 2] int64 frame ranges, half-open
    sentences: Sequence[str] = ()  # T' of them, or none
    sentence_encoder: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Video:
    """One clip as an mp4 file's bytes, with what is known about it."""

    id: str
    label: int
    synthetic: int
    split: str
    num_frames: int
    height: int
    width: int
    video: bytes = dataclasses.field(repr=False)  # stored as the tensor `video`, uint8 [bytes]
    category: str = ""
    fps: float | None = None
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    intervals: Intervals = None
    captions: Sequence[Sequence[Any]] | None = None  # (start, end, sentence)
    notes: Sequence[str] = ()


Record = Feature | Text | Video
KINDS: dict[str, type] = {"feature": Feature, "text": Text, "video": Video}
ARRAYS = {"feature": ("visual", "baselines", "crop_boxes"), "text": ("vectors", "spans"), "video": ("video",)}
PLAIN = {k: {f.name for f in dataclasses.fields(cls)} - {*ARRAYS[k]} for k, cls in KINDS.items()}  # in a record's JSON
CONSTANTS = {  # one and the same in all records of a set, and in its manifest; null in a set without records
    "feature": ("num_crops", "width", "blocks", "baseline_names", "encoder"),
    "text": ("width", "sentence_encoder"),
    "video": (),
}
INDEXED = {  # fields of a record that its row in the index repeats; `where` sees these
    "feature": ("dataset", "split", "label", "synthetic", "category", "num_frames"),
    "text": (),
    "video": ("split", "label", "synthetic", "category", "num_frames"),
}
LENGTH = {"feature": ("num_snippets",), "text": ("num_vectors",), "video": ()}
ROW = {kind: ("id", "shard", "position", *INDEXED[kind], *LENGTH[kind]) for kind in KINDS}


def kind_of(record: Record) -> str:
    """`feature`, `text` or `video`."""
    for kind, cls in KINDS.items():
        if isinstance(record, cls):
            return kind
    raise ValueError(
        f"a {type(record).__name__} is no record; a set holds records.Feature, records.Text or records.Video"
    )


def pack(record: Record) -> bytes:
    """The bytes of a record that `fields.checked` gave back."""
    kind = kind_of(record)
    arrays, meta = {}, {"schema": SCHEMA, "kind": kind}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name not in ARRAYS[kind]:
            meta[field.name] = [dataclasses.asdict(b) for b in value] if field.name == "blocks" else value
        elif value is not None:
            arrays[field.name] = np.frombuffer(value, np.uint8) if field.name == "video" else value
    return blob.pack(arrays, meta, f"{record.id}: a field of the record")


def unpack(data: bytes, kind: str | None = None) -> Any:
    """A record from its bytes; bytes that are none, or of another kind or schema: ValueError."""
    arrays, meta = blob.unpack(data)
    schema, found = meta.get("schema"), str(meta.get("kind"))
    if schema != SCHEMA or found not in KINDS or kind not in (None, found):
        wanted = kind or " or ".join(KINDS)
        raise ValueError(f"a {found} record of schema {schema}, where a {wanted} record of schema {SCHEMA} is expected")
    cls = KINDS[found]
    fields: dict[str, Any] = {name: array for name, array in arrays.items() if name in ARRAYS[found]}
    fields |= {name: value for name, value in meta.items() if name in PLAIN[found]}
    try:
        for name in ("notes", "baseline_names", "sentences"):
            if name in fields:
                fields[name] = tuple(fields[name])
        for name in ("intervals", "captions"):
            if fields.get(name) is not None:
                fields[name] = [tuple(item) for item in fields[name]]
        if "blocks" in fields:
            fields["blocks"] = tuple(Block(b["name"], b["start"], b["stop"]) for b in fields["blocks"])
        if cls is Video:
            fields["video"] = fields["video"].tobytes()
        return cls(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a {cls.__name__} record without its fields ({error})") from None


def row(record: Record) -> dict[str, Any]:
    """What the index says about a record, its place apart."""
    values = {"id": record.id} | {name: getattr(record, name) for name in INDEXED[kind_of(record)]}
    if isinstance(record, Feature):
        values["num_snippets"] = record.visual.shape[0]
    if isinstance(record, Text):
        values["num_vectors"] = record.vectors.shape[0]
    return values


def constants(record: Record) -> dict[str, Any]:
    """What a record says about its whole set: the fields named in CONSTANTS."""
    if isinstance(record, Feature):
        blocks = [dataclasses.asdict(b) for b in record.blocks]
        values = (*record.visual.shape[1:], blocks, list(record.baseline_names), record.encoder)
    elif isinstance(record, Text):
        values = (record.vectors.shape[1], record.sentence_encoder)
    else:
        values = ()
    return dict(zip(CONSTANTS[kind_of(record)], values, strict=True))


def require_finite(record: Feature | Text) -> None:
    """Refuses NaN and Inf, which the writer keeps, in one sentence that names the video."""
    for name in ("visual", "baselines", "vectors"):
        array = getattr(record, name, None)
        if array is not None and (bad := int(array.size - np.isfinite(array).sum())):
            raise ValueError(
                f"{record.id}: {bad:,} of the {array.size:,} values of '{name}' are NaN or infinite; "
                "extract or import this video again, or leave it out"
            )
