import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.losses import regularisers


def test_by_video_against_a_loop_with_padding():
    rng = np.random.default_rng(0)
    s, lengths = rng.random((4, 6)), [6, 3, 1, 0]
    mask = jnp.arange(6) < jnp.array(lengths)[:, None]
    padded = jnp.asarray(np.where(mask, s, 50), jnp.float32)
    smooth, sparse = regularisers.smoothness(padded, mask), regularisers.sparsity(padded, mask)
    for i, end in enumerate(lengths):
        np.testing.assert_allclose(smooth[i], sum((s[i, t + 1] - s[i, t]) ** 2 for t in range(end - 1)), rtol=1e-5)
        np.testing.assert_allclose(sparse[i], np.linalg.norm(s[i, :end]), rtol=1e-6)
    gradient = jax.grad(lambda x: regularisers.sparsity(x, mask).sum())(padded)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("segments", [32, 64, 96])
def test_the_released_view_bug_for_bug(segments):
    rng = np.random.default_rng(1)
    videos = 3
    # As the trainer writes it: scores of both halves [2B, T, 1] viewed as rows of a fixed number; second half of them.
    scores = rng.random((2 * videos, segments, 1))
    v = scores.reshape(2 * videos * 32, -1)[videos * 32 :]
    shifted = np.zeros_like(v)
    shifted[:-1], shifted[-1] = v[1:], v[-1]
    anomalous = jnp.asarray(scores[videos:, :, 0], jnp.float32)
    view = regularisers.official_view(anomalous, jnp.ones((videos, segments), bool))
    np.testing.assert_allclose(regularisers.official_smoothness(view).sum(), ((shifted - v) ** 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(regularisers.official_sparsity(view).mean(), np.linalg.norm(v, axis=0).mean(), rtol=1e-6)


def test_at_64_segments_neighbours_are_two_apart_and_cross_the_borders_of_videos():
    scores = jnp.zeros((2, 64)).at[0, 63].set(1.0)
    view = regularisers.official_view(scores, jnp.ones((2, 64), bool))
    # The last segment of the first video against its third last, and against the second of the next video.
    assert float(regularisers.official_smoothness(view).sum()) == 2


def test_other_lengths_and_padding_are_refused():
    with pytest.raises(ValueError, match="multiples of 32, not 48"):
        regularisers.official_view(jnp.ones((2, 48)), jnp.ones((2, 48), bool))
    with pytest.raises(ValueError, match="1 of 2 videos"):
        regularisers.official_view(jnp.ones((2, 32)), jnp.ones((2, 32), bool).at[1, 31].set(False))
