"""Attention is softmax(qkᵀ/√d)v however it is computed, and a query that sees nothing gives no NaN."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.models import clip
from gvvad_jax.nn import attention


def reference(q, k, v, visible):
    """Float64, head by head."""
    scores = np.einsum("nqhd,nkhd->nhqk", q, k, dtype=np.float64) / np.sqrt(q.shape[-1])
    scores = np.where(visible[:, None], scores, -1e30)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("nhqk,nkhd->nqhd", weights / weights.sum(-1, keepdims=True), v)


@pytest.mark.parametrize("keys", [5, attention.LONG + 3])
@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_it_equals_float64(keys, platform):
    rng = np.random.default_rng(keys)
    q, k, v = (rng.normal(size=(2, n, 3, 4)).astype(np.float32) for n in (7, keys, keys))
    visible = rng.random((2, 7, keys)) < 0.6
    visible[..., 0] = True
    q, k, v = map(jnp.asarray, (q, k, v))
    found = attention.attention(q, k, v, jnp.asarray(visible), platform=platform)
    np.testing.assert_allclose(found, reference(q, k, v, visible), atol=2e-6)
    everything = attention.attention(q, k, v, platform=platform)
    np.testing.assert_allclose(everything, reference(q, k, v, np.ones((2, 7, keys), bool)), atol=2e-6)
    blind = attention.attention(q, k, v, jnp.zeros((1, 1, keys), bool), platform=platform)
    assert np.isfinite(blind).all()


def test_scores_too_large_for_a_cache_go_head_by_head():
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.normal(size=(2, n, 3, 4)), jnp.float32) for n in (901, 903, 903))
    assert 4 * 3 * 901 * 900 > 2 * attention.PART
    found = attention.attention(q, k, v, keys=900, platform="cpu")
    wanted = reference(q, k[:, :900], v[:, :900], np.ones((2, 901, 900), bool))
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_scores_too_large_for_an_accelerator_go_in_parts(monkeypatch, platform):
    monkeypatch.setattr(attention, "WHOLE", 4 * 23 * 10)
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.normal(size=(2, n, 3, 4)), jnp.float32) for n in (21, 23, 23))
    run = functools.partial(attention.attention, platform=platform)
    np.testing.assert_allclose(run(q, k, v), reference(q, k, v, np.ones((2, 21, 23), bool)), atol=2e-6)
    shapes = [var.aval.shape for eqn in jax.make_jaxpr(run)(q, k, v).eqns for var in eqn.outvars]
    assert (2, 3, 21, 23) not in shapes


@pytest.mark.parametrize(
    ("capability", "fused"), [("7.5", False), ("8.0", True), ("9.0", True), ("12.0", True), ("gfx90a", False)]
)
def test_gpus_before_ampere_and_of_other_makers_do_without_cudnn(for_gpu, monkeypatch, capability, fused):
    device = types.SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(attention.jax, "local_devices", lambda: [device])
    text = for_gpu(
        functools.partial(attention.attention, platform="gpu"), *[jax.ShapeDtypeStruct((1, 50, 3, 64), "bfloat16")] * 3
    )
    assert ("__cudnn$fmha" in text) == fused


@pytest.mark.parametrize(("queries", "total", "keys"), [(300, 300, 300), (130, 200, 150)])
def test_the_kernel_for_tpus_equals_float64(queries, total, keys):
    """Run by its interpreter."""
    rng = np.random.default_rng(queries)
    q, k, v = (jnp.asarray(rng.normal(size=(2, n, 2, 64)), jnp.bfloat16) for n in (queries, total, total))
    found = attention._kernel(q, k, v, keys, interpret=True)
    wanted = reference(*(np.asarray(x, np.float32) for x in (q, k, v)), np.arange(total) < np.full((2, 1, 1), keys))
    assert found.dtype == jnp.bfloat16 and found.shape == q.shape
    np.testing.assert_allclose(np.asarray(found, np.float32), wanted, atol=0.02)


def test_whole_blocks_of_the_kernel_leave_little_empty():
    for tokens, wanted in ((257, 384), (1024, 1024), (4444, 4480), (17776, 17920), (11277, 11520)):
        assert attention.padded(tokens) == wanted


@pytest.mark.parametrize("seen", [None, (1, 50, 50), (2, 50, 50), (2, 1, 50)])
@pytest.mark.parametrize(
    ("dtype", "width", "fused"),
    [("bfloat16", 64, True), ("float16", 80, True), ("bfloat16", 12, False), ("float32", 64, False)],
)
def test_half_precision_goes_to_cudnn_where_its_heads_suit(for_gpu, dtype, width, fused, seen):
    each = jax.ShapeDtypeStruct((2, 50, 3, width), dtype)
    shapes = [each] * 3 + ([] if seen is None else [jax.ShapeDtypeStruct(seen, bool)])
    text = for_gpu(lambda *given: attention.attention(*given, platform="gpu"), *shapes)
    assert ("__cudnn$fmha" in text) == fused


def test_both_of_clips_towers_are_lowered_to_cudnns_attention(for_gpu):
    image, text = (clip.Tower(128, 256, layers, 2, 1e-5, "quick_gelu") for layers in (2, 1))
    sizes = clip.Config(image, text, projection=64, size=224, patch=14, vocabulary=100, positions=77, eos=99)
    graph, state = nnx.split(nnx.eval_shape(lambda: clip.Clip(sizes, jnp.bfloat16, platform="gpu")))
    state = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    pixels, ids = jax.ShapeDtypeStruct((4, 224, 224, 3), jnp.float32), jax.ShapeDtypeStruct((4, 77), jnp.int32)
    assert "__cudnn$fmha" in for_gpu(lambda s, x: nnx.merge(graph, s).encode_image(x), state, pixels)
    assert "__cudnn$fmha" in for_gpu(lambda s, x, m: nnx.merge(graph, s).encode_text(x, m), state, ids, ids)
