"""Pictures and sentences through CLIP's own preprocessing and tokenizer, from a folder as it is published."""

import shutil

import numpy as np
import pytest

from gvvad_jax.models import clip, text_image
from gvvad_jax.synthesis.filtering import agreement
from tests.conftest import SHARED
from tests.models import clip_folder
from tests.models.clip_folder import END, START


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = SHARED / "golden" / "clip_tiny"
    if not source.is_dir():
        pytest.skip("no ../shared folder with reference cases beside the project")
    return clip_folder.make(source, tmp_path_factory.mktemp("clip") / "clip")


def test_words_become_merged_pieces_between_start_and_end(folder):
    ids = text_image.tokenizer(folder, 16).encode("  A\tCAT ").ids
    assert ids == [START, 26, 53, END] + [END] * 12
    assert len(text_image.tokenizer(folder, 16).encode("a " * 40).ids) == 16


def test_vectors_are_those_of_clip(folder):
    found, model = text_image.TextImage(folder), clip.load(folder)
    assert isinstance(found, agreement.TextImageModel)
    pictures = np.random.default_rng(0).integers(0, 256, (18, 40, 60, 3), dtype=np.uint8)
    wanted = model.encode_image(np.stack([clip.preprocess(picture, 32) for picture in pictures]))
    np.testing.assert_allclose(found.encode_images(pictures), wanted, atol=2e-6)
    sentences = ["a cat", "a b c"]
    np.testing.assert_allclose(found.encode_texts(sentences), model.encode_text(found.ids(sentences)), atol=2e-6)


@pytest.mark.parametrize(("name", "sentence"), [("vocab.json", "holds no tokenizer"), ("merges.txt", "no tokenizer")])
def test_a_folder_without_tokenizer_is_named(folder, tmp_path, name, sentence):
    path = shutil.copytree(folder, tmp_path / "clip")
    (path / name).unlink()
    with pytest.raises(FileNotFoundError, match=sentence):
        text_image.TextImage(path)


def test_a_damaged_vocabulary_is_one_sentence(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "clip")
    (path / "vocab.json").write_text("{")
    with pytest.raises(ValueError, match="its tokenizer is damaged"):
        text_image.TextImage(path)


def test_a_pictures_anomaly_is_the_softmax_share_of_the_anomalous_sentences():
    rng = np.random.default_rng(1)
    pictures, normal, anomalous = (rng.normal(size=(n, 6)) for n in (5, 3, 4))
    length = lambda x: np.linalg.norm(x, axis=-1)  # noqa: E731
    cosines = [pictures @ bank.T / np.outer(length(pictures), length(bank)) for bank in (normal, anomalous)]
    weights = [np.exp(7 * c).sum(1) for c in cosines]
    found = text_image.anomaly(pictures, [normal, anomalous], 7.0)
    np.testing.assert_allclose(found, weights[1] / sum(weights), rtol=1e-5)
    assert found.std() > 0.01


@pytest.mark.parametrize("cosine", [-0.3, 0.2])
def test_the_share_is_one_at_the_scale_and_the_cosines_of_published_models(cosine):
    """exp(100 * (0.2 - 1)) is 1e-35: next to nothing, but a share of it is as good as any."""
    cosines = np.random.default_rng(2).normal(cosine, 0.02, (4, 5))
    sentences = np.eye(6)[:5]
    pictures = np.concatenate([cosines, np.sqrt(1 - np.square(cosines).sum(1, keepdims=True))], 1)
    weights = np.exp(100 * (cosines - cosines.max(1, keepdims=True)))
    found = text_image.anomaly(pictures, [sentences[:2], sentences[2:]], 100.0)
    np.testing.assert_allclose(found, weights[:, 2:].sum(1) / weights.sum(1), rtol=1e-4)
    assert 0.01 < found.min() < found.max() < 0.99
