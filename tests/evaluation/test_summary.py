import json

import pytest

from gvvad_jax.evaluation import output, summary

FIGURES = {"auc": 0.98765, "ap": 0.5, "ap_trapezoid": 0.5, "auc_anomalous": 0.95432, "far_normal": 0.01}


def build(**changes):
    given = {
        "dataset": "ped2",
        "metrics": {"last": FIGURES, "validation": None, "best_on_test": FIGURES | {"auc": 0.99}},
        "notes": ["twice", "twice"],
        "seed": 0,
        "counts": {"test": 18},
    }
    return summary.build(**(given | changes))


def test_the_keys_are_those_promised():
    built = build()
    promised = (
        "schema dataset trained_on detector variant switches ssls seed step rule metrics baselines counts inputs "
        "versions commit device notes"
    )
    assert set(promised.split()) <= set(built)
    assert built["schema"] == 1 and built["notes"] == ["twice"] and "jax" in built["versions"]
    json.dumps(output.plain(built), allow_nan=False)


def test_the_headline_comes_last_and_once():
    lines = summary.lines(build())
    assert lines[-2:] == ["frame AUC 0.9877", "anomalous only 0.9543"]
    assert sum("frame AUC" in line for line in lines) == 1
    assert any("test set itself" in line and "0.9900" in line for line in lines)


def test_without_test_videos_it_says_so():
    lines = summary.lines(build(metrics={"last": None, "validation": None, "best_on_test": None}))
    assert lines == ["no frame metrics: no test video with frame labels"]


def test_without_marked_anomalous_frames_it_says_what_is_missing():
    lines = summary.lines(build(metrics={"last": FIGURES | {"auc": None, "auc_anomalous": None}}))
    assert lines == ["no frame AUC: it needs test videos with normal and with marked anomalous frames (labels.csv)"]


def test_an_undefined_figure_is_a_dash():
    assert summary.lines(build(metrics={"last": FIGURES | {"auc_anomalous": None}}))[-1] == "anomalous only -"


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="best"):
        build(rule="best")
