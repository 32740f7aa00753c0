"""Products of a traced program are counted whole: loops by their trips, kernels by their own rule."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from gvvad_jax.nn import attention
from gvvad_jax.planning import flops


def array(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def test_a_product_has_two_operations_a_place():
    found = flops.traced(lambda a, b: jnp.einsum("nij,njk->nik", a, b), array(3, 4, 5), array(3, 5, 6))
    assert found == 2 * 3 * 4 * 5 * 6


def test_a_convolution_counts_its_window_and_channels():
    def convolve(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert flops.traced(convolve, array(2, 8, 8, 3), array(3, 3, 3, 16)) == 2 * (2 * 6 * 6 * 16) * (3 * 3 * 3)


def test_nested_loops_count_every_trip():
    def looped(x):
        inner = lambda x, _: (x @ x, None)  # noqa: E731
        return lax.scan(lambda x, _: (jax.jit(lambda x: lax.scan(inner, x, None, 3)[0])(x), None), x, None, 5)

    assert flops.traced(looped, array(4, 4)) == 5 * 3 * 2 * 4**3


def test_a_conditional_counts_its_dearest_branch():
    def chosen(x):
        return lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

    assert flops.traced(chosen, array(4, 4)) == 2 * 2 * 4**3


def test_a_loop_of_unknown_trips_is_refused():
    def while_large(x):
        return lax.while_loop(lambda x: x.sum() > 1, lambda x: x @ x, x)

    with pytest.raises(ValueError, match="without a known number of trips"):
        flops.traced(while_large, array(4, 4))


@pytest.mark.parametrize("n", [1, 2])
def test_the_kernel_of_attention_counts_two_products_of_whole_blocks(n):
    def attend(q, k, v):
        return attention.attention(q, k, v, platform="tpu", keys=300)

    q = array(n, 300, 3, 64, dtype=jnp.bfloat16)
    k = array(n, 384, 3, 64, dtype=jnp.bfloat16)
    assert flops.traced(attend, q, k, k) == 4 * n * 3 * 384 * 384 * 64
