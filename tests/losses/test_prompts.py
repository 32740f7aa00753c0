"""LAP's prompt losses against plain NumPy loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.losses import prompts

VIDEOS, CROPS, SEGMENTS, WIDTH = 3, 2, 7, 5


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    shape = (VIDEOS, CROPS, SEGMENTS, WIDTH)
    return {
        "normal": rng.normal(size=shape).astype(np.float32),
        "anomalous": rng.normal(size=shape).astype(np.float32),
        "ranking": rng.normal(size=(2, VIDEOS, SEGMENTS)).astype(np.float32),
        "similarity": rng.uniform(size=(VIDEOS, SEGMENTS)).astype(np.float32),
        "flagged": rng.uniform(size=(VIDEOS, SEGMENTS)) < 0.4,
        "mask": np.ones((2, VIDEOS, SEGMENTS), bool),
    }


def test_similarity_is_the_cosine_with_the_nearest_prompt_and_0_for_no_text():
    rng = np.random.default_rng(1)
    text, bank = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 4))
    text[0, 0] = 0
    found = prompts.similarities(jnp.asarray(text, jnp.float32), jnp.asarray(bank, jnp.float32))
    cosine = np.einsum("nld,pd->nlp", text, bank) / np.linalg.norm(bank, axis=1)
    length = np.linalg.norm(text, axis=-1)
    expected = np.where(length > 0, cosine.max(-1) / np.where(length > 0, length, 1), 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_flags_are_above_mean_plus_one_unbiased_deviation_of_what_counts():
    rng = np.random.default_rng(2)
    similarity = rng.normal(size=(4, 9)).astype(np.float32)
    counts = rng.uniform(size=(4, 9)) < 0.7
    known = similarity[counts].astype(np.float64)
    expected = counts & (similarity > known.mean() + known.std(ddof=1))
    assert expected.any()
    np.testing.assert_array_equal(prompts.flags(jnp.asarray(similarity), jnp.asarray(counts)), expected)
    assert not prompts.flags(jnp.ones((2, 3)), jnp.ones((2, 3), bool)).any()


def test_pseudo_anomaly_is_the_mean_cross_entropy_of_valid_segments():
    score = np.array([[0.2, 0.9, 0.5], [0.6, 0.1, 0.3]])
    flagged = np.array([[False, True, False], [True, False, True]])
    mask = np.array([[True, True, True], [True, True, False]])
    each = -np.where(flagged, np.log(score), np.log(1 - score))
    expected = [each[0].mean(), each[1, :2].mean()]
    found = prompts.pseudo_anomaly(
        jnp.log(jnp.float32(score)), jnp.log(jnp.float32(1 - score)), jnp.asarray(flagged), jnp.asarray(mask)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def mean_of(z, order, legal, weight, rows):
    """Weighted mean over crops and the `rows` highest legal segments, by loops."""
    places = sorted((-order[v, t], v, t) for v in range(VIDEOS) for t in range(SEGMENTS) if legal[v, t])[:rows]
    total = sum(weight[v] for _, v, _ in places)
    return sum(weight[v] * z[v, :, t].mean(0) for _, v, t in places) / total if total else None


@pytest.mark.parametrize("weight", [[[1, 1, 1], [1, 1, 1]], [[1, 0.5, 1], [0.5, 0.5, 1]], [[1, 0, 1], [0, 1, 0]]])
def test_set_triplet_joins_three_weighted_means(drawn, weight):
    weight = np.array(weight, np.float64)
    counts = drawn["mask"] & (weight > 0)[..., None]
    a = mean_of(drawn["normal"], -drawn["ranking"][0], counts[0], weight[0], 4)
    p = mean_of(drawn["anomalous"], -drawn["ranking"][1], counts[1], weight[1], 4)
    n = mean_of(drawn["anomalous"], drawn["similarity"], counts[1] & drawn["flagged"], weight[1], 4)
    expected = max(0, np.linalg.norm(a - p) - np.linalg.norm(a - n) + 1)
    assert expected > 0
    found = prompts.set_triplet(
        *(jnp.asarray(drawn[k]) for k in ("normal", "anomalous", "ranking", "similarity", "flagged")),
        jnp.asarray(counts),
        jnp.asarray(weight, jnp.float32),
        4,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_set_triplet_is_0_with_finite_gradients_where_a_set_is_empty(drawn):
    arrays = {k: jnp.asarray(v) for k, v in drawn.items()}

    def loss(normal, weight):
        nothing = jnp.zeros_like(arrays["flagged"])
        rest = (arrays["anomalous"], arrays["ranking"], arrays["similarity"], nothing, arrays["mask"], weight, 4)
        return prompts.set_triplet(normal, *rest)

    value, gradients = jax.value_and_grad(loss, (0, 1))(arrays["normal"], jnp.ones((2, VIDEOS)))
    assert value == 0 and all(np.isfinite(g).all() for g in gradients)


def test_rank_triplets_pair_single_segments_by_rank(drawn):
    rows = int(drawn["flagged"].sum())
    flat = {k: np.swapaxes(drawn[k], 1, 2).reshape(VIDEOS * SEGMENTS, -1) for k in ("normal", "anomalous")}
    low = [np.argsort(drawn["ranking"][g].ravel(), kind="stable")[:rows] for g in (0, 1)]
    high = np.argsort(-np.where(drawn["flagged"], drawn["ranking"][1], -np.inf).ravel(), kind="stable")[:rows]
    a, p, n = flat["normal"][low[0]], flat["anomalous"][low[1]], flat["anomalous"][high]
    distance = lambda x, y: np.linalg.norm(x - y + 1e-6, axis=1)  # noqa: E731
    expected = np.maximum(0, distance(a, p) - distance(a, n) + 1)
    arguments = [jnp.asarray(drawn[k]) for k in ("normal", "anomalous", "ranking", "flagged", "mask")]
    found, videos = prompts.rank_triplets(*arguments, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    places = np.stack([low[0] // SEGMENTS, VIDEOS + low[1] // SEGMENTS, VIDEOS + high // SEGMENTS], -1)
    np.testing.assert_array_equal(videos, places)
    with pytest.raises(ValueError, match="3 videos of 7 segments are fewer than 22"):
        prompts.rank_triplets(*arguments, 22)


def test_rank_triplets_take_nothing_of_what_does_not_count(drawn):
    arrays = {k: jnp.asarray(v) for k, v in drawn.items()}
    counts = jnp.ones((2, VIDEOS, SEGMENTS), bool).at[:, 1].set(False)

    def found(rows, **changed):
        given = arrays | {"flagged": arrays["flagged"] & counts[1], "mask": counts} | changed
        return prompts.rank_triplets(*(given[k] for k in ("normal", "anomalous", "ranking", "flagged", "mask")), rows)

    for rows in (4, 2 * SEGMENTS):  # the second: unflagged segments of videos that count follow the flagged ones
        row, videos = found(rows)
        assert not np.isin(videos, (1, VIDEOS + 1)).any()
        spoilt = arrays["ranking"].at[:, 1].set(jnp.array([-1e3, 1e3])[:, None])
        again = found(rows, ranking=spoilt, normal=arrays["normal"].at[1].set(1e3))
        np.testing.assert_array_equal(again[0], row)
        np.testing.assert_array_equal(again[1], videos)
    assert not found(2 * SEGMENTS + 3)[0][2 * SEGMENTS :].any()
