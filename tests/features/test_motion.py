"""Motion channels on drawn scenes, and their statistics against NumPy's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvvad_jax.features import motion
from gvvad_jax.video import crops

PLAN = crops.plan("tiles", 100, 150, tiles=(3, 2), size=64)  # resized to 128 x 96


def scene(num_frames: int, speed: int = 0, x: int = 4, y: int = 70, seed: int = 0) -> np.ndarray:
    """Grey noise and on it a square of 24 pixels that moves to the right by `speed` a frame, uint8 [n, 96, 128, 3]."""
    rng = np.random.default_rng(seed)
    back = np.repeat(np.repeat(rng.integers(100, 140, (24, 32)), 4, 0), 4, 1)
    square = np.repeat(np.repeat(rng.integers(0, 256, (6, 6)), 4, 0), 4, 1)
    frames = np.repeat(back[None], num_frames, 0).astype(np.uint8)
    for i, frame in enumerate(frames):
        frame[y : y + 24, x + speed * i : x + speed * i + 24] = square
    return np.repeat(frames[..., None], 3, -1)


@pytest.mark.parametrize("name", motion.names())
def test_a_channel_gives_a_row_for_each_crop_and_says_what_its_columns_are(name):
    channel = motion.create(name, PLAN)
    values, _ = channel(scene(17, 2)[1:], scene(17, 2)[0])
    if channel.width is None:
        assert values.dtype == np.uint8 and values.shape == (6, 64, 64, 3)
    else:
        assert values.dtype == np.float32 and values.shape == (6, channel.width)
        assert len(set(channel.columns)) == channel.width


@pytest.mark.parametrize("name", motion.names())
def test_nothing_moves(name):
    channel = motion.create(name, PLAN)
    still = scene(16)
    for frames, previous in ((still, still[0]), (still, None), (still[:1], None), (still[:1], still[0])):
        values, beside = channel(frames, previous)
        np.testing.assert_allclose(values, 0, atol=1e-3)
        assert not any(beside.values())


@pytest.mark.parametrize("name", motion.names())
def test_a_videos_first_pair_counts_twice(name):
    channel, frames = motion.create(name, PLAN), scene(9, 3)
    # A pair that counts twice weighs as that pair alone.
    np.testing.assert_allclose(channel(frames[:2], None)[0], channel(frames[1:2], frames[0])[0], atol=1e-6)
    assert np.abs(channel(frames[:1], None)[0]).max() < 1e-3


@pytest.mark.parametrize("name", ["differences", "flow"])
def test_the_crop_that_moves_stands_out_and_faster_is_more(name):
    channel = motion.create(name, PLAN)
    values = []
    for speed in (2, 4, 6):
        frames = scene(9, speed)
        values.append(channel(frames[1:], frames[0])[0])
        assert values[-1].max(1).argmax() in (3, 4)  # bottom left, or the one that overlaps it
        assert values[-1][2, 0] < 0.05  # top right
    if name == "flow":
        assert values[0].max() < values[1].max() < values[2].max()


def test_flow_gives_speeds_in_pixels_of_half_size_frames():
    frames = scene(9, 6)
    channel = motion.create("flow", PLAN)
    values, beside = channel(frames[1:], frames[0])
    fast = values[3, channel.columns.index("moving p75")]
    np.testing.assert_allclose(np.expm1(fast), 3.0, atol=0.3)
    np.testing.assert_allclose(beside["flow_speed"], 3.0, atol=0.3)


def test_mirrored_crops_have_their_parts_mirrored():
    plan = crops.plan("ten", 256, 256)
    frames = np.random.default_rng(0).integers(0, 256, (4, *plan.resize, 3), np.uint8)
    frames[:, :, 112:] = 0
    values, _ = motion.create("differences", plan)(frames, None)
    grid = values.reshape(10, 2, 2, -1)
    assert grid[1, :, 0].min() > 1 > grid[1, :, 1].max()
    np.testing.assert_array_equal(grid[1], grid[6][:, ::-1])


def test_difference_image_is_the_largest_change_of_each_pixel():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, *PLAN.resize, 3), np.uint8)
    expected = np.abs(np.diff(frames.astype(int), axis=0)).max(0)
    np.testing.assert_array_equal(motion.difference_image(frames[1:], frames[0]), expected)
    np.testing.assert_array_equal(
        motion.create("image", PLAN)(frames[1:], frames[0])[0], crops.cut(expected.astype(np.uint8)[None], PLAN)[0]
    )


def test_baselines_are_percentiles_of_the_whole_frame_and_of_the_largest_tile():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (5, 100, 150, 1), np.uint8)
    frames = np.repeat(grey, 3, -1)
    difference = np.abs(np.diff(grey[..., 0].astype(int), axis=0))
    found = motion.baselines(frames[1:], frames[0], PLAN)
    np.testing.assert_allclose(found["frame_difference"], np.percentile(difference, 99.9, axis=(1, 2)).mean())
    boxes = np.rint(PLAN.fractions * [150, 100, 150, 100]).astype(int)
    tiles = [difference.max(0)[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes]
    np.testing.assert_allclose(found["tile_difference"], max(np.percentile(tile, 95) for tile in tiles))
    assert set(motion.baselines(frames, None, crops.plan("centre", 100, 150))) == {"frame_difference"}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_percentiles_are_numpys(data):
    shape = [data.draw(st.integers(1, 7)) for _ in range(3)]
    levels = data.draw(st.integers(1, 300))
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, levels, shape)
    x0, y0 = data.draw(st.integers(0, shape[2] - 1)), data.draw(st.integers(0, shape[1] - 1))
    box = (x0, y0, data.draw(st.integers(x0 + 1, shape[2])), data.draw(st.integers(y0 + 1, shape[1])))
    percents = data.draw(st.lists(st.floats(0, 100), min_size=1, max_size=3))
    inside = values[:, box[1] : box[3], box[0] : box[2]].reshape(shape[0], -1)
    found = motion._percentiles(values, np.array([box, box]), percents, levels)
    expected = np.percentile(inside, percents, axis=1).T
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-9)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    least = data.draw(st.integers(0, levels))
    found = motion._percentiles(values, np.array([box]), percents, levels, least)[:, 0]
    for row, those in zip(found, inside, strict=True):
        those = those[those >= least]
        np.testing.assert_allclose(row, np.percentile(those, percents) if len(those) else 0, atol=1e-9)


def test_colour_becomes_luma_and_grey_stays():
    grey = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, 2)
    np.testing.assert_array_equal(motion._grey(grey)[:, 0], np.arange(256))
    np.testing.assert_array_equal(motion._grey(np.eye(3, dtype=np.uint8)[None] * 255), [[76, 149, 28]])


def test_unknown_channel_is_refused():
    with pytest.raises(ValueError, match="'speed' is not known; choose among differences, flow, image"):
        motion.create("speed", PLAN)
