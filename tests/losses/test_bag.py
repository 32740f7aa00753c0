import jax
import jax.numpy as jnp
import numpy as np

from gvvad_jax.losses import bag


def test_log_mean_against_float64_and_with_weights():
    rng = np.random.default_rng(0)
    logs, w = rng.normal(size=(4, 7)) * 30, rng.random((4, 7)) * (rng.random((4, 7)) < 0.6)
    w /= w.sum(-1, keepdims=True)
    f32 = lambda a: jnp.asarray(a, jnp.float32)  # noqa: E731
    np.testing.assert_allclose(bag.log_mean(f32(logs)), np.log(np.exp(logs).mean(-1)), rtol=1e-5)
    np.testing.assert_allclose(bag.log_mean(f32(logs), f32(w)), np.log((np.exp(logs) * w).sum(-1)), rtol=1e-5)


def test_log_mean_ignores_what_has_no_weight_in_value_and_gradient():
    logs, w = jnp.array([[-1.0, jnp.inf, -jnp.inf], [3.0, jnp.inf, 5.0]]), jnp.array([[1.0, 0, 0], [0, 0, 0]])
    value, gradient = jax.value_and_grad(lambda v: bag.log_mean(v, w).sum())(logs)
    assert float(value) == -1
    np.testing.assert_array_equal(gradient, [[1, 0, 0], [0, 0, 0]])


def test_cross_entropy_is_torchs_with_its_cut_at_minus_100():
    logits = jnp.array([-500.0, -99.0, -2.0, 0.0, 30.0, 500.0])
    for label in (0, 1):
        # -log s = log(1 + e^-x): float64 written this way keeps what 1 - s would round away.
        x = np.asarray(logits, np.float64)
        expected = np.minimum(np.logaddexp(0, -x if label else x), 100)
        loss = bag.cross_entropy(*bag.log_scores(logits), jnp.full(6, label))
        np.testing.assert_allclose(loss, expected, rtol=1e-6, atol=1e-30)


def test_a_saturated_score_still_has_its_gradient():
    gradient = jax.grad(lambda x: bag.cross_entropy(*bag.log_scores(x), jnp.array([1, 0])).sum())(
        jnp.array([-300.0, 300.0])
    )
    np.testing.assert_allclose(gradient, [-1, 1])


def test_mean_of_probabilities_near_one_keeps_its_complement():
    # Plain float32: the mean of ten sigmoids of 20 rounds to 1 and log(1 - ŷ) is -inf.
    positive, negative = bag.log_scores(jnp.full((1, 10), 20.0))
    loss = bag.cross_entropy(bag.log_mean(positive), bag.log_mean(negative), jnp.array([0]))
    np.testing.assert_allclose(loss, [20.0], rtol=1e-6)
