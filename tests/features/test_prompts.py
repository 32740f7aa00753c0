import json

import numpy as np
import pytest

from gvvad_jax.features import prompts

PUBLISHED = {"UCF_abnormal_text_word": 26, "SHT_abnormal_text": 25, "TAD_abnormal_text_30": 30}


def test_a_bank_comes_back_as_it_was_written(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    sentences = ("ein Überfall", "a fight, in a car park", "")
    prompts.write_bank(tmp_path / "deep" / "bank.npz", vectors, sentences, {"name": "simcse", "pooling": "pooler"})
    found, texts, name = prompts.read_bank(tmp_path / "deep" / "bank.npz")
    assert found.tobytes() == vectors.tobytes() and found.dtype == np.float32
    assert (texts, name) == (sentences, "simcse")
    with np.load(tmp_path / "deep" / "bank.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["sentence_encoder", "sentences", "vectors"]
        assert json.loads(str(file["sentence_encoder"])) == {"name": "simcse", "pooling": "pooler"}


def test_a_bank_of_vectors_alone_has_no_sentences_and_no_name(tmp_path):
    np.savez(tmp_path / "bare.npz", vectors=np.ones((2, 4), np.float16))
    bank = prompts.read_bank(tmp_path / "bare.npz")
    assert bank.vectors.dtype == np.float32 and bank.sentences == () and bank.encoder == ""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_arrays_become_banks_with_every_bit(tmp_path, shared, name):
    source = shared / "data" / "gvvad_samples" / "prompts" / f"{name}.npy"
    prompts.import_array(source, tmp_path / "bank.npz", "sup-simcse-bert-base-uncased")
    bank = prompts.read_bank(tmp_path / "bank.npz")
    assert bank.vectors.shape == (PUBLISHED[name], 768) and np.array_equal(bank.vectors, np.load(source))
    assert bank.encoder == "sup-simcse-bert-base-uncased" and bank.sentences == ()


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.ones(4, np.float32), r"float32 of shape \[4\], but a prompt bank is"),
        (np.zeros((0, 4), np.float32), "holds no numbers"),
        (np.array([[1, 2], [np.nan, 1]], np.float32), "prompt 1 has NaN or infinite"),
        (np.array([[1e300, 1]]), "prompt 0 has NaN or infinite"),
        (np.array([[object()]]), "holds Python objects"),
    ],
)
def test_what_is_no_bank_is_refused_and_nothing_is_written(tmp_path, array, sentence):
    np.save(tmp_path / "odd.npy", array)
    with pytest.raises(ValueError, match=sentence):
        prompts.import_array(tmp_path / "odd.npy", tmp_path / "bank.npz", "")
    assert not (tmp_path / "bank.npz").exists()


def test_other_files_are_no_bank(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", scores=np.ones(3))
    np.save(tmp_path / "array.npy", np.ones((2, 2)))
    np.savez(tmp_path / "json.npz", vectors=np.ones((2, 2)), sentence_encoder=np.array("[1]"))
    for name in ("text.npz", "other.npz", "array.npy", "json.npz"):
        with pytest.raises(ValueError, match=f"{name} is no prompt bank"):
            prompts.read_bank(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        prompts.read_bank(tmp_path / "absent.npz")


def test_sentences_go_with_vectors_one_by_one(tmp_path):
    with pytest.raises(ValueError, match="1 sentences but 2 vectors"):
        prompts.write_bank(tmp_path / "bank.npz", np.ones((2, 4), np.float32), ("one",))
