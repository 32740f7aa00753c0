import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import records
from gvvad_jax.features import captions, sentences
from tests.features import bert_folder

DRAWN = [(0, 64, "a man walks"), (16, 80, "a man falls"), (32, 96, "people runs"), (48, 100, "the street is empty")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return sentences.create(bert_folder.make(tmp_path_factory.mktemp("bert") / "small-bert"))


def video(id, num_frames=100, captions=None):
    return records.Video(
        id=id,
        label=0,
        synthetic=1,
        split="train",
        num_frames=num_frames,
        height=2,
        width=2,
        video=b"mp4",
        captions=captions,
    )


@pytest.fixture
def clips(tmp_path):
    with records.writer(tmp_path / "clips", "video", shards=1) as w:
        w.add(video("a", captions=DRAWN))
        w.add(video("b", num_frames=17, captions=[(0, 17, "a car burns")]))
        w.add(video("c"))
    return records.reader(tmp_path / "clips")


@given(st.integers(1, 500), st.integers(1, 80), st.integers(1, 40))
def test_windows_begin_every_stride_and_cover_no_frame_beyond_the_video(num_frames, window, stride):
    spans = captions.windows(num_frames, window, stride)
    assert len(spans) == -(-num_frames // stride)
    assert all(start == stride * i and start < end <= num_frames for i, (start, end) in enumerate(spans))


def test_each_window_takes_the_caption_that_overlaps_it_best():
    spans = captions.windows(100)
    # Windows that are the captions' own take their own; the last ones lie in several, of which the shortest fits best.
    assert captions.choose(DRAWN, spans) == [text for _, _, text in DRAWN] + ["the street is empty"] * 3
    assert captions.choose([(0, 30, "early"), (60, 100, "late")], captions.windows(100, 16, 16)) == [
        *["early"] * 3,
        *["late"] * 4,
    ]


def test_captions_of_records_become_text_records_and_a_rerun_makes_what_lacks(clips, encoder, tmp_path):
    done = captions.write(tmp_path / "text", encoder, videos=clips)
    assert (done.made, done.failed, done.status) == (2, ("c",), 1)
    assert records.read_jsonl(tmp_path / "text" / "errors.jsonl")[0]["id"] == "c"
    text = records.reader(tmp_path / "text").by_id("a")
    assert text.spans.tolist() == [[s, e] for s, e in captions.windows(100)] and text.sentences[0] == "a man walks"
    np.testing.assert_array_equal(text.vectors, encoder(list(text.sentences)))
    assert text.sentence_encoder == encoder.identity
    again = captions.write(tmp_path / "text", encoder, videos=clips)
    assert (again.made, again.there) == (0, 2)
    with pytest.raises(ValueError, match="stride"):
        captions.write(tmp_path / "text", encoder, videos=clips, stride=8)


def test_a_caption_file_counts_before_the_records_and_must_have_the_windows(clips, encoder, tmp_path):
    rows = [{"a": ["a man falls"] * 8}, {"b": ["a car burns"] * 9, "c": ["the street is empty"] * 6}]
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    done = captions.write(tmp_path / "text", encoder, videos=clips, captions=tmp_path / "c.jsonl")
    assert (done.made, done.failed) == (2, ("b",))
    error = records.read_jsonl(tmp_path / "text" / "errors.jsonl")[0]["error"]
    assert "b: 9 sentences, but 17 frames make 2 windows" in error
    found = records.reader(tmp_path / "text")
    assert found.by_id("a").sentences == ("a man falls",) * 7 and len(found.by_id("c").vectors) == 6


def test_a_caption_file_alone_is_a_text_set_of_all_that_it_names(encoder, tmp_path):
    (tmp_path / "c.jsonl").write_text('{"x": ["a man", "a car", "a street"]}\n')
    done = captions.write(tmp_path / "text", encoder, captions=tmp_path / "c.jsonl")
    assert (done.made, done.sentences, done.status) == (1, 3, 0)
    assert records.reader(tmp_path / "text")[0].spans.tolist() == [[0, 64], [16, 80], [32, 96]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"a": ["x"]}\n{"a": ["y"]}', "row 2: 'a' is captioned twice"),
        ('{"a": "x"}', "'a' needs a list of sentences"),
        ('{"a": []}', "'a' needs a list of sentences"),
        ('{"a": [1]}', "'a' needs a list of sentences"),
        ('{"": ["x"]}', "row 1: a video without an id"),
        ("", "holds no captions"),
        ("[1]", "line 1: a list"),
        ("{", "line 1: not JSON"),
        ('{"other": ["x"]}', "names none of the 3 videos, such as 'a'"),
    ],
)
def test_bad_caption_files_are_refused_before_anything_is_written(clips, encoder, tmp_path, content, sentence):
    (tmp_path / "c.jsonl").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        captions.write(tmp_path / "text", encoder, videos=clips, captions=tmp_path / "c.jsonl")
    assert not (tmp_path / "text").exists()


def test_without_any_caption_one_sentence_says_where_they_come_from(encoder, tmp_path):
    with records.writer(tmp_path / "clips", "video", shards=1) as w:
        w.add(video("c"))
    with pytest.raises(ValueError, match="carries captions: give --weights=DIR of a captioner"):
        captions.write(tmp_path / "text", encoder, videos=records.reader(tmp_path / "clips"))
    assert not (tmp_path / "text").exists()
