"""Attention is softmax(qkᵀ/√d)v however it is computed, and a query that sees nothing gives no NaN."""

import jax.numpy as jnp
import numpy as np
import pytest

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
