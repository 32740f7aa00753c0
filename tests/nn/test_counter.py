import jax
import jax.numpy as jnp
import numpy as np

from gvvad_jax.nn import counter


def test_uniform_is_uniform_and_uncorrelated_with_its_neighbours():
    u = np.asarray(counter.uniform(jax.random.key(0), (512, 512)), np.float64)
    assert u.min() >= 0 and u.max() < 1
    counts, _ = np.histogram(u, 64, (0, 1))
    # chi squared with 63 degrees of freedom: 140 is beyond 1e-7.
    assert ((counts - u.size / 64) ** 2 / (u.size / 64)).sum() < 140
    for a, b in ((u[1:], u[:-1]), (u[:, 1:], u[:, :-1]), (u[:, 64:], u[:, :-64])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.01


def test_two_keys_give_no_shifted_copies_of_one_sequence():
    streams = [np.asarray(counter.uniform(key, (4096,)), np.float64) for key in jax.random.split(jax.random.key(1), 12)]
    for i, first in enumerate(streams):
        for second in streams[:i]:
            spectrum = np.fft.fft(first - first.mean()) * np.conj(np.fft.fft(second - second.mean()))
            correlations = np.fft.ifft(spectrum).real / (len(first) * first.std() * second.std())
            assert np.abs(correlations).max() < 0.1
            assert len(np.intersect1d(first, second)) < 20


def test_normal_has_the_moments_of_a_normal_distribution():
    x = np.asarray(counter.normal(jax.random.key(2), (400, 500)), np.float64)
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    assert abs((x**3).mean()) < 0.05 and abs((x**4).mean() - 3) < 0.1


def test_draws_are_the_same_under_jit_and_under_vmap():
    keys = jax.random.split(jax.random.key(3), 3)
    draw = lambda key: counter.bits(key, (2, 5))  # noqa: E731
    together = np.asarray(jax.jit(jax.vmap(draw))(keys))
    np.testing.assert_array_equal(together, np.stack([np.asarray(draw(key)) for key in keys]))
    assert len(np.unique(together)) == together.size


def test_large_shapes_count_without_overflowing():
    shape = jax.eval_shape(lambda: counter.bits(jax.random.key(0), (2, 2**20, 2**13)))
    assert shape.shape == (2, 2**20, 2**13) and shape.dtype == jnp.uint32
