import jax
import jax.numpy as jnp
import numpy as np

from tests.detectors import cases


def arithmetic(made, arrays):
    """Logits of each video [C, T], in float64."""
    weight, bias = (np.asarray(v[...], np.float64) for v in (made.fc.kernel, made.fc.bias))
    shift, scale = (np.asarray(v[...], np.float64) for v in (made.transform.shift, made.transform.scale))
    return [((x - shift) * scale @ weight + bias)[..., 0] for x in arrays]


def test_scores_and_loss_against_float64():
    lengths = [9, 2, 9, 3]
    made = cases.detector("linear", components=0, root=False, smooth=1, k=4)
    arrays = cases.videos(lengths, crops=3)
    b = cases.batch(arrays, 11)
    logits = [x.max(0) for x in arithmetic(made, arrays)]
    total, terms, outputs, _, _ = cases.losses(made, b)
    for ours, theirs in zip(np.asarray(outputs.scores).reshape(4, 11), logits, strict=True):
        np.testing.assert_allclose(ours[: len(theirs)], 1 / (1 + np.exp(-theirs)), atol=1e-6)
    rows = [np.logaddexp(0, x).mean() for x in logits[:2]]
    rows += [np.logaddexp(0, -np.sort(x)[::-1][:4]).mean() for x in logits[2:]]
    np.testing.assert_allclose(total, np.mean(rows), rtol=1e-5)
    assert list(terms) == ["classification"]


def test_scores_are_smoothed_and_the_loss_is_not():
    arrays = cases.videos([9, 9, 9, 4])
    b = cases.batch(arrays, 9)
    plain, smooth, causal = (
        cases.forward(cases.detector("linear", smooth=n, causal=c), b) for n, c in ((1, False), (3, False), (3, True))
    )
    np.testing.assert_array_equal(plain.log_score, smooth.log_score)
    s = np.asarray(plain.scores)[1, 1, :4]
    np.testing.assert_allclose(np.asarray(smooth.scores)[1, 1, 1], s[:3].mean(), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(smooth.scores)[1, 1, 3], s[2:4].mean(), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(causal.scores)[1, 1, 3], s[1:4].mean(), rtol=1e-5)


def test_noise_only_with_a_key():
    b = cases.batch(cases.videos([9] * 4), 9)
    made = cases.detector("linear")
    still, again, noisy = (np.asarray(cases.forward(made, b, k).scores) for k in (None, None, jax.random.key(0)))
    np.testing.assert_array_equal(still, again)
    assert np.abs(still - noisy).max() > 0.01


def test_unpaired_batches_work():
    made, b = cases.detector("linear"), cases.batch(cases.videos([5] * 4), 5)
    flat = jax.tree.map(lambda a: a.reshape(1, 4, *a.shape[2:]), b)
    paired, shuffled = cases.losses(made, b)[0], cases.losses(made, flat)[0]
    np.testing.assert_allclose(paired, shuffled, rtol=1e-6)


def test_gradient_steps_find_the_one_column_that_matters():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 20, 5)).astype(np.float32) for _ in range(16)]
    for x in arrays[8:]:
        start = rng.integers(0, 16)
        x[rng.integers(0, 3), start : start + 4, 2] += 4  # an event in one crop of four snippets
    made = cases.detector("linear", width=5, components=0, root=False, smooth=1, generic=False)
    # Weights drawn at random may rank the event lowest and settle on chance differences, as multiple instances allow.
    made.fc.kernel[...] = jnp.full((5, 1), 0.1)
    b = cases.batch(arrays, 20)
    for step in range(100):
        _, _, _, gradients, _ = cases.losses(made, b, key=jax.random.key(step))
        for own, gradient in ((made.fc.kernel, gradients.fc.kernel), (made.fc.bias, gradients.fc.bias)):
            own[...] = own[...] - 0.3 * gradient[...]
    kernel = np.asarray(made.fc.kernel[...])[:, 0]
    assert kernel[2] > 3 * np.abs(np.delete(kernel, 2)).max()
