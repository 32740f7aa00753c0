import jax
import jax.numpy as jnp
import numpy as np

from gvvad_jax.losses import top_k


def test_weights_give_the_mean_of_the_k_highest():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 9))
    w = top_k.top_k_weights(jnp.asarray(x, jnp.float32), jnp.ones(x.shape, bool), 3)
    np.testing.assert_allclose((w * x).sum(-1), np.sort(x, -1)[..., -3:].mean(-1), rtol=1e-6)


def test_k_falls_to_the_valid_length_and_padding_is_never_chosen():
    x = jnp.array([[1.0, 2, 9, 9], [1, 9, 9, 9], [9, 9, 9, 9], [-3, -2, -1, 0]])
    mask = jnp.arange(4) < jnp.array([[2], [1], [0], [4]])
    w = top_k.top_k_weights(x, mask, 3)
    np.testing.assert_allclose(w, [[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(top_k.top_k_weights(x, mask, 99)[3], [0.25] * 4)


def test_zeros_in_the_ranking_may_be_chosen_before_padding_and_ties_take_the_first():
    x = jnp.array([[0.0, 0.0, 5.0, 0.0]])
    w = top_k.top_k_weights(x, jnp.array([[True, True, True, False]]), 2)
    np.testing.assert_allclose(w, [[0.5, 0, 0.5, 0]])


def test_no_gradient_passes_through_the_choice():
    x = jnp.arange(6.0).reshape(1, 6)
    gradient = jax.grad(lambda v: (top_k.top_k_weights(v, jnp.ones((1, 6), bool), 2) * v).sum())(x)
    np.testing.assert_allclose(gradient, [[0, 0, 0, 0, 0.5, 0.5]])
