import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import sentencepiece
import tokenizers
from flax import nnx

from gvvad_jax.models import t5
from gvvad_jax.weights import folder
from tests.models import t5_folder


def close(ours, theirs, what="", tolerance=1e-5):
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max(), err_msg=what)


@pytest.fixture
def golden(shared):
    return shared / "golden/cog2b_tiny"


@pytest.fixture
def wanted(golden):
    return np.load(golden / "components.npz")


@pytest.fixture
def model(golden):
    return t5.load(golden / "text_encoder")


def test_every_state_equals_the_reference(model, wanted):
    ids = wanted["t5.input_ids"]
    close(model.embed(ids), wanted["t5.hidden.0"], "embedding")
    states = model.states(ids)
    close(states[0], wanted["t5.hidden.1"], "layer 0")
    last = t5.normalise(states[1], model.norm[...], model.config.epsilon)
    for ours in (last, model(ids)):
        close(ours, wanted["t5.last_hidden_state"], "after the last norm")


def test_a_mask_shuts_the_padding_out(model, wanted):
    ids, mask = wanted["t5.input_ids"], wanted["t5.attention_mask"]
    masked = model(ids, mask)
    close(masked, wanted["t5.masked.last_hidden_state"])
    row, length = int(np.argmin(mask.sum(1))), int(mask.sum(1).min())
    close(model(ids[row : row + 1, :length])[0], masked[row, :length])


def test_cogvideox_calls_t5_without_a_mask(model, golden):
    run = np.load(golden / "runs/ddim_batch2_dynamic.npz")
    for name in ("prompt", "negative"):
        ids = run[f"{name}_ids"]
        assert (ids[:, -1] == t5.PAD).all()
        close(model(ids), run[f"{name}_embeds"], name)
        wrong = np.asarray(model(ids, ids != t5.PAD)) - run[f"{name}_embeds"]
        assert np.abs(wrong).max() > 0.1 * np.abs(run[f"{name}_embeds"]).max()


def test_bfloat16_keeps_its_weights_and_states(golden, wanted):
    model = t5.load(golden / "text_encoder", "bfloat16")
    assert {v.get_value().dtype for _, v in nnx.to_flat_state(nnx.state(model))} == {np.dtype(jnp.bfloat16)}
    states = model(wanted["t5.input_ids"])
    assert states.dtype == jnp.bfloat16
    close(states.astype(jnp.float32), wanted["t5.last_hidden_state"], tolerance=0.03)


@pytest.mark.parametrize(("name", "count", "distance"), [("bucket", 32, 128), ("bucket_16_64", 16, 64)])
def test_buckets_equal_the_published_tables(wanted, name, count, distance):
    np.testing.assert_array_equal(
        t5.buckets(wanted["t5.relative_position"], count, distance), wanted[f"t5.{name}"], err_msg=name
    )


def test_buckets_by_hand():
    far = np.array([0, 1, 7, 8, 11, 12, 15, 16, 31, 32, 127, 128, 100_000])
    wanted = np.array([0, 1, 7, 8, 8, 9, 9, 10, 11, 12, 15, 15, 15])
    np.testing.assert_array_equal(t5.buckets(-far, 32, 128), wanted)
    np.testing.assert_array_equal(t5.buckets(far, 32, 128), wanted + 16 * (far > 0))


def test_every_tensor_of_the_xxl_encoder_has_its_place(shared):
    published = json.loads((shared / "golden/real_shapes/t5_v1_1_xxl_encoder.json").read_text())
    tensors, config = published["tensors"], t5.Config.of(published["config"], "XXL")
    state = dict(nnx.to_flat_state(nnx.state(nnx.eval_shape(lambda: t5.T5(config, jnp.bfloat16)))))
    shapes = {".".join(map(str, path)): variable.get_value().shape for path, variable in state.items()}
    assert sum(np.prod(shape) for shape in shapes.values()) == published["parameters"] == 4_762_310_656
    names = [source for row in t5.table(config, tensors) for source in row.sources]
    assert len(names) == len(tensors) == 219 and set(names) == set(tensors)
    arrays = {name: np.broadcast_to(np.int8(0), shape) for name, (shape, _) in tensors.items()}
    one = t5.Config(**vars(config) | {"layers": 1})  # all 24 would take 5 GB
    for row in t5.table(one, arrays):
        found, shape = row.make(*(arrays[source] for source in row.sources)).shape, shapes[row.target]
        assert found == shape if not row.target.startswith("layers.") else (24, *found[1:]) == shape, row.target


