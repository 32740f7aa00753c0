"""Flow of known displacements, and against a float64 NumPy implementation written from the formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.features import flow

BORDER = 12  # what enters or leaves the frame has no partner there


def texture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth pattern known at every real position: waves of 5 to 30 pixels in all directions."""
    rng = np.random.default_rng(0)
    total = np.zeros(np.broadcast(x, y).shape)
    for _ in range(40):
        angle, length, phase = rng.uniform(0, 2 * np.pi), rng.uniform(5, 30), rng.uniform(0, 2 * np.pi)
        total += np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / length + phase)
    return 128 + 40 * total / total.std()


def frame(right: float = 0, down: float = 0, height: int = 90, width: int = 140) -> np.ndarray:
    """The pattern after it has moved."""
    return texture(np.arange(width) - right, np.arange(height)[:, None] - down)


def measure(first: np.ndarray, second: np.ndarray, **options) -> np.ndarray:
    """The flow of one pair, float64 [height, width, 2]."""
    pair = (jnp.asarray(frames[None], jnp.float32) for frames in (first, second))
    return np.asarray(flow.lucas_kanade(*pair, **options), np.float64)[0]


@pytest.mark.parametrize("moved", [(0.3, -0.2), (1.5, 0.7), (-4.0, 3.0), (6.0, -5.0)])
def test_known_displacements_are_found_to_a_tenth_of_a_pixel(moved):
    found = measure(frame(), frame(*moved))[BORDER:-BORDER, BORDER:-BORDER]
    is_followed = found.any(-1)
    error = np.abs(found - moved)[is_followed]
    assert is_followed.mean() > 0.999
    assert error.mean() < 0.04
    assert np.quantile(error, 0.95) < 0.1


def test_two_objects_keep_their_own_motions():
    first, second = frame(), frame()
    first[20:60, 20:60] = second[20:60, 24:64] = texture(np.arange(40) + 300, np.arange(40)[:, None])
    first[20:60, 90:130] = second[22:62, 90:130] = texture(np.arange(40) + 500, np.arange(40)[:, None])
    found = measure(first, second)
    assert np.abs(found[28:52, 28:52] - (4, 0)).mean() < 0.1
    assert np.abs(found[28:52, 98:122] - (0, 2)).mean() < 0.1
    assert np.abs(found[70:, :]).max() < 0.05


def test_standing_still_is_no_motion():
    assert np.abs(measure(frame(), frame())).max() < 1e-5


def test_a_brighter_frame_is_hardly_motion():
    assert np.abs(measure(frame(), frame() + 20)).max() < 1e-5
    assert np.abs(measure(frame(), 1.1 * frame())).mean() < 0.1


def test_flat_areas_count_as_still():
    rng = np.random.default_rng(1)
    first, second = (128 + rng.normal(0, 1, (90, 140)) for _ in range(2))
    assert not measure(first, second).any()
    # An edge without corners may slide along itself unseen.
    edge = np.where(np.arange(140) < 60, 60.0, 180.0) * np.ones((90, 1))
    assert not measure(edge, np.roll(edge, 2, 1)).any()


def test_any_size_and_number_of_pairs():
    first = np.stack([frame(height=37, width=51)] * 3)
    second = np.stack([frame(d, 0, height=37, width=51) for d in (0, 1, 2)])
    found = flow.speeds(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32))
    assert found.shape == (3, 37, 51)
    np.testing.assert_allclose(np.median(found, (1, 2)), [0, 1, 2], atol=0.05)


def test_agrees_with_a_float64_implementation():
    first, second = frame(height=24, width=36), frame(1.4, -0.8, height=24, width=36)
    first[:, :12], second[:, :12] = 128, 128
    expected = reference(first, second, levels=3, radius=4, iterations=2, floor=4.0)
    found = measure(first, second)
    still = ~expected.any(-1)
    assert 0 < still.mean() < 0.5
    # At the threshold itself rounding decides.
    assert (~found.any(-1) == still).mean() > 0.999
    np.testing.assert_allclose(found[~still], expected[~still], atol=2e-3)


def reference(first, second, levels: int, radius: int, iterations: int, floor: float) -> np.ndarray:
    """The module's formula pixel by pixel: windows as lists of pixels, no sums of squares minus squares."""
    if levels > 1:
        coarse = reference(blurred_half(first), blurred_half(second), levels - 1, radius, iterations, 0.0)
        guess = 2 * coarse.repeat(2, 0).repeat(2, 1)
    else:
        guess = np.zeros((*first.shape, 2))
    height, width = first.shape
    padded = np.pad(first, 1, mode="edge")
    gradient = np.stack([padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]], -1) / 2
    still = np.zeros((height, width), bool)
    for _ in range(iterations):
        places = np.indices((height, width))[::-1].transpose(1, 2, 0) + guess
        target = np.array([[read(second, x, y) for x, y in row] for row in places])
        rest = first - target + (gradient * guess).sum(-1)
        new = np.zeros_like(guess)
        for y in range(height):
            for x in range(width):
                window = np.s_[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
                g = gradient[window].reshape(-1, 2)
                r = rest[window].ravel()
                covariance = np.cov(g.T, bias=True)
                cross = ((g - g.mean(0)) * (r - r.mean())[:, None]).mean(0)
                still[y, x] = np.linalg.eigvalsh(covariance)[0] < floor
                new[y, x] = np.linalg.solve(covariance + np.eye(2), cross + guess[y, x])
        guess = guess + np.clip(new - guess, -radius, radius)
    return np.where(still[..., None], 0, guess)


def blurred_half(image: np.ndarray) -> np.ndarray:
    """Half the size after (1, 3, 3, 1) / 8 both ways."""
    taps = np.array([1, 3, 3, 1]) / 8
    padded = np.pad(image, 1, mode="edge")
    rows = np.array([np.convolve(row, taps, "valid")[::2] for row in padded])
    return np.array([np.convolve(column, taps, "valid")[::2] for column in rows.T]).T


def read(image: np.ndarray, x: float, y: float) -> float:
    """Bilinear."""
    x, y = np.clip(x, 0, image.shape[1] - 1), np.clip(y, 0, image.shape[0] - 1)
    i, j = min(int(y), image.shape[0] - 2), min(int(x), image.shape[1] - 2)
    v, u = y - i, x - j
    corners = image[i : i + 2, j : j + 2]
    return float(np.array([1 - v, v]) @ corners @ np.array([1 - u, u]))
