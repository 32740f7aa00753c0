import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.nn import dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.7])
def test_keep_rate_and_scale(rate):
    x = np.asarray(dropout.dropout(jnp.ones((300, 400)), jax.random.key(0), rate))
    kept = x != 0
    assert abs(kept.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / x.size)
    np.testing.assert_allclose(x[kept], 1 / (1 - rate), rtol=1e-6)


def test_elements_rows_and_keys_are_independent():
    a, b = (np.asarray(dropout.keep(key, (300, 400), 0.7)) for key in jax.random.split(jax.random.key(1)))
    for left, right in ((a, b), (a[1:], a[:-1]), (a[:, 1:], a[:, :-1]), (a[:, 32:], a[:, :-32])):
        both = (left & right).mean()
        assert abs(both - 0.09) < 4 * np.sqrt(0.09 * 0.91 / left.size)
    # Row sums of independent draws have the binomial's variance, not more and not less.
    assert 0.75 < a.sum(1).var() / (400 * 0.3 * 0.7) < 1.3


def test_without_a_key_nothing_happens():
    x = jnp.arange(6.0)
    assert dropout.dropout(x, None, 0.7) is x
    assert dropout.split(None, 3) == [None] * 3


def test_rates_at_the_ends_and_traced_rates():
    x = jnp.ones(100)
    np.testing.assert_array_equal(dropout.dropout(x, jax.random.key(0), 0.0), x)
    gone, gradient = jax.value_and_grad(lambda v: dropout.dropout(v, jax.random.key(0), 1.0).sum())(x)
    assert gone == 0 and np.isfinite(gradient).all()
    traced = jax.jit(lambda rate: dropout.dropout(x, jax.random.key(5), rate))(0.5)
    np.testing.assert_allclose(traced, dropout.dropout(x, jax.random.key(5), 0.5))