def changed(golden, path, drop=(), copy=()):
    shutil.copyfile(golden / "text_encoder/config.json", path / "config.json")
    tensors = dict(folder.read(golden / "text_encoder"))
    tensors |= {new: tensors[old] for new, old in copy}
    kept = {name: value for name, value in tensors.items() if name not in drop}
    safetensors.numpy.save_file(kept, path / "model.safetensors")
    return path


def test_word_vectors_go_by_either_of_two_names_or_both(golden, tmp_path, model, wanted):
    both = [("encoder.embed_tokens.weight", "shared.weight")]
    for i, drop in enumerate([["shared.weight"], []]):
        path = tmp_path / str(i)
        path.mkdir()
        ours = t5.load(changed(golden, path, drop, both))
        np.testing.assert_array_equal(ours(wanted["t5.input_ids"]), model(wanted["t5.input_ids"]))
    with pytest.raises(ValueError, match="lacks tensors that this network needs: shared.weight"):
        t5.load(changed(golden, tmp_path, ["shared.weight"]))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("model_type", "umt5", "model type 'umt5', but a T5 v1.1 encoder"),
        ("feed_forward_proj", "relu", "feed_forward_proj is 'relu', but a T5 v1.1 encoder has 'gated-gelu'"),
        ("d_kv", None, "lacks a size"),
    ],
)
def test_another_network_is_refused(golden, tmp_path, key, value, sentence):
    config = json.loads((golden / "text_encoder/config.json").read_text()) | {key: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=sentence):
        t5.load(tmp_path)


def test_float16_arithmetic_is_refused(golden):
    with pytest.raises(ValueError, match="choose float32 or bfloat16"):
        t5.load(golden / "text_encoder", "float16")


def test_ids_are_pieces_the_end_and_padding(tmp_path):
    path = t5_folder.make(tmp_path)
    made = t5.tokenizer(path)
    ids = made.ids(["", t5_folder.SENTENCES[0], "  two   spaces\n"])
    assert ids.shape == (3, 226) and ids.dtype == np.int32
    assert ids[0].tolist() == [t5.END] + 225 * [t5.PAD]
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path / "spiece.model"))
    assert ids[1].tolist() == (pieces.encode(t5_folder.SENTENCES[0]) + [1] + 226 * [0])[:226]
    assert made.lengths(["", t5_folder.SENTENCES[0]]) == [1, int((ids[1] != 0).sum())]
    np.testing.assert_array_equal(made.ids(["two spaces"])[0], ids[2])


def test_a_prompt_of_too_many_tokens_is_refused_or_cut_before_its_end(tmp_path):
    made = t5.tokenizer(t5_folder.make(tmp_path), length=12)
    text = t5_folder.SENTENCES[0]
    tokens = made.lengths([text])[0]
    with pytest.raises(ValueError, match=f"a prompt of {tokens} tokens, but 12 are the most; shorten it: 'A man"):
        made.ids(["a man", text])
    cut, whole = made.ids([text], cut=True)[0], t5.tokenizer(tmp_path, length=tokens).ids([text])[0]
    assert cut.tolist() == [*whole[:11], t5.END] and whole[-1] == t5.END


def test_tokenizer_json_is_read_where_there_is_one(tmp_path):
    path = t5_folder.make(tmp_path)
    wanted = t5.tokenizer(path).ids(t5_folder.SENTENCES)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path / "spiece.model"))
    table = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    fast = tokenizers.Tokenizer(tokenizers.models.Unigram(table, unk_id=2))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    fast.enable_padding(length=7)
    fast.enable_truncation(5)
    fast.save(str(path / "tokenizer.json"))
    (path / "spiece.model").unlink()
    np.testing.assert_array_equal(t5.tokenizer(path).ids(t5_folder.SENTENCES), wanted)


def test_no_tokenizer_a_damaged_one_and_another_one_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds neither tokenizer.json nor spiece.model"):
        t5.tokenizer(tmp_path)
    t5_folder.make(tmp_path, pad_id=-1, bos_id=0)
    with pytest.raises(ValueError, match=r"numbers padding and end \(-1, 1\), but T5 has \(0, 1\)"):
        t5.tokenizer(tmp_path)
    for name in ("spiece.model", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            t5.tokenizer(tmp_path)
