import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.nn import alignment


def released(text, want):
    """The rule as a loop: cut, or append the last d rows as one block."""
    missing = want - len(text)
    return text[:want] if missing <= 0 else np.concatenate([text, text[len(text) - missing :]])


@pytest.mark.parametrize(("have", "want"), [(9, 9), (8, 9), (5, 9), (10, 9), (13, 9), (1, 1), (1, 2)])
def test_rows_are_cut_or_the_last_ones_come_again_as_a_block(have, want):
    text = np.random.default_rng(0).normal(size=(have, 3)).astype(np.float32)
    padded, mask = np.full((16, 3), 7, np.float32), np.arange(12) < want
    padded[:have] = text
    found = alignment.align(jnp.asarray(padded), jnp.asarray(np.arange(16) < have), jnp.asarray(mask))
    assert found.shape == (12, 3)
    np.testing.assert_array_equal(found[:want], released(text, want))


def test_each_video_of_a_batch_has_lengths_of_its_own():
    text = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    text_mask = np.arange(6) < np.array([[6], [3]])
    mask = np.arange(5) < np.array([[4], [5]])
    found = alignment.align(jnp.asarray(text), jnp.asarray(text_mask), jnp.asarray(mask))
    np.testing.assert_array_equal(found[0, :4], text[0, :4])
    np.testing.assert_array_equal(found[1], text[1, [0, 1, 2, 1, 2]])
