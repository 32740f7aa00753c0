import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.nn import multiscale


def generic(network, seed=0):
    """Random values for every array, as after training: a fresh network's zero norm would hide the non-local block."""
    rng = np.random.default_rng(seed)
    for path, leaf in nnx.to_flat_state(nnx.state(network)):
        if path[-1] == "batches":
            continue
        value = rng.normal(size=leaf.shape) * (0.3 if path[-1] == "kernel" else 0.2)
        leaf[...] = jnp.asarray(np.abs(value) + 0.5 if path[-1] in ("var", "scale") else value, jnp.float32)
    return network


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_padding_of_any_content_changes_nothing(statistics):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 2, 11, 10)).astype(np.float32)
    short = jnp.asarray(x[:, :, :7])
    wide = jnp.asarray(np.concatenate([x[:, :, :7], np.full((3, 2, 6, 10), 1e4, np.float32)], 2))
    apply = jax.jit(lambda m, v, mask: m(v, mask, statistics))
    alone = apply(generic(multiscale.MultiScale(10, rng=np.random.default_rng(0))), short, jnp.ones((3, 1, 7), bool))
    mask = jnp.broadcast_to(jnp.arange(13) < 7, (3, 1, 13))
    padded = apply(generic(multiscale.MultiScale(10, rng=np.random.default_rng(0))), wide, mask)
    np.testing.assert_allclose(padded[:, :, :7], alone, atol=1e-5, rtol=1e-5)
    assert not np.asarray(padded[:, :, 7:]).any()


def test_the_non_local_block_starts_as_the_identity_and_its_maps_without_gradient():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 8)), jnp.float32)
    block = multiscale.NonLocal(8, rng=np.random.default_rng(0))
    mask = jnp.ones((2, 5), bool)
    np.testing.assert_array_equal(block(x, mask), x)
    graph, params, rest = nnx.split(block, nnx.Param, ...)
    loss = lambda p: nnx.merge(graph, p, rest, copy=True)(x, mask, "batch").var()  # noqa: E731
    gradients = dict(nnx.to_flat_state(jax.grad(loss)(params)))
    assert not np.asarray(gradients["theta", "kernel"][...]).any()
    assert np.asarray(gradients["norm", "scale"][...]).any()


def test_the_affinity_needs_no_table_of_all_pairs_of_segments():
    block = multiscale.NonLocal(8, rng=np.random.default_rng(0))
    jaxpr = jax.make_jaxpr(lambda x: block(x, jnp.ones((1, 600), bool)))(jnp.ones((1, 600, 8)))
    assert "600,600" not in str(jaxpr)


@pytest.mark.parametrize("width", [1, 3, 6, 50])
def test_any_width_works(width):
    network = multiscale.MultiScale(width, rng=np.random.default_rng(0))
    y = network(jnp.ones((2, 4, width)), jnp.ones((2, 4), bool), "batch")
    assert y.shape == (2, 4, width) and np.isfinite(y).all()
    assert network.conv_1.kernel.shape == (3, width, max(1, width // 4))
