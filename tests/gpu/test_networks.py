"""On a GPU: half precision through cuDNN's attention stays near single precision on the CPU. Skips without one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.models import clip
from gvvad_jax.nn import attention

pytestmark = pytest.mark.skipif(jax.default_backend() != "gpu", reason="no GPU here")


def on_cpu(function, *arrays):
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(function(*(jnp.asarray(np.asarray(x, np.float32)) for x in arrays)))


@pytest.mark.parametrize(("n", "tokens", "keys"), [(4, 257, 257), (2, 2266, 2266), (1, 2304, 2266)])
def test_attention_in_half_precision(n, tokens, keys):
    random = np.random.default_rng(0)
    q, k, v = (random.normal(size=(n, tokens, 4, 64)).astype(jnp.bfloat16) for _ in range(3))
    run = jax.jit(lambda q, k, v: attention.attention(q, k, v, keys=keys))
    found = np.asarray(run(q, k, v), np.float32)
    assert "fmha" in run.lower(q, k, v).compile().as_text()
    wanted = on_cpu(lambda q, k, v: attention.attention(q, k, v, keys=keys, platform="cpu"), q, k, v)
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_clip_in_half_precision():
    tower = clip.Tower(128, 256, 2, 2, 1e-5, "quick_gelu")
    sizes = clip.Config(tower, tower, 64, 224, 16, 100, 77, 99)
    random = np.random.default_rng(0)
    pixels = random.normal(size=(4, 224, 224, 3)).astype(np.float32)
    graph, state = nnx.split(nnx.eval_shape(lambda: clip.Clip(sizes, jnp.float32)))
    state = jax.tree.map(lambda x: random.normal(0, 0.05, x.shape).astype(np.float32), state)
    half_graph = nnx.split(nnx.eval_shape(lambda: clip.Clip(sizes, jnp.bfloat16)))[0]
    half = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), state)
    found = np.asarray(jax.jit(lambda s, x: nnx.merge(half_graph, s).encode_image(x))(half, pixels))
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        single = clip.Clip(sizes, jnp.float32, platform="cpu")
        nnx.update(single, jax.tree.map(jnp.asarray, state))
        wanted = np.asarray(single.encode_image(pixels))
    assert np.linalg.norm(found - wanted) <= 0.03 * np.linalg.norm(wanted)
