"""BERT beside transformers' own: every state and every pooling, in the names that folders have (extra `parity`)."""

import numpy as np
import pytest
import safetensors.numpy

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gvvad_jax.features import sentences  # noqa: E402
from gvvad_jax.models import bert  # noqa: E402
from tests.features import bert_folder  # noqa: E402
from tests.parity import pretrained  # noqa: E402
from tests.parity.pretrained import close  # noqa: E402

SIZES = dict(vocab_size=80, hidden_size=42, intermediate_size=90, num_hidden_layers=4, num_attention_heads=7)


def given():
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 80, (4, 20)).astype(np.int32), np.ones((4, 20), np.int32)
    for row, length in enumerate((20, 13, 2, 1)):
        ids[row, length:], mask[row, length:] = 0, 0
    return ids, mask


@pytest.mark.parametrize(("stored", "shards"), [("float32", False), ("float16", True), ("bfloat16", False)])
def test_states_and_vectors_agree(tmp_path, stored, shards):
    config = transformers.BertConfig(**SIZES, max_position_embeddings=24, layer_norm_eps=1e-9)
    theirs = pretrained.drawn(transformers.BertModel(config), 1)
    ours = bert.load(pretrained.saved(theirs, tmp_path, stored, shards))
    ids, mask = given()
    with torch.no_grad():
        found = theirs(torch.from_numpy(ids).long(), torch.from_numpy(mask).long(), output_hidden_states=True)
    close(ours.embed(ids), found.hidden_states[0], "embedding")
    states = ours.layers.states(ours.embed(ids), ours.visible(mask))
    for number, state in enumerate(states):
        close(state, found.hidden_states[number + 1], f"layer {number}")
    last, kept = found.last_hidden_state, torch.from_numpy(mask)[..., None]
    mean = torch.nn.functional.normalize((last * kept).sum(1) / kept.sum(1))
    wanted = {"pooler": found.pooler_output, "cls": last[:, 0], "mean": mean}
    for pooling, vectors in wanted.items():
        close(ours.sentence_vectors(ids, mask, pooling), vectors, pooling)


def test_a_model_with_heads_of_pretraining_and_old_names_agrees(tmp_path):
    theirs = pretrained.drawn(transformers.BertForPreTraining(transformers.BertConfig(**SIZES)), 2)
    pretrained.saved(theirs, tmp_path)
    arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("cls.") for name in arrays) and "bert.pooler.dense.weight" in arrays
    for name in [name for name in arrays if "LayerNorm" in name]:
        arrays[name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")] = arrays.pop(name)
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    ids, mask = given()
    with torch.no_grad():
        wanted = theirs.bert(torch.from_numpy(ids).long(), torch.from_numpy(mask).long()).pooler_output
    close(bert.load(tmp_path).sentence_vectors(ids, mask), wanted, "pooler")


def test_sentences_of_a_folder_without_modules_agree_as_simcse(tmp_path):
    """One after another and together: a vector depends on its sentence alone."""
    path = bert_folder.make(tmp_path / "simcse", positions=20)
    theirs = transformers.BertModel.from_pretrained(path).eval()
    tokenizer = transformers.BertTokenizer(str(path / "vocab.txt"))
    texts = ["a man walks", "", "Two PEOPLE fight.", "zebra", "a man walks falls runs " * 10, "the  street\tis empty ."]
    ours = sentences.create(path)(texts)
    for padding in (True, False):
        for rows in [range(len(texts))] if padding else [[i] for i in range(len(texts))]:
            tokens = tokenizer(
                [texts[i] for i in rows], padding=padding, truncation=True, max_length=20, return_tensors="pt"
            )
            with torch.no_grad():
                close(ours[list(rows)], theirs(**tokens).pooler_output, f"{padding} {rows}")
