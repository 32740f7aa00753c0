"""A step at the published size is lowered for a GPU on a machine without one: attention goes to cuDNN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.models.cogvideox import denoise, guidance, schedulers, sizes, transformer
from gvvad_jax.models.cogvideox.layout import Layout
from gvvad_jax.planning import cogvideox as published

STEPS = 3


@pytest.mark.parametrize(("form", "tokens"), [("2b", 17776), ("5b", 17776), ("1.5-5b", 11 * 48 * 85 + 226)])
def test_both_branches_over_every_token_go_to_cudnn(for_gpu, form, tokens):
    native = published.FORMS[form]
    config = native.transformer
    size = sizes.of(config, 8, None, native.height, native.width)
    layout = Layout(platform="gpu")
    places = transformer.places(config, size.latents[0], *size.latents[2:], layout)
    assert places.count == places.total == tokens
    graph, state = nnx.split(nnx.eval_shape(lambda: transformer.Body(config, jnp.bfloat16)))
    plan = schedulers.plan(dict(prediction_type="v_prediction", timestep_spacing="trailing"), STEPS, "dpm")

    def array(*shape, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(shape, dtype)

    blocks = array(STEPS, config.layers, 6, config.width)
    rows = denoise.Row(
        number=np.arange(STEPS, dtype=np.int32),
        coefficients=plan.coefficients,
        modulation=transformer.Modulation(blocks, blocks, array(STEPS, 2, config.width)),
        scale=guidance.scales(6.0, STEPS, plan.timesteps).astype(np.float32),
        noise=None,
    )
    begun = array(1, *size.latents), array(1, *size.latents, dtype=jnp.float32)
    state = jax.tree.map(lambda x: array(*x.shape, dtype=x.dtype), state)
    vectors, keys = array(2, config.text_tokens, config.text_width), jax.eval_shape(lambda: jax.random.key(0)[None])
    positions = "turns" if config.is_rotary else "table"

    def run(state, vectors, keys, found, rows, begun):
        given = denoise.Given(vectors, None, keys, places.replace(**{positions: found}))
        return denoise.scanned(graph, layout, state, given, rows, begun)

    text = for_gpu(run, state, vectors, keys, getattr(places, positions), rows, begun)
    # One call, in the loop over blocks and branches; no scores of all tokens by all tokens outside it.
    assert text.count("custom_call @__cudnn$fmha") == 1 and f"x{tokens}x{tokens}x" not in text
