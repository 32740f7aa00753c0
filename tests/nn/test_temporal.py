import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.nn import linear, temporal


def correlate(x, kernel, dilation):
    """Torch's Conv1d with padding dilation * (taps - 1) / 2, as a plain loop over [T, width]."""
    taps, _, out = kernel.shape
    length = len(x)
    y = np.zeros((length, out))
    for t in range(length):
        for tap in range(taps):
            source = t + (tap - (taps - 1) // 2) * dilation
            if 0 <= source < length:
                y[t] += x[source] @ kernel[tap]
    return y


@pytest.mark.parametrize("length", [1, 2, 3, 9])
@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (3, 2), (3, 4), (5, 2)])
def test_convolution_against_a_loop(length, taps, dilation):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 3, length, 4)), rng.normal(size=(taps, 4, 6))
    y = temporal.convolve(jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32), dilation)
    for n in range(2):
        for c in range(3):
            np.testing.assert_allclose(y[n, c], correlate(x[n, c], kernel, dilation), rtol=1e-5, atol=1e-5)


def test_no_convolution_primitive_is_used_so_that_loops_stay_fast():
    kernel = jnp.ones((3, 4, 6))
    gradient = jax.make_jaxpr(jax.grad(lambda k: temporal.convolve(jnp.ones((2, 8, 4)), k, 2).sum()))(kernel)
    assert "conv_general_dilated" not in str(gradient) and "gather" not in str(gradient)


def test_an_even_number_of_taps_is_refused():
    with pytest.raises(ValueError, match="odd number of taps .* not 2"):
        temporal.convolve(jnp.ones((5, 3)), jnp.ones((2, 3, 3)))


def test_initialisation_is_xavier_uniform_over_taps_with_zero_bias():
    layer = temporal.Convolution(64, 32, 3, rng=np.random.default_rng(0))
    kernel, bound = np.asarray(layer.kernel[...]), np.sqrt(6 / ((64 + 32) * 3))
    assert bound * 0.98 < np.abs(kernel).max() <= bound
    assert abs(kernel.var() - bound**2 / 3) < 0.05 * bound**2
    assert not np.asarray(layer.bias[...]).any()
    dense = linear.Linear(100, 50, rng=np.random.default_rng(0))
    assert 0.98 * np.sqrt(6 / 150) < np.abs(np.asarray(dense.kernel[...])).max() <= np.sqrt(6 / 150)
