import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax import losses
from gvvad_jax.losses import ssls

ROWS = jnp.array([[1.0, 2.0], [3.0, 4.0]])
SYNTHETIC = jnp.array([0, 1, 0, 1])


def single(rows=ROWS):
    return ssls.Term(rows, ssls.flat_numbers(rows.shape)[..., None], rows.size)


def pairs():
    return ssls.Term(jnp.array([10.0, 20.0]), jnp.array([[0, 2], [1, 3]]), 2)


def test_worked_case_of_the_two_formulas():
    # L = [1, 2, 3, 4], normal first, synthetic = [0, 1, 0, 1], λ = 0.5: 1 + 1 + 3 + 2 = 7, over N = 4.
    w = ssls.weights(SYNTHETIC, 0.5)
    np.testing.assert_allclose(w, [1, 0.5, 1, 0.5])
    assert float((w * ROWS.ravel()).sum()) == 7
    assert float(ssls.combine({"classification": single()}, SYNTHETIC, 0.5, "per_sample")[0]) == 1.75
    assert float(ssls.combine({"classification": single()}, SYNTHETIC, 0.5, "official_batch_scalar")[0]) == 1.875
    assert float(ssls.combine({"classification": single()}, SYNTHETIC, 0.5, "off")[0]) == 2.5
    assert float(ssls.combine({"classification": single()}, SYNTHETIC, 0.5, "per_sample", "sum")[0]) == 7


def test_weights_take_flags_as_a_user_has_them():
    for flags in ([0, 1], np.array([0, 1])):
        np.testing.assert_array_equal(losses.ssls.weights(flags, 0.5), np.float32([1, 0.5]))


def test_lambda_is_not_cancelled_where_every_video_is_synthetic():
    everyone = jnp.ones(4, jnp.int32)
    loss, _ = ssls.combine({"classification": single()}, everyone, 0.5, "per_sample")
    assert float(loss) == 1.25


def test_joint_rows_take_the_geometric_mean():
    loss, terms = ssls.combine({"magnitude": pairs()}, jnp.array([0, 1, 1, 1]), 0.25, "per_sample")
    # Pair (0, 2) is half synthetic: 0.25 ** 0.5; pair (1, 3) wholly: 0.25.
    np.testing.assert_allclose(loss, (10 * 0.5 + 20 * 0.25) / 2)
    np.testing.assert_allclose(terms["magnitude"], loss)


@pytest.mark.parametrize("mode", ssls.MODES)
def test_terms_sum_to_the_loss(mode):
    terms = {"classification": single(), "magnitude": pairs(), "nobody": ssls.Term(jnp.ones(3), None, 3)}
    loss, values = ssls.combine(terms, SYNTHETIC, 0.3, mode)
    assert list(values) == list(terms)
    np.testing.assert_allclose(sum(values.values()), loss, rtol=1e-6)


def test_batch_scalar_reads_the_anomalous_half_alone():
    loss = lambda synthetic: float(ssls.combine({"c": single()}, jnp.array(synthetic), 0.0, "official_batch_scalar")[0])  # noqa: E731
    assert loss([1, 1, 0, 0]) == 2.5  # synthetic normal videos do not count
    assert loss([0, 0, 1, 1]) == 0
    assert loss([0, 0, 1, 0]) == 1.25  # λ = 0 does not remove a synthetic video, it halves everybody


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0])
def test_weights_and_their_gradient_in_lambda_are_finite(share, weight):
    value, gradient = jax.value_and_grad(lambda w: ssls.weights(jnp.array([share]), w)[0])(weight)
    np.testing.assert_allclose(value, weight**share, rtol=1e-6)
    assert np.isfinite(gradient)
    if share in (0.0, 1.0):
        assert gradient == share


def test_lambda_zero_removes_synthetic_gradients():
    gradient = jax.grad(lambda rows: ssls.combine({"c": single(rows), "m": pairs()}, SYNTHETIC, 0.0, "per_sample")[0])(
        ROWS
    )
    np.testing.assert_array_equal(gradient, [[0.25, 0], [0.25, 0]])


def test_a_learnable_lambda_may_go_negative():
    # The released program's learnt λ does after some 900 steps; single rows follow it.
    np.testing.assert_allclose(ssls.weights(jnp.array([0, 1]), -0.2), [1, -0.2])


@pytest.mark.parametrize("weight", [2.0, 0.25, 1e-3, 1e-4, 0.0, -0.2])
def test_joint_rows_of_a_learnable_lambda_have_a_finite_slope(weight):
    share = jnp.array([0.0, 1 / 3, 0.5, 1.0])
    value = ssls.weights(share, weight, learnable=True)
    # float32's powers differ from float64's by a few of their last bits.
    np.testing.assert_allclose(value, [1, max(weight, 1e-3) ** (1 / 3), max(weight, 1e-3) ** 0.5, weight], rtol=1e-5)
    slope = jax.jacobian(lambda w: ssls.weights(share, w, learnable=True))(weight)
    assert np.isfinite(slope).all() and slope[0] == 0 and slope[3] == 1
    assert (slope[1:3] <= 33.4).all() and (weight >= 1e-3 or (slope[1:3] == 0).all())


def test_terms_across_videos_and_wrong_modes_are_refused_in_one_sentence():
    term = ssls.Term(jnp.ones(3), None, 1, whole_batch=True)
    with pytest.raises(ValueError, match="smoothness runs across the borders .* official_batch_scalar or off"):
        ssls.combine({"smoothness": term}, SYNTHETIC, 0.5, "per_sample")
    ssls.combine({"smoothness": term}, SYNTHETIC, 0.5, "official_batch_scalar")
    with pytest.raises(ValueError, match="needs a normal and an anomalous half, not 3"):
        ssls.combine({}, SYNTHETIC[:3], 0.5, "official_batch_scalar")
