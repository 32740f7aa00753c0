import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.nn import smoothing


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 30])
def test_moving_average_against_a_loop_with_padding(length, causal):
    rng = np.random.default_rng(0)
    x, valid = rng.random((3, 9)), [9, 4, 1]
    mask = np.arange(9) < np.array(valid)[:, None]
    junk = np.where(mask, x, 77)
    y = np.asarray(smoothing.moving_average(jnp.asarray(junk, jnp.float32), jnp.asarray(mask), length, causal))
    for row, end in enumerate(valid):
        for t in range(end):
            ahead = 0 if causal else (length - 1) // 2
            window = x[row, max(0, t - (length - 1 - ahead)) : min(end, t + ahead + 1)]
            np.testing.assert_allclose(y[row, t], window.mean(), rtol=1e-5)
        if length > 1:
            assert not y[row, end:].any()
