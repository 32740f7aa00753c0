import json
import shutil

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from gvvad_jax.models import bert
from gvvad_jax.weights import tables

CASES = ["bert_tiny", "bert_tiny_prefixed"]  # the second: "bert." prefix, gamma and beta, unused heads, two shards


def close(ours, theirs, what=""):
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max(), err_msg=what)


@pytest.fixture(params=CASES)
def case(request, shared):
    folder = shared / "golden" / request.param
    return bert.load(folder), np.load(folder / "cases.npz")


def test_every_layer_equals_the_reference(case):
    model, wanted = case
    x = model.embed(wanted["input_ids"])
    close(x, wanted["embeddings"], "embeddings")
    for i, state in enumerate(model.layers.states(x, model.visible(wanted["attention_mask"]))):
        close(state, wanted[f"layer.{i}"], f"layer {i}")


def test_sentence_vectors_equal_the_reference(case):
    model, wanted = case
    for pooling, key in (("pooler", "pooler"), ("cls", "cls"), ("mean", "mean_normalised")):
        close(model.sentence_vectors(wanted["input_ids"], wanted["attention_mask"], pooling), wanted[key], key)


def test_mean_pooling_has_unit_length_and_no_token_gives_zero(case):
    model, wanted = case
    vectors = np.asarray(model.sentence_vectors(wanted["input_ids"], wanted["attention_mask"], "mean"))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    nothing = np.zeros_like(wanted["attention_mask"])
    assert not np.asarray(model.sentence_vectors(wanted["input_ids"], nothing, "mean")).any()


def test_padding_does_not_change_a_vector(case):
    model, wanted = case
    ids, mask = wanted["input_ids"], wanted["attention_mask"]
    row = int(np.argmin(mask.sum(1)))
    length = int(mask[row].sum())
    alone = model.sentence_vectors(ids[row : row + 1, :length], mask[row : row + 1, :length], "mean")
    close(model.sentence_vectors(ids, mask, "mean")[row], alone[0])


@pytest.mark.parametrize("name", ["all_minilm_l6_v2", "sup_simcse_bert_base_uncased"])
def test_every_published_tensor_has_its_place(shared, name):
    published = json.loads((shared / "golden/real_shapes" / f"{name}.json").read_text())
    shapes = published["tensors"] | published["ignored"]
    arrays = {key: np.broadcast_to(np.float32(0), shape) for key, (shape, _) in shapes.items()}
    config = bert.Config.of(published["config"], name)
    model = nnx.eval_shape(lambda: bert.Bert(config))
    tables.fill(model, arrays, bert.table(config, arrays), name)
    assert sum(v.get_value().size for _, v in nnx.to_flat_state(nnx.state(model))) == published["parameters"]


@pytest.fixture
def folder(shared, tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(shared / "golden/bert_tiny" / name, tmp_path / name)
    return tmp_path


def change(folder, drop=(), add=()):
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if name not in drop}
    safetensors.numpy.save_file(kept | {name: np.zeros(2, np.float32) for name in add}, folder / "model.safetensors")


def test_a_tensor_too_few_or_too_many_is_refused(folder):
    change(folder, drop=["encoder.layer.1.output.dense.bias"])
    with pytest.raises(ValueError, match=r"lacks tensors .*encoder.layer.1.output.dense.bias"):
        bert.load(folder)
    shutil.copyfile(folder / "model.safetensors", folder / "other")
    change(folder, add=["encoder.layer.1.output.dense.bias", "encoder.layer.7.output.dense.bias"])
    with pytest.raises(ValueError, match=r"does not know: encoder.layer.7.output.dense.bias"):
        bert.load(folder)


def test_missing_pooler_is_an_error_only_where_it_is_asked_for(folder, shared):
    change(folder, drop=["pooler.dense.weight", "pooler.dense.bias"])
    model, wanted = bert.load(folder), np.load(shared / "golden/bert_tiny/cases.npz")
    close(model.sentence_vectors(wanted["input_ids"], wanted["attention_mask"], "cls"), wanted["cls"])
    with pytest.raises(ValueError, match="hold no pooler"):
        model.sentence_vectors(wanted["input_ids"], wanted["attention_mask"], "pooler")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("model_type", "roberta", "model type 'roberta', but a BERT sentence encoder"),
        ("hidden_act", "relu", "hidden_act is 'relu'"),
        ("position_embedding_type", "relative_key", "position_embedding_type is 'relative_key'"),
        ("num_attention_heads", 5, "48 columns do not divide over 5 heads"),
        ("layer_norm_eps", None, "lacks a size"),
    ],
)
def test_another_network_is_refused(folder, key, value, sentence):
    config = json.loads((folder / "config.json").read_text()) | {key: value}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=sentence):
        bert.load(folder)


def test_no_sentence_gives_no_vector(case):
    model, _ = case
    nothing = np.zeros((0, 7), np.int32)
    assert model.sentence_vectors(nothing, nothing, "mean").shape == (0, model.config.width)


def test_wrong_pooling_and_too_many_tokens_are_refused(case):
    model, wanted = case
    with pytest.raises(ValueError, match="pooling='max'; it is one of pooler, cls, mean"):
        model.sentence_vectors(wanted["input_ids"], wanted["attention_mask"], "max")
    ids = np.ones((1, 41), np.int32)
    with pytest.raises(ValueError, match="sentences of 41 tokens, but this BERT has"):
        model.sentence_vectors(ids, ids)
