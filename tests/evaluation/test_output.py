import json

import numpy as np

from gvvad_jax import evaluation
from gvvad_jax.evaluation import output, report, summary
from tests.evaluation.cases import video


def a_run(tmp_path, **changes):
    rng = np.random.default_rng(0)
    labels = np.zeros(64, np.int8)
    labels[20:40] = 1
    videos = [
        video("normal/quiet <b>", rng.random(64) / 3, np.zeros(64), category="Normal", fps=25.0),
        video("odd", rng.random(64), labels, category="Fire & smoke", crops=np.zeros(4, np.int16)),
        video("unknown", rng.random(50)),
    ]
    figures = evaluation.full_metrics(videos)
    built = summary.build(
        dataset="folder",
        detector="rtfm",
        metrics={"last": figures, "validation": None, "best_on_test": figures},
        baselines={"frame_difference": None, "video_label": {"auc": 0.9, "auc_anomalous": 0.5}},
        notes=["a note <i>"],
        **changes,
    )
    evaluation.write(tmp_path, videos, figures, built)
    return videos, figures


def test_everything_promised_is_written(tmp_path):
    videos, figures = a_run(tmp_path)
    with np.load(tmp_path / "scores.npz") as arrays:
        assert arrays["scores/odd"].dtype == np.float32 and arrays["labels/odd"].dtype == np.int8
        assert arrays["crops/odd"].dtype == np.int16 and "labels/unknown" not in arrays
        assert (arrays["scores/normal/quiet <b>"] == videos[0].scores).all()
    pictures = sorted(path.name for path in (tmp_path / "curves").iterdir())
    assert pictures == ["normal_quiet__b_.png", "odd.png", "unknown.png"]
    assert (tmp_path / "roc.png").stat().st_size > 1000
    assert json.loads((tmp_path / "summary.json").read_text())["metrics"]["last"]["auc"] == figures["auc"]


def test_the_page_escapes_names_and_shows_every_table(tmp_path):
    a_run(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<b>" not in page.replace('<b style="width', "") and "a note &lt;i&gt;" in page
    for words in ("best on the test set", "What learning adds", "Per class", "Costliest videos", "Fire &amp; smoke"):
        assert words in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count('<article class="video"') == 3 and "frames not labelled" in page


def test_a_second_write_leaves_no_curve_of_the_first(tmp_path):
    a_run(tmp_path)
    evaluation.write(
        tmp_path, [video("new", [0.5] * 16)], None, summary.build(dataset="folder", metrics={"last": None})
    )
    assert [path.name for path in (tmp_path / "curves").iterdir()] == ["new.png"]
    assert (
        not (tmp_path / "roc.png").exists()
        and "no test video has frame labels" in (tmp_path / "report.html").read_text()
    )


def test_a_video_that_the_tail_policy_leaves_no_frame_is_shown_as_such(tmp_path):
    labels = np.r_[np.zeros(8), np.ones(8)]
    videos = [video("short", [], [], label=1), video("other", labels / 2, labels)]
    figures = evaluation.full_metrics(videos)
    evaluation.write(tmp_path, videos, figures, summary.build(dataset="folder", metrics={"last": figures}))
    page = (tmp_path / "report.html").read_text()
    assert "no frames" in page and (tmp_path / "curves" / "short.png").exists()
    with np.load(tmp_path / "scores.npz") as arrays:
        assert len(arrays["scores/short"]) == 0


def test_names_that_become_one_file_are_kept_apart():
    videos = [video(id, [0.5]) for id in ("a/b", "a_b", "a?b", "..", "x" * 400)]
    pictures = report._pictures(videos)
    assert len(set(pictures.values())) == 5 and all(len(p) < 250 for p in pictures.values())


def test_json_has_no_nan():
    assert output.plain({"a": float("nan"), "b": np.float32(0.5), "c": (np.int64(1),), 2: None}) == {
        "a": None, "b": 0.5, "c": [1], "2": None
    }  # fmt: skip
