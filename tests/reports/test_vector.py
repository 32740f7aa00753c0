import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from gvvad_jax.reports import vector


def corners(path):
    """The points of a path of M, H, V and L, as the page's script reads them."""
    x = y = 0.0
    points = []
    for letter, numbers in re.findall(r"([MLHV])([^MLHV]+)", path):
        values = [float(n) for n in numbers.split()]
        x, y = (values[0], y) if letter == "H" else (x, values[0]) if letter == "V" else values
        points.append((x, y))
    return points


def line(svg):
    tree = ElementTree.fromstring(svg)
    return next(path.get("d") for path in tree if path.get("class") == "line")


def test_the_path_holds_every_score():
    scores = np.repeat(np.array([0.0, 0.5, 1.0, 0.25], np.float32), 16)
    points = corners(line(vector.curve(scores)))
    assert points == [(0, 120), (250, 120), (250, 60), (500, 60), (500, 0), (750, 0), (750, 90), (1000, 90)]


def test_scores_outside_0_to_1_stay_in_the_picture():
    assert {y for _, y in corners(line(vector.curve(np.array([-3.0, 7.0]))))} == {0, 120}


def test_intervals_and_names_are_drawn_and_escaped():
    svg = vector.curve(np.zeros(100), [(10, 20), (50, 51)], threshold=0.5, name='<b> & "c"')
    tree = ElementTree.fromstring(svg)
    shades = [(float(r.get("x")), float(r.get("width"))) for r in tree.iter("rect")]
    assert shades == [(100, 100), (500, 10)] and tree.get("aria-label") == '<b> & "c"'


def test_roc_runs_to_the_corner():
    tree = ElementTree.fromstring(vector.roc({"all": np.array([[0, 0], [0, 1], [1, 1.0]])}))
    assert [p.get("d") for p in tree if p.get("class") == "line"] == ["M0 300L0 0L300 0"]
