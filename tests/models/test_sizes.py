"""A size that is no such number is one sentence which names its file."""

import pytest

from gvvad_jax.models import bert, clip, git, sizes, t5

CLIP = {"text_config": {}, "vision_config": {}}
BERT = dict(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
BERT |= dict(max_position_embeddings=4, type_vocab_size=2, layer_norm_eps=1e-12)
T5 = dict(feed_forward_proj="gated-gelu", vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)


@pytest.mark.parametrize("value", [0, -1, 3.5, True, "a", None, [2], float("inf")])
def test_a_number_of_layers_is_a_whole_one_from_1_on(value):
    with pytest.raises(ValueError, match=r"HERE lacks a size of the network \(layers is .* whole number from 1 on"):
        sizes.whole({"layers": value}, "layers", "HERE")


@pytest.mark.parametrize("value", [-1, True, "a", None, float("inf"), float("nan")])
def test_an_epsilon_is_a_number_from_0_on(value):
    with pytest.raises(ValueError, match="a number from 0 on"):
        sizes.epsilon({"eps": value}, "eps", "HERE")


def test_right_sizes_are_as_they_are():
    assert sizes.whole({"eos": 0}, "eos", "HERE", least=0) == 0 and sizes.epsilon({"eps": 0}, "eps", "HERE") == 0.0


@pytest.mark.parametrize(
    ("network", "config", "key"),
    [
        (clip, CLIP | {"vision_config": {"num_attention_heads": 0}}, "num_attention_heads is 0"),
        (clip, CLIP | {"vision_config": {"patch_size": 0}}, "patch_size is 0"),
        (clip, CLIP | {"text_config": {"vocab_size": -1}}, "vocab_size is -1"),
        (clip, CLIP | {"text_config": {"eos_token_id": [1]}}, "eos_token_id is"),
        (clip, CLIP | {"projection_dim": "a"}, "projection_dim is 'a'"),
        (git, {"vision_config": {}, "num_hidden_layers": 2.5}, "num_hidden_layers is 2.5"),
        (git, {"vision_config": {}, "num_image_with_embedding": -1}, "num_image_with_embedding is -1"),
        (bert, BERT | {"hidden_size": float("inf")}, "hidden_size is inf"),
        (bert, BERT | {"layer_norm_eps": -1e-12}, "layer_norm_eps is -1e-12"),
        (t5, T5 | {"num_heads": 0}, "num_heads is 0"),
        (t5, T5 | {"d_ff": float("inf")}, "d_ff is inf"),
    ],
)
def test_every_networks_sizes_are_looked_at(network, config, key):
    with pytest.raises(ValueError, match=rf"HERE lacks a size of the network \({key}"):
        network.Config.of(config, "HERE")


@pytest.mark.parametrize("network", [clip, git])
def test_a_part_that_is_no_object_is_refused(network):
    with pytest.raises(ValueError, match="HERE: vision_config is 5, but no object"):
        network.Config.of({"vision_config": 5, "text_config": {}}, "HERE")
