import jax
import jax.numpy as jnp
import numpy as np

from gvvad_jax.losses import magnitude


def test_pairs_against_float64():
    rng = np.random.default_rng(0)
    n, a = rng.normal(size=(2, 4, 3, 5)) * 20
    expected = (np.abs(100 - np.linalg.norm(a, axis=-1)) + np.linalg.norm(n, axis=-1)) ** 2
    ours = magnitude.magnitude_pairs(jnp.asarray(n, jnp.float32), jnp.asarray(a, jnp.float32), 100.0)
    np.testing.assert_allclose(ours, expected.mean(-1), rtol=1e-5)


def test_lengths_beyond_the_margin_cost_too():
    far = jnp.full((1, 1, 1), 150.0)
    assert float(magnitude.magnitude_pairs(0 * far, far, 100.0)[0]) == 2500  # a hinge would give 0


def test_gradient_at_the_zero_vector_is_zero():
    value, gradient = jax.value_and_grad(lambda x: magnitude.norm(x).sum())(jnp.zeros((2, 3)))
    assert value == 0 and not np.asarray(gradient).any()
