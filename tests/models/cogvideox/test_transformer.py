import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.models.cogvideox import config, transformer, weights
from gvvad_jax.weights import tables


def close(ours, theirs, what="", tolerance=1e-5):
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max(), err_msg=what)


@pytest.fixture
def case(shared):
    found = np.load(shared / "golden/cog2b_tiny/components.npz")
    return weights.load(shared / "golden/cog2b_tiny/transformer"), {
        key.removeprefix("transformer."): found[key] for key in found.files if key.startswith("transformer.")
    }


def test_every_state_equals_the_reference_with_another_time_step_a_row(case):
    model, wanted = case
    latents, body = wanted["latents"], model.body
    close(model.modulator.embed(wanted["timestep"]), wanted["temb"], "time")
    modulation = model.modulator(wanted["timestep"])
    places = transformer.places(model.config, latents.shape[1], *latents.shape[3:])
    text = body.encode_text(wanted["text"])
    x = body.embed(jnp.asarray(latents), text, places)
    close(x, wanted["patch_embed"], "tokens")
    x, every = body.blocks(x, modulation, places, keep=True)
    for i, state in enumerate(every):
        close(state[:, :226], wanted[f"block.{i}.text"], f"text of block {i}")
        close(state[:, 226:], wanted[f"block.{i}.video"], f"video of block {i}")
    close(body.final(x)[:, 226:], wanted["norm_final"], "last norm")
    close(body(jnp.asarray(latents), text, modulation, places), wanted["output"], "output")


@pytest.mark.parametrize("name", ["2b", "5b", "5b_i2v", "1_5_5b", "1_5_5b_i2v"])
def test_every_published_tensor_has_its_place(shared, name):
    published = json.loads((shared / f"golden/real_shapes/cogvideox_{name}_transformer.json").read_text())
    sizes = config.Config.of(published["config"], name)
    rows = weights.table(sizes, published["tensors"])
    sources = [source for row in rows for source in row.sources]
    assert sorted(sources) == sorted(published["tensors"])
    model = nnx.eval_shape(lambda: weights.Transformer(sizes, jnp.bfloat16))
    state = nnx.to_flat_state(nnx.state(model))
    assert {row.target for row in rows} == {".".join(map(str, path)) for path, _ in state}
    stored = published["tensors"].get(weights.TABLE)
    beside = 0 if stored is None else int(np.prod(stored[0]))  # a buffer, not counted among the parameters
    assert sum(variable.get_value().size for _, variable in state) == published["parameters"] + beside


@pytest.mark.parametrize("name", ["2b", "5b_i2v", "1_5_5b_i2v"])
def test_published_shapes_fit(shared, name):
    published = json.loads((shared / f"golden/real_shapes/cogvideox_{name}_transformer.json").read_text())
    sizes = config.Config.of(published["config"] | {"num_layers": 1}, name)
    half = jnp.dtype(jnp.bfloat16)
    arrays, of_others = {}, {}
    for key, (shape, _) in published["tensors"].items():
        first = re.sub(r"blocks\.\d+\.", "blocks.0.", key)
        assert of_others.setdefault(first, shape) == shape, f"{key}: layers differ"
        if first == key:
            arrays[key] = np.broadcast_to(np.zeros((), half), shape)
    model = nnx.eval_shape(lambda: weights.Transformer(sizes, half))
    tables.fill(model, arrays, weights.table(sizes, arrays), name)
