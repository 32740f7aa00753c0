"""What callers give a network is refused in a sentence where it cannot be meant, and taken as it is elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.models import given


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([1, 2], r"int64 of shape \[2\], but CLIP takes whole numbers"),
        ([[1.0, 2.0]], r"float64 of shape \[1, 2\]"),
        ([[1] * 9], "sentences of 9 tokens, but this CLIP has 8 positions"),
        (np.zeros((2, 0), np.int32), "sentences of 0 tokens"),
        ([[1, 50]], "token ids from 1 to 50, but this CLIP knows 0 to 49"),
        ([[-1, 3]], "token ids from -1 to 3"),
    ],
)
def test_wrong_token_ids_are_one_sentence(ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        given.token_ids(ids, 50, 8, "CLIP")


@pytest.mark.parametrize(
    "ids", [[[1, 49]], np.array([[0, 7]], np.int64), jnp.ones((2, 8), jnp.int32), np.zeros((0, 3), int)]
)
def test_right_token_ids_pass_as_they_are(ids):
    found = given.token_ids(ids, 50, 8, "CLIP")
    np.testing.assert_array_equal(found, ids)
    traced = jax.jit(lambda x: given.token_ids(x, 50, 8, "CLIP"))(np.asarray(ids, np.int32))
    np.testing.assert_array_equal(traced, ids)


def test_a_mask_has_one_for_each_token():
    for mask in ([[1, 0]], np.array([[True, False]]), np.array([[1.0, 0.0]])):
        assert given.token_mask(mask, (1, 2)).tolist() == [[True, False]]
    with pytest.raises(ValueError, match=r"a mask of shape \[1, 2\] for token ids of shape \[2, 2\]"):
        given.token_mask([[1, 0]], (2, 2))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), "pixels are uint8, but CLIP takes preprocessed ones"),
        (np.zeros((2, 3, 4, 4), np.float32), r"pixels of shape \[n, 3, 4, 4\], but CLIP takes \[n, 4, 4, 3\]"),
        (np.zeros((4, 4, 3), np.float32), r"pixels of shape \[n, 4, 3\]"),
        (3.0, r"pixels of shape \[n\]"),
    ],
)
def test_wrong_pixels_are_one_sentence(images, sentence):
    with pytest.raises(ValueError, match=sentence):
        given.pixels(images, (4, 4, 3), "CLIP")


def test_pixels_may_be_double_lists_or_none_at_all():
    images = np.random.default_rng(0).normal(size=(2, 1, 1, 3))
    for same in (images, images.tolist(), images.astype(np.float32)):
        np.testing.assert_array_equal(given.pixels(same, (1, 1, 3), "CLIP"), images.astype(np.float32))
    assert given.pixels(images[:0], (1, 1, 3), "CLIP").shape == (0, 1, 1, 3)


def test_a_network_is_in_floating_point():
    assert given.dtype("bfloat16") == given.dtype(jnp.bfloat16) == jnp.bfloat16 and given.dtype("float32") == np.float32
    for wrong in ("int32", "float64", "single precision", None):
        with pytest.raises(ValueError, match="in one of float32, bfloat16, float16"):
            given.dtype(wrong)
