import numpy as np
import pytest

from gvvad_jax.models.cogvideox import positions


@pytest.fixture
def wanted(shared):
    return np.load(shared / "golden/cog2b_tiny/components.npz")


def test_the_sin_cos_table_puts_columns_before_rows_and_time_before_both(wanted):
    ours = positions.sin_cos(48, 3, 5, 7, 1.875, 1.0)
    np.testing.assert_allclose(
        ours.reshape(3, 35, 48), wanted["sincos.d48_w7_h5_t3"], rtol=0, atol=6e-8
    )  # it is recorded in single


@pytest.mark.parametrize("rows, columns", [(30, 45), (20, 45), (30, 20), (45, 30), (13, 17)])
def test_the_crop_rule_rounds_half_to_even(wanted, rows, columns):
    region = positions.crop_region(rows, columns, 30, 45)
    np.testing.assert_array_equal(region, wanted[f"crop.{rows}x{columns}_base45x30"])


@pytest.mark.parametrize("rows, columns, frames", [(5, 7, 3), (6, 4, 2)])
def test_cropped_angles_equal_the_reference(wanted, rows, columns, frames):
    angles = np.repeat(positions.cropped_angles(32, frames, rows, columns, 4, 6), 2, axis=1)
    key = f"rope.crop.{rows}x{columns}x{frames}_base6x4"
    np.testing.assert_allclose(np.cos(angles), wanted[f"{key}.cos"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.sin(angles), wanted[f"{key}.sin"], rtol=0, atol=2e-6)


def test_sliced_angles_equal_the_reference(wanted):
    angles = np.repeat(positions.sliced_angles(32, 3, 5, 7), 2, axis=1)
    np.testing.assert_allclose(np.cos(angles), wanted["rope.slice.5x7x3.cos"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.sin(angles), wanted["rope.slice.5x7x3.sin"], rtol=0, atol=2e-6)


def test_at_the_native_size_positions_are_whole_numbers():
    cropped = positions.cropped_angles(64, 13, 30, 45, 30, 45)
    np.testing.assert_allclose(cropped, positions.sliced_angles(64, 13, 30, 45), rtol=1e-6)


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="width of 40"):
        positions.sin_cos(40, 1, 2, 2, 1.875, 1.0)
