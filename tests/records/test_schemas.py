"""Round trips of every kind, bit for bit; what the writer refuses."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gvvad_jax import records
from gvvad_jax.records import fields, schemas
from tests.records import samples

# beartype draws random items of a list to check, which hypothesis notices
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ids = st.one_of(
    words.filter(bool), st.sampled_from(["a/b/c.mp4", "../x", "视频/Überfall 1", "\x00", "é", "e\u0301", "😀", "\n"])
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, json_values, max_size=3)
intervals = st.none() | st.lists(st.tuples(st.integers(0, 99), st.integers(100, 2**40)), max_size=3)
notes = st.lists(words, max_size=2).map(tuple)
sizes = st.integers(1, 4)
fps = st.none() | st.floats(1e-3, 1e6)


def bits(dtype: type, *shape: int) -> st.SearchStrategy[np.ndarray]:
    """Arrays of any bits whatever: every NaN payload, signed zero and subnormal number."""
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
    return hnp.arrays(unsigned, shape).map(lambda a: a.view(dtype))


@st.composite
def features(draw: st.DrawFn, id: st.SearchStrategy[str] = ids) -> records.Feature:
    t, c, f, k = draw(sizes), draw(sizes), draw(sizes), draw(sizes)
    names = draw(st.none() | st.lists(words, min_size=k, max_size=k).map(tuple))
    cut = draw(st.integers(1, f))
    return records.Feature(
        id=draw(id),
        dataset=draw(words),
        split=draw(st.sampled_from(schemas.SPLITS)),
        label=draw(st.sampled_from([0, 1, -1])),
        synthetic=draw(st.sampled_from([0, 1])),
        num_frames=draw(st.integers(1, 2**40)),
        snippet_frames=draw(st.integers(0, 64)),
        visual=draw(bits(draw(st.sampled_from([np.float16, np.float32])), t, c, f)),
        category=draw(words),
        fps=draw(fps),
        blocks=draw(st.sampled_from([(), (records.Block("a", 0, cut),)])),
        baselines=None if names is None else draw(bits(np.float32, t, k)),
        baseline_names=names or (),
        crop_boxes=draw(st.none() | bits(np.float32, c, 4)),
        crop_order=draw(words),
        intervals=draw(intervals),
        encoder=draw(objects),
        source=draw(objects),
        notes=draw(notes),
    )


@st.composite
def texts(draw: st.DrawFn) -> records.Text:
    t, e = draw(sizes), draw(sizes)
    spans = draw(st.none() | hnp.arrays(np.int64, (t, 1), elements=st.integers(0, 2**40)))
    return records.Text(
        id=draw(ids),
        vectors=draw(bits(draw(st.sampled_from([np.float16, np.float32])), t, e)),
        spans=None if spans is None else np.concatenate([spans, spans + 64], axis=1),
        sentences=draw(st.just(()) | st.lists(words, min_size=t, max_size=t).map(tuple)),
        sentence_encoder=draw(objects),
        source=draw(objects),
        notes=draw(notes),
    )


@st.composite
def videos(draw: st.DrawFn) -> records.Video:
    spoken = st.tuples(st.integers(0, 9), st.integers(10, 99), words)
    return records.Video(
        id=draw(ids),
        label=draw(st.sampled_from([0, 1, -1])),
        synthetic=draw(st.sampled_from([0, 1])),
        split=draw(st.sampled_from(schemas.SPLITS)),
        num_frames=draw(st.integers(1, 99)),
        height=draw(st.integers(1, 9999)),
        width=draw(st.integers(1, 9999)),
        video=draw(st.binary(min_size=1, max_size=50)),
        category=draw(words),
        fps=draw(fps),
        source=draw(objects),
        intervals=draw(intervals),
        captions=draw(st.none() | st.lists(spoken, max_size=2)),
        notes=draw(notes),
    )


@samples.examples(150)
@given(st.one_of(features(), texts(), videos()))
def test_every_bit_of_a_record_survives(record):
    data = schemas.pack(fields.checked(record))
    samples.assert_same(schemas.unpack(data), record)
    assert schemas.pack(fields.checked(schemas.unpack(data))) == data


@samples.examples(10)
@given(st.lists(ids, min_size=1, max_size=8, unique=True), st.integers(1, 4))
def test_every_bit_of_a_set_survives(tmp_path_factory, names, shards):
    path = tmp_path_factory.mktemp("sets") / "set"
    items = [samples.feature(id, snippets=1 + i) for i, id in enumerate(names)]
    samples.write(path, "feature", items, shards=shards)
    r = records.reader(path)
    assert r.ids == sorted(names)
    for item in items:
        samples.assert_same(r.by_id(item.id), item)
    assert records.check(path) == []


def test_unknown_intervals_are_not_no_intervals():
    none, empty = (schemas.unpack(schemas.pack(fields.checked(samples.feature(intervals=i)))) for i in (None, []))
    assert none.intervals is None and empty.intervals == []


def test_numpy_scalars_and_tuples_become_what_json_gives_back():
    r = fields.checked(
        samples.feature(encoder={"size": np.int64(3), "box": (1, 2.5)}, blocks=[records.Block("a", 0, 8)])
    )
    samples.assert_same(schemas.unpack(schemas.pack(r)), r)
    assert r.encoder == {"size": 3, "box": [1, 2.5]} and type(r.encoder["size"]) is int


def test_arrays_of_any_memory_order_are_kept_as_they_read():
    visual = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(3, 2, 4))[::-1]
    r = schemas.unpack(schemas.pack(fields.checked(samples.feature(visual=visual))))
    assert (r.visual == visual).all() and not r.visual.flags.writeable


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": ""}, "not empty"),
        ({"visual": np.zeros((2, 3), np.float32)}, r"shape \[2, 3\]"),
        ({"visual": np.zeros((0, 1, 3), np.float32)}, r"shape \[0, 1, 3\]"),
        ({"visual": np.zeros((2, 1, 3))}, "<f8"),
        ({"visual": np.zeros((2, 1, 3), ">f4")}, ">f4"),
        ({"split": "val"}, "train, validation, test"),
        ({"label": 2}, "label 2"),
        ({"synthetic": -1}, "synthetic -1"),
        ({"num_frames": 0}, "at least 1"),
        ({"fps": float("nan")}, "fps"),
        ({"intervals": [(5, 5)]}, r"\[5, 5\]"),
        ({"intervals": [(-1, 5)]}, r"\[-1, 5\]"),
        ({"intervals": [(1, 2, 3)]}, r"\[1, 2, 3\]"),
        ({"baselines": np.zeros((5, 1), np.float32)}, r"'baselines' has shape \[5, 1\]"),
        ({"baselines": np.zeros((4, 1), np.float32), "baseline_names": ("a",)}, r"\[5, 1\]"),
        ({"baseline_names": ("a",)}, "no baselines"),
        ({"crop_boxes": np.zeros((3, 4), np.float32)}, r"\[2, 4\]"),
        ({"blocks": (records.Block("a", 0, 9),)}, "0 to 9"),
        ({"blocks": (records.Block("a", 0, 4), records.Block("b", 3, 8))}, "3 to 8"),
        ({"blocks": (records.Block("a", 0, 4), records.Block("a", 4, 8))}, "'a'"),
        ({"encoder": {"x": float("inf")}}, "'encoder'"),
        ({"encoder": {"x": {1: 2}}}, "key that is no text"),
        ({"source": {"x": object()}}, "'source'"),
        ({"category": "\ud800"}, "category"),
    ],
)
def test_a_wrong_feature_is_refused_in_one_sentence(change, says):
    with pytest.raises(ValueError, match=says) as caught:
        fields.checked(samples.feature(**({"id": "cam 1"} | change)))
    assert "\n" not in str(caught.value) and ("id" in change or "cam 1" in str(caught.value))


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (samples.text(sentences=("one",)), "1 sentences but 3 vectors"),
        (samples.text(spans=[[0, 1], [1, 2]]), r"\[3, 2\]"),
        (samples.text(spans=[[0, 1], [1, 2], [4, 4]]), "half-open"),
        (samples.text(vectors=np.zeros((3, 4), np.int32)), "<i4"),
        (samples.video(video=b""), "no mp4"),
        (samples.video(height=0), "'height' is 0"),
        (samples.video(captions=[(0, 5)]), "a caption"),
    ],
)
def test_a_wrong_text_or_video_is_refused(record, says):
    with pytest.raises(ValueError, match=says):
        fields.checked(record)


def test_nan_is_kept_by_the_writer_and_named_by_require_finite():
    visual = np.ones((2, 1, 3), np.float16)
    records.require_finite(samples.feature(visual=visual))
    visual[1, 0, 2] = np.nan
    fields.checked(samples.feature(visual=visual))
    with pytest.raises(ValueError, match=r"cam 1: 1 of the 6 values of 'visual'"):
        records.require_finite(samples.feature("cam 1", visual=visual))
    with pytest.raises(ValueError, match="'vectors'"):
        records.require_finite(samples.text(vectors=np.full((1, 1), np.inf, np.float32)))


@samples.examples(200)
@given(st.data())
def test_a_blob_with_changed_bytes_is_an_error_or_a_record(data):
    blob = bytearray(schemas.pack(fields.checked(samples.feature(snippets=1, crops=1, width=2))))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        record = schemas.unpack(bytes(blob[: data.draw(st.integers(0, len(blob)))]))
    except ValueError:
        return
    assert isinstance(record, records.Feature)


def test_every_field_of_the_schemas_is_in_the_documentation():
    page = (samples.ROOT / "docs" / "records.md").read_text()
    for cls in (records.Feature, records.Text, records.Video, records.Description):
        assert [f.name for f in dataclasses.fields(cls) if f"`{f.name}`" not in page] == []
