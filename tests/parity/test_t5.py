"""T5's encoder and tokenizer beside transformers' own (extra `parity`)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gvvad_jax.models import t5  # noqa: E402
from tests.models import t5_folder  # noqa: E402

SIZES = dict(vocab_size=60, d_model=24, d_kv=6, d_ff=40, num_layers=3, num_heads=5, relative_attention_num_buckets=12)


def close(ours, theirs, what):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max(), err_msg=what)


def test_states_agree_with_transformers(tmp_path):
    torch.manual_seed(0)
    config = transformers.T5Config(
        **SIZES, relative_attention_max_distance=30, feed_forward_proj="gated-gelu", tie_word_embeddings=False
    )
    theirs = transformers.T5EncoderModel(config).eval()
    for name, parameter in theirs.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.3)
    theirs.save_pretrained(tmp_path)
    ours = t5.load(tmp_path)
    ids = np.random.default_rng(0).integers(2, 60, (2, 50)).astype(np.int32)
    ids[1, 20:] = t5.PAD
    mask = (ids != t5.PAD).astype(np.int64)
    for given in (None, mask):
        with torch.no_grad():
            found = theirs(
                torch.from_numpy(ids).long(),
                attention_mask=None if given is None else torch.from_numpy(given),
                output_hidden_states=True,
            )
        close(ours.embed(ids), found.hidden_states[0].numpy(), "embedding")
        for i, state in enumerate(ours.states(ids, given)[:-1]):
            close(state, found.hidden_states[i + 1].numpy(), f"layer {i}")
        close(ours(ids, given), found.last_hidden_state.numpy(), "after the last norm")


def test_ids_agree_with_transformers(tmp_path):
    path = t5_folder.make(tmp_path / "slow")
    theirs = transformers.T5Tokenizer.from_pretrained(path)
    texts = [
        "",
        "a",
        *t5_folder.SENTENCES,
        " ".join(t5_folder.SENTENCES * 4),
        "  a  man \n walks\t",
        "ﬁghting 日本 ½ Ünïted Ｃ",
    ]
    theirs.save_pretrained(tmp_path / "fast")
    assert (tmp_path / "fast/tokenizer.json").is_file()
    for length in (226, 10):
        wanted = theirs(texts, padding="max_length", max_length=length, truncation=True)["input_ids"]
        for each in (path, tmp_path / "fast"):
            found = t5.tokenizer(each, length).ids(texts, cut=True)
            for text, ours, reference in zip(texts, found.tolist(), wanted, strict=True):
                assert ours == reference, (each.name, text)
