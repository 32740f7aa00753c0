import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gvvad_jax.video import crops
from tests.video import clips

COUNTS = {"centre": 1, "five": 5, "ten": 10, "tiles": 15}


@given(st.sampled_from(crops.KINDS), st.integers(1, 700), st.integers(1, 700), st.sampled_from([32, 224, 240]))
def test_every_size_gives_the_same_number_of_views_inside_the_frame(kind, height, width, size):
    if kind != "tiles" and max(height, width) > crops.MAX_ASPECT * min(height, width):
        with pytest.raises(ValueError, match="times the other"):
            crops.plan(kind, height, width, size=size)
        return
    plan = crops.plan(kind, height, width, size=size)
    assert len(plan.boxes) == len(plan.flips) == COUNTS[kind]
    x0, y0, x1, y1 = plan.boxes.T
    assert (x0 >= 0).all() and (y0 >= 0).all()
    assert (x1 <= plan.resize[1]).all() and (y1 <= plan.resize[0]).all()
    assert (x1 - x0 == size).all() and (y1 - y0 == size).all()
    assert plan.fractions.dtype == np.float32
    assert plan.fractions.min() >= 0 and plan.fractions.max() <= 1


def test_sizes_by_hand():
    assert crops.plan("centre", 240, 320).resize == (256, 341)
    assert crops.plan("centre", 240, 320).boxes.tolist() == [[58, 16, 282, 240]]
    assert crops.plan("centre", 320, 240).resize == (341, 256)
    assert crops.plan("five", 256, 256).boxes[1:, :2].tolist() == [[0, 0], [32, 0], [0, 32], [32, 32]]
    assert crops.plan("tiles", 240, 360).resize == (448, 672)
    assert crops.plan("tiles", 100, 100, tiles=(2, 4)).resize == (560, 336)
    assert crops.plan("tiles", 240, 360).order == "tiles 5x3"
    assert crops.plan("tiles", 240, 360).boxes[[0, 1, 5, 14], :2].tolist() == [[0, 0], [112, 0], [0, 112], [448, 224]]
    assert [crops.plan(kind, 9, 9).order for kind in ("centre", "five", "ten")] == ["centre", "five", "ten"]


def test_cut_equals_slices_and_the_second_five_are_mirrored():
    frames = np.stack([clips.picture(i, 150, 200) for i in range(2)])
    plan = crops.plan("ten", 150, 200, size=64)
    resized = crops.resize(frames, plan)
    views = crops.cut(resized, plan)
    assert views.shape == (2, 10, 64, 64, 3) and views.flags.c_contiguous
    for i, (x0, y0, x1, y1) in enumerate(plan.boxes):
        expected = resized[:, y0:y1, x0:x1]
        assert (views[:, i] == (expected[:, :, ::-1] if i >= 5 else expected)).all()
    assert (views[:, 5:] == views[:, :5, :, ::-1]).all()


def test_resize_is_pillows_bicubic_and_leaves_a_frame_of_the_right_size_alone():
    frames = np.stack([clips.picture(3, 300, 500)])
    plan = crops.plan("tiles", 300, 500, tiles=(3, 1))
    expected = Image.fromarray(frames[0]).resize((448, 224), Image.Resampling.BICUBIC)
    assert (crops.resize(frames, plan)[0] == np.asarray(expected)).all()
    same = np.zeros((2, 448, 672, 3), np.uint8)
    assert crops.resize(same, crops.plan("tiles", 448, 672)) is same


def test_mistakes_are_sentences():
    with pytest.raises(ValueError, match="centre, five, ten, tiles"):
        crops.plan("center", 240, 320)
    with pytest.raises(ValueError, match="tiles=0x3"):
        crops.plan("tiles", 240, 320, tiles=(0, 3))
    with pytest.raises(ValueError, match="at least 1"):
        crops.plan("centre", 0, 320)
    with pytest.raises(ValueError, match="crops.resize first"):
        crops.cut(np.zeros((1, 10, 10, 3), np.uint8), crops.plan("centre", 240, 320))
