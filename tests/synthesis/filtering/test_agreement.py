"""A clip's pictures against its text, its pair's text and its label, and a detector's scores against its label."""

import numpy as np
import pytest

from gvvad_jax.synthesis.filtering import agreement


class Toy:
    """Bright pictures are anomalous; sentences that name something anomalous lie beside them."""

    scale = 10.0
    words = ("fight", "accident", "explosion", "robbery", "falls")

    def encode_images(self, pictures):
        light = pictures.mean((1, 2, 3)) / 255
        return np.stack([light, 1 - light], 1).astype(np.float32)

    def encode_texts(self, sentences):
        return np.array([[1, 0] if any(w in s for w in self.words) else [0, 1] for s in sentences], np.float32)


def two():
    facts = [
        {"id": "a", "label": 1, "text": "a fight", "pair_id": "0"},
        {"id": "n", "label": 0, "text": "people stand", "pair_id": "0"},
    ]
    bright, dark = (np.full((4, 2, 2, 3), value, np.uint8) for value in (230, 20))
    return facts, bright, dark


def test_a_clip_that_shows_its_event_has_a_margin_and_the_other_one_has_not():
    facts, bright, dark = two()
    model = Toy()
    right = agreement.event(facts, [model.encode_images(bright), model.encode_images(dark)], model)
    wrong = agreement.event(facts, [model.encode_images(dark), model.encode_images(bright)], model)
    assert all(row["margin"] > 0 and row["zero_shot"] > 0.5 for row in right)
    assert all(row["margin"] < 0 and row["zero_shot"] < 0.5 for row in wrong)
    assert right[0]["similarity"] == pytest.approx(230 / np.hypot(230, 25), abs=1e-3)


def test_without_a_model_text_or_pair_a_number_is_none():
    facts, bright, _ = two()
    assert agreement.event(facts, [None, None], None) == [dict.fromkeys(agreement.EVENT)] * 2
    model = Toy()
    alone = agreement.event(facts[:1], [model.encode_images(bright)], model)[0]
    assert alone["margin"] is None and alone["similarity"] is not None
    silent = agreement.event([facts[0] | {"text": "", "label": -1}], [model.encode_images(bright)], model)[0]
    assert silent == dict.fromkeys(agreement.EVENT)


def test_disagreement_is_the_label_less_the_highest_tenth_of_scores(tmp_path):
    facts, _, _ = two()
    path = tmp_path / "scores.npz"
    np.savez(path, **{"scores/a": np.r_[np.full(18, 0.1), 0.6, 0.8].astype(np.float32)})
    assert agreement.disagreement(facts, path) == [pytest.approx(0.3), None]
    assert agreement.disagreement(facts, None) == [None, None]
    np.savez(path, **{"scores/x": np.zeros(3)})
    with pytest.raises(ValueError, match="none of the 2 clips"):
        agreement.disagreement(facts, path)
    np.savez(path, **{"scores/a": np.array([0.1, np.nan])})
    with pytest.raises(ValueError, match="scores/a"):
        agreement.disagreement(facts, path)
    np.savez(path, **{"scores/a": np.array(["high"])})
    with pytest.raises(ValueError, match="scores.npz: scores/a cannot be read"):
        agreement.disagreement(facts, path)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="scores.npz"):
        agreement.disagreement(facts, path)
