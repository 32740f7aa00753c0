import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax import detectors, training
from gvvad_jax.batch import Batch
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import state as states
from gvvad_jax.training import step as steps

WIDTH, CROPS, SEGMENTS, PAIRS = 8, 2, 6, 4


def batch(seed=0, synthetic=((0, 1, 0, 0), (0, 0, 1, 1))):
    rng = np.random.default_rng(seed)
    shape = (2, PAIRS)
    return Batch(
        visual=jnp.asarray(rng.normal(size=(*shape, CROPS, SEGMENTS, WIDTH)), jnp.float32),
        text=None,
        mask=jnp.ones((*shape, SEGMENTS), bool),
        text_mask=None,
        label=jnp.tile(jnp.arange(2, dtype=jnp.int32)[:, None], (1, PAIRS)),
        category=jnp.zeros(shape, jnp.int32),
        synthetic=jnp.asarray(synthetic, jnp.int32),
        index=jnp.arange(2 * PAIRS, dtype=jnp.int32).reshape(shape),
    )


def made(name="rtfm", synthetic_weight=0.5, learning_rate=1e-3, weight_decay=5e-3, **switches):
    detector = detectors.create(name, detectors.Inputs(WIDTH), **switches)
    structure, state = states.create(
        detector, synthetic_weight=synthetic_weight, learning_rate=learning_rate, weight_decay=weight_decay
    )
    return detector, structure, state


@functools.cache
def jitted(structure, mode="per_sample"):
    """Tests that need the same program compile it once."""
    return jax.jit(steps.pure(structure, mode))


def adam64(p, g, m, v, t, learning_rate, weight_decay):
    """torch.optim.Adam as its documentation writes it, in float64."""
    g = g + weight_decay * p
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return p - learning_rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v


def test_adam_is_torchs_with_l2_in_the_gradient():
    rng = np.random.default_rng(0)
    p64 = rng.normal(size=(3, 5))
    params = {"a": jnp.asarray(p64, jnp.float32)}
    moments, m, v = states.ADAM.init(params), np.zeros_like(p64), np.zeros_like(p64)
    for t in range(1, 8):
        g = rng.normal(size=p64.shape)
        params, moments = steps.adam(
            params, {"a": jnp.asarray(g, jnp.float32)}, moments, learning_rate=0.01, weight_decay=0.3
        )
        p64, m, v = adam64(p64, g, m, v, t, 0.01, 0.3)
        np.testing.assert_allclose(params["a"], p64, rtol=1e-5, atol=1e-6)


def test_decay_alone_moves_each_weight_by_the_learning_rate():
    params = {"a": jnp.full(4, 2.0), "b": jnp.full(4, -0.1)}
    zero = jax.tree.map(jnp.zeros_like, params)
    moved, _ = steps.adam(params, zero, states.ADAM.init(params), learning_rate=0.01, weight_decay=5e-3)
    np.testing.assert_allclose(moved["a"], 1.99, rtol=1e-5)
    np.testing.assert_allclose(moved["b"], -0.09, rtol=1e-4)


def test_a_step_without_dropout_is_one_batch_and_adam():
    detector, structure, state = made(dropout=0.0)
    data = batch()
    step = jitted(structure)
    after, metrics = step(state, data, jax.random.key(0))
    flat = np.asarray(data.visual).reshape(2 * PAIRS, CROPS, SEGMENTS, WIDTH)
    result = training.loss_and_gradients(
        detector, flat, synthetic=np.asarray(data.synthetic).ravel(), ssls="per_sample", synthetic_weight=0.5
    )
    moved, _ = training.adam_step(detector, result.gradients, learning_rate=1e-3, weight_decay=5e-3)
    assert float(metrics["loss"]) == pytest.approx(result.loss, rel=1e-6)
    assert {k: float(metrics[k]) for k in result.terms} == pytest.approx(result.terms, rel=1e-6)
    want = detectors.bundle.arrays(moved)
    for name, array in (after.params | after.rest).items():
        # An element whose gradient is rounding noise may move by a part of the learning rate.
        np.testing.assert_allclose(array, want[name], rtol=1e-4, atol=2e-5, err_msg=name)
    assert int(after.step) == 1 and bool(metrics["finite"]) and float(metrics["lambda"]) == 0.5


def test_lambda_zero_leaves_synthetic_videos_without_influence():
    _, structure, state = made(synthetic_weight=0.0, dropout=0.0)
    first = batch()
    synthetic = np.asarray(first.synthetic)[..., None, None, None]
    other = dataclasses.replace(first, visual=jnp.where(synthetic, 3.0 * first.visual + 1, first.visual))

    @jax.jit
    def gradients(data):
        def loss(params):
            value, _ = steps.objective(
                structure.detector(params, state.rest),
                data,
                1,
                synthetic_weight=state.numbers["synthetic_weight"],
                mode="per_sample",
                statistics="running",
            )
            return value

        return jax.grad(loss)(state.params)

    changed = gradients(other)
    for name, gradient in gradients(first).items():
        np.testing.assert_allclose(changed[name], gradient, rtol=1e-5, atol=1e-7, err_msg=name)


def test_each_number_of_the_state_has_its_effect_under_vmap():
    _, structure, state = made("linear", noise=0.0, normalise="none")
    step = jax.jit(jax.vmap(steps.pure(structure, "per_sample"), in_axes=(0, None, None)))
    names = [*state.numbers]
    stacked = jax.tree.map(lambda x: jnp.stack([x] * (len(names) + 1)), state)
    numbers = {name: values.at[i + 1].multiply(2.0) for i, (name, values) in enumerate(stacked.numbers.items())}
    stacked = dataclasses.replace(stacked, numbers=numbers)
    for number in range(2):
        stacked, _ = step(stacked, batch(number), jax.random.key(0))
    kernels = np.asarray(stacked.params["fc.kernel"])
    for i, name in enumerate(names):
        assert not np.array_equal(kernels[0], kernels[i + 1]), name


def test_dropout_depends_on_seed_and_step_alone():
    _, structure, state = made()
    step = jitted(structure)
    one, again = step(state, batch(), jax.random.key(1))[1], step(state, batch(), jax.random.key(1))[1]
    assert float(one["loss"]) == float(again["loss"])
    assert float(step(state, batch(), jax.random.key(2))[1]["loss"]) != float(one["loss"])
    later = dataclasses.replace(state, step=jnp.int32(5))
    assert float(step(later, batch(), jax.random.key(1))[1]["loss"]) != float(one["loss"])


def test_a_state_that_is_not_finite_is_seen_where_the_loss_still_is():
    _, structure, state = made(learning_rate=np.inf)
    _, metrics = jitted(structure)(state, batch(), jax.random.key(0))
    assert np.isfinite(float(metrics["loss"])) and not bool(metrics["finite"])


def test_the_compiled_step_takes_over_the_state():
    _, structure, state = made()
    mesh = meshes.make(PAIRS)
    state = meshes.replicate(state, mesh)
    after, _ = steps.compiled(structure, mesh, "per_sample")(state, batch(), meshes.key(0, mesh))
    assert all(x.is_deleted() for x in state.params.values()) and int(after.step) == 1
