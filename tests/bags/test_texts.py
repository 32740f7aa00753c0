"""Sentence vectors of several sets as one, and what is refused before a detector reads them."""

import numpy as np
import pytest

from gvvad_jax import bags, records
from tests.bags.test_batches import write


def write_text(path, rows, width=2, encoder="toy"):
    rng = np.random.default_rng(len(rows))
    with records.writer(path, kind="text") as writer:
        for id, count in rows.items():
            vectors = rng.normal(size=(count, width)).astype(np.float32)
            writer.add(records.Text(id=id, vectors=vectors, sentence_encoder={"name": encoder}))
    return records.reader(path)


def test_sets_of_one_width_and_encoder_are_one(tmp_path):
    first, second = write_text(tmp_path / "a", {"x": 3}), write_text(tmp_path / "b", {"y": 4})
    texts = bags.Texts([first, second])
    assert set(texts) == {"x", "y"} and texts.width == 2 and texts.encoder == "toy"
    assert texts.counts() == {"x": 3, "y": 4} and texts["y"].shape == (4, 2)
    for number, (width, encoder, words) in enumerate(((3, "toy", "has width 3"), (2, "other", "has sentence_encoder"))):
        other = write_text(tmp_path / f"c{number}", {"z": 1}, width, encoder)
        with pytest.raises(ValueError, match=words):
            bags.Texts([first, other])


def test_videos_without_text_or_with_too_little_are_counted_and_named(tmp_path):
    videos = write(tmp_path / "set", [("x", 0, 0, 6), ("y", 1, 0, 6), ("z", 1, 0, 7)])
    bags.require_texts(bags.Texts([write_text(tmp_path / "enough", {"x": 3, "y": 6, "z": 9})]), [videos], "lap")
    with pytest.raises(ValueError, match=r"2 of 3 videos have no text in data.text \(y, z\); lap reads it"):
        bags.require_texts(bags.Texts([write_text(tmp_path / "few", {"x": 6})]), [videos], "lap")
    with pytest.raises(ValueError, match=r"1 of 3 videos have fewer than one sentence vector for two snippets \(z\)"):
        bags.require_texts(bags.Texts([write_text(tmp_path / "cut", {"x": 3, "y": 3, "z": 3})]), [videos], "lap")
    with pytest.raises(ValueError, match="lap reads text, but data.text is empty"):
        bags.require_texts(None, [videos], "lap")


@pytest.mark.parametrize("short", ["repeat", "mask"])
def test_a_description_stands_on_every_snippet_of_the_clip_it_made(tmp_path, short):
    real = write(tmp_path / "real", [("n", 0, 0, 5), ("a", 1, 0, 5)])
    generated = write(tmp_path / "made", [("g", 1, 1, 3)], source={"description_id": "d7"})
    texts = bags.Texts([write_text(tmp_path / "text", {"n": 5, "a": 5, "d7": 1})])
    stream = bags.training_stream(
        [real, generated], segments=4, batch=2, short=short, text=texts, text_source="description"
    )
    place = stream.ids(0).index("g")
    batch = stream[0]
    text, mask = batch.text[place // 2, place % 2], batch.text_mask[place // 2, place % 2]
    assert mask.tolist() == batch.mask[place // 2, place % 2].tolist()
    np.testing.assert_array_equal(text[mask], np.repeat(texts["d7"], mask.sum(), 0))
    with pytest.raises(ValueError, match="g: no text vectors in data.text"):
        bags.training_stream([real, generated], segments=4, batch=2, short=short, text=texts)
