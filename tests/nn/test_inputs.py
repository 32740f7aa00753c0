import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.nn.inputs import Columns, InputTransform

BLOCKS = (Columns("appearance", 0, 6), Columns("differences", 6, 9))


def features(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 9)) @ rng.normal(size=(9, 9)) + 100 * rng.normal(size=9)
    return x


def expected(fit, x, components, root):
    """Scikit-learn's arithmetic in float64: PCA of the wide block, then mean 0 and variance 1 of every column."""
    rooted = lambda v: np.sign(v) * np.sqrt(np.abs(v))  # noqa: E731
    wide = [b for b in BLOCKS if b.stop - b.start > components]
    fit, x = fit.copy(), x.copy()
    for b in wide if root else []:
        fit[:, b.start : b.stop], x[:, b.start : b.stop] = (
            rooted(fit[:, b.start : b.stop]),
            rooted(x[:, b.start : b.stop]),
        )
    parts_fit, parts = [], []
    for b in BLOCKS:
        f, v = fit[:, b.start : b.stop], x[:, b.start : b.stop]
        if 0 < components < b.stop - b.start:
            axes = np.linalg.svd(f - f.mean(0), full_matrices=False)[2][:components].T
            axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(components)])
            f, v = (f - f.mean(0)) @ axes, (v - fit[:, b.start : b.stop].mean(0)) @ axes
        parts_fit.append(f)
        parts.append(v)
    f, v = np.concatenate(parts_fit, 1), np.concatenate(parts, 1)
    return (v - f.mean(0)) / f.std(0)


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("components", [0, 2, 4])
def test_reduction_and_standardisation_against_float64(root, components):
    fit, x = features(), features(30, 1)
    transform = InputTransform(9, BLOCKS, root=root, components=components, normalise="standardise")
    assert not transform.is_fitted
    transform.fit([fit[:1], fit[1:50], fit[:0], fit[50:]])
    assert transform.is_fitted
    y = transform(jnp.asarray(x, jnp.float32), jnp.ones(30, bool))
    assert y.shape == (30, transform.width)
    np.testing.assert_allclose(y, expected(fit, x, components, root), rtol=2e-4, atol=2e-4)


def test_off_by_default_it_passes_every_bit_and_needs_no_fit():
    x = jnp.asarray(features(5), jnp.float32)
    transform = InputTransform(9)
    assert transform.is_fitted and transform.width == 9
    transform.fit([])
    np.testing.assert_array_equal(transform(x, jnp.ones(5, bool), jax.random.key(0)), x)


def test_padding_is_zero_whatever_it_held():
    transform = InputTransform(9, BLOCKS, root=True, components=2, normalise="standardise", clip=3.0, noise=1.0)
    transform.fit([features()])
    mask = jnp.arange(5) < 3
    call = lambda x: transform(x, mask, jax.random.key(0))  # noqa: E731
    y = call(jnp.full((5, 9), 1e30))
    assert not np.asarray(y[3:]).any()


def test_clip_and_noise():
    rows = features()
    clipped = InputTransform(9, normalise="standardise", clip=1.5)
    clipped.fit([rows])
    y = np.asarray(clipped(jnp.asarray(rows, jnp.float32), jnp.ones(200, bool)))
    assert np.abs(y).max() == 1.5
    noisy = InputTransform(9, noise=0.5)
    x = jnp.zeros((4000, 9))
    assert not np.asarray(noisy(x, jnp.ones(4000, bool))).any()
    noise = np.asarray(noisy(x, jnp.ones(4000, bool), jax.random.key(1)))
    assert abs(noise.std() - 0.5) < 0.01 and abs(noise.mean()) < 0.01


def test_a_constant_column_keeps_its_unit():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    rows[:, 1] = 0.1
    transform = InputTransform(2, normalise="standardise")
    transform.fit([rows])
    y = np.asarray(transform(jnp.asarray([[0.0, 1.1]], jnp.float32), jnp.ones(1, bool)))
    np.testing.assert_allclose(y[0, 1], 1.0, rtol=1e-5)


@pytest.mark.parametrize("rows", [[], [np.zeros((1, 9))], [np.zeros((0, 9))]])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(ValueError, match="at least two rows"):
        InputTransform(9, normalise="standardise").fit(rows)


def test_nan_rows_are_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        InputTransform(9, normalise="standardise").fit([np.full((3, 9), np.nan)])
