import numpy as np
import pytest
from PIL import Image

from gvvad_jax.reports import plots


def test_steps_go_through_every_value_where_they_are_few():
    x, y = plots.steps(np.array([0.1, 0.1, 0.5, 0.5, 0.5, 0.2]))
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == [
        (0, 0.1), (2, 0.1), (2, 0.5), (5, 0.5), (5, 0.2), (6, 0.2)
    ]  # fmt: skip


def test_a_long_curve_keeps_its_extremes():
    values = np.random.default_rng(0).random(100_000)
    values[77_777], values[5] = 5.0, -5.0
    x, y = plots.steps(values, limit=600)
    assert len(x) == len(y) <= 600 and y.max() == 5.0 and y.min() == -5.0 and x[-1] == 100_000


@pytest.mark.parametrize("length", [0, 1, 2, 2001])
def test_any_length_is_drawn(tmp_path, length):
    plots.curve(tmp_path / "a.png", np.linspace(0, 1, length, dtype=np.float32), [(0, 1)], title="$x_1$ <a>", fps=25)
    assert Image.open(tmp_path / "a.png").size == (900, 230)


def test_the_interval_is_shaded_and_only_there(tmp_path):
    plots.curve(tmp_path / "a.png", np.zeros(100, np.float32), [(25, 75)])
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    row = pixels[75]
    red = np.flatnonzero(row[:, 0] - row[:, 2] > 10)
    left, right = 0.065 * 900, 0.975 * 900
    assert abs(red.min() - (left + (right - left) * 0.25)) < 4 and abs(red.max() - (left + (right - left) * 0.75)) < 4


def test_curves_share_a_figure_without_traces_of_each_other(tmp_path):
    drawer = plots.Curves()
    drawer.draw(tmp_path / "a.png", np.ones(50), [(10, 40)], title="first", threshold=0.5)
    drawer.draw(tmp_path / "b.png", np.zeros(80), title="second")
    plots.curve(tmp_path / "c.png", np.zeros(80), title="second")
    assert (np.asarray(Image.open(tmp_path / "b.png")) == np.asarray(Image.open(tmp_path / "c.png"))).all()


def test_roc_is_drawn(tmp_path):
    plots.roc(
        tmp_path / "roc.png", {"all": np.array([[0, 0], [0.1, 0.9], [1, 1]]), "other": np.array([[0, 0], [1, 1.0]])}
    )
    assert Image.open(tmp_path / "roc.png").size[0] > 400
