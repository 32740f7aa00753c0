import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvvad_jax import bags
from gvvad_jax.bags import segments


def plain_loop(x: np.ndarray, length: int) -> np.ndarray:
    """The released loaders, line by line, in float64."""
    edges = [int(r) for r in np.linspace(0, len(x), length + 1)]
    out = []
    for i in range(length):
        if edges[i] != edges[i + 1]:
            out.append(np.mean(x[edges[i] : edges[i + 1]].astype(np.float64), axis=0))
        else:
            out.append(x[edges[i]].astype(np.float64))
    return np.stack(out)


@settings(deadline=None, max_examples=60)
@given(
    snippets=st.integers(1, 700),
    length=st.sampled_from([1, 2, 24, 32, 64, 200, 256]),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)
def test_segment_is_the_plain_loop(snippets, length, dtype):
    x = np.random.default_rng(snippets).normal(size=(snippets, 2, 3)).astype(dtype)
    got = bags.segment(x, length)
    assert got.dtype == np.float32 and got.shape == (length, 2, 3)
    np.testing.assert_allclose(got, plain_loop(x, length), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("snippets", [58, 70, 114])
def test_borders_at_200_segments_are_those_of_linspace(snippets):
    edges = segments.borders(snippets, 200)
    assert edges.tolist() == [int(r) for r in np.linspace(0, snippets, 201)]
    assert edges.tolist() != [i * snippets // 200 for i in range(201)]


def test_short_videos_repeat_their_rows_in_the_published_counts():
    def counts(snippets, length):
        return np.bincount(bags.segment(np.arange(snippets, dtype=np.float32), length).astype(int)).tolist()

    assert counts(3, 64) == [22, 21, 21]
    assert counts(5, 32) == [7, 6, 7, 6, 6]
    assert counts(1, 4) == [4]


@settings(deadline=None, max_examples=50)
@given(snippets=st.integers(1, 5000), length=st.integers(1, 400))
def test_every_snippet_of_a_long_video_lies_in_one_segment(snippets, length):
    edges = segments.borders(snippets, length)
    assert edges[0] == 0 and edges[-1] == snippets and edges[-2] <= snippets - 1
    assert (np.diff(edges) >= (1 if snippets >= length else 0)).all()


def test_one_dimension_and_many():
    assert bags.segment(np.arange(6.0), 3).tolist() == [0.5, 2.5, 4.5]
    assert bags.segment(np.ones((4, 2, 3, 5), np.float16), 2).shape == (2, 2, 3, 5)


@pytest.mark.parametrize(("shape", "length"), [((0, 3), 4), ((5, 3), 0), ((5, 3), -1)])
@pytest.mark.parametrize("function", [bags.segment, bags.rows])
def test_nothing_to_segment_is_refused(function, shape, length):
    with pytest.raises(ValueError, match="at least 1"):
        function(np.zeros(shape, np.float32), length)


def test_rows_pad_short_videos_and_segment_long_ones():
    x = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float16)
    padded, mask = bags.rows(x, 5)
    assert mask.tolist() == [True, True, True, False, False]
    assert (padded[:3] == x.astype(np.float32)).all() and (padded[3:] == 0).all()
    long = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    padded, mask = bags.rows(long, 5)
    assert mask.all() and (padded == bags.segment(long, 5)).all()
