import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.nn import norm


def layer(width=3):
    rng = np.random.default_rng(1)
    bn = norm.BatchNorm(width)
    bn.scale[...] = jnp.asarray(rng.normal(size=width), jnp.float32)
    bn.bias[...] = jnp.asarray(rng.normal(size=width), jnp.float32)
    bn.mean[...] = jnp.asarray(rng.normal(size=width), jnp.float32)
    bn.var[...] = jnp.asarray(rng.uniform(0.5, 2, size=width), jnp.float32)
    return bn


def test_batch_statistics_of_valid_rows_biased_inside_unbiased_kept():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(2, 4, 5, 3))
    mask = rng.random((2, 1, 5)) < 0.6
    bn = layer()
    mean0, var0, scale, bias = (np.asarray(v[...], np.float64) for v in (bn.mean, bn.var, bn.scale, bn.bias))
    y = bn(jnp.asarray(np.where(mask[..., None], x, 1e4), jnp.float32), jnp.asarray(mask), "batch")
    rows = x[np.broadcast_to(mask, (2, 4, 5))]
    expected = (x - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5) * scale + bias
    valid = np.broadcast_to(mask, (2, 4, 5))
    np.testing.assert_allclose(np.asarray(y)[valid], expected[valid], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(bn.mean[...], 0.9 * mean0 + 0.1 * rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(bn.var[...], 0.9 * var0 + 0.1 * rows.var(0, ddof=1), rtol=1e-6)


def test_running_statistics_are_used_and_left_alone():
    x = np.random.default_rng(0).normal(size=(4, 3))
    bn = layer()
    mean0, var0, scale, bias = (np.asarray(v[...], np.float64) for v in (bn.mean, bn.var, bn.scale, bn.bias))
    y = bn(jnp.asarray(x, jnp.float32), jnp.ones(4, bool), "running")
    np.testing.assert_allclose(y, (x - mean0) / np.sqrt(var0 + 1e-5) * scale + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bn.mean[...], mean0.astype(np.float32))


def test_a_large_mean_does_not_eat_the_variance():
    x = np.float32(10_000) + np.random.default_rng(0).normal(size=(5000, 1)).astype(np.float32)
    y = np.asarray(norm.BatchNorm(1)(jnp.asarray(x), jnp.ones(5000, bool), "batch"), np.float64)
    # E[x²] - E[x]² in float32 would be off by whole units here.
    assert abs(y.std() - 1) < 0.01


@pytest.mark.parametrize("valid", [0, 1])
def test_one_row_and_no_row_stay_finite_and_no_row_teaches_nothing(valid):
    mask = jnp.arange(4) < valid
    bn = layer()
    before = np.asarray(bn.mean[...])
    y = bn(jnp.ones((4, 3)), mask, "batch")
    assert np.isfinite(y).all() and np.isfinite(bn.mean[...]).all() and np.isfinite(bn.var[...]).all()
    assert (np.asarray(bn.mean[...]) == before).all() == (valid == 0)
    gradient = jax.grad(lambda x: jnp.where(mask[:, None], layer()(x, mask, "batch"), 0).sum())(jnp.ones((4, 3)))
    assert np.isfinite(gradient).all()
