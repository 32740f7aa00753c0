import subprocess
import sys

import numpy as np
import pytest

from gvvad_jax import datasets
from gvvad_jax.datasets import tables


def test_the_promised_names():
    assert datasets.names() == ["ucf", "xd", "shanghaitech", "tad", "ped2", "ubnormal", "folder"]


@pytest.mark.parametrize(
    ("name", "train", "test", "anomalous_test", "counted"),
    [
        ("ucf", (810, 800), 290, 140, 290),
        ("xd", (0, 0), 800, 500, 0),
        ("shanghaitech", (63, 175), 199, 44, 107),
        ("tad", (190, 210), 100, 60, 100),
        ("ped2", (6, 4), 18, 6, 28),
    ],
)
def test_the_shipped_tables_have_the_published_counts(name, train, test, anomalous_test, counted):
    entries = datasets.facts(name).values()
    assert all(entry.dataset == name and entry.path is None for entry in entries)
    tested = [entry for entry in entries if entry.split == "test"]
    trained = [entry.label for entry in entries if entry.split == "train"]
    assert (trained.count(1), trained.count(0)) == train
    assert (len(tested), sum(entry.label for entry in tested)) == (test, anomalous_test)
    assert sum(entry.num_frames is not None for entry in entries) == counted
    assert all(entry.intervals is not None for entry in tested)
    assert all(entry.intervals == () and entry.category == "Normal" for entry in entries if entry.label == 0)


def test_tables_are_small_and_carry_source_and_citation():
    paths = sorted(tables.FACTS.glob("*"))
    assert [path.name for path in paths] == ["ped2.tsv", "shanghaitech.tsv", "tad.tsv", "ucf.tsv", "xd.tsv"]
    for path in paths:
        assert path.stat().st_size < 200_000
        assert path.read_text().startswith("# ") and "# Cite: " in path.read_text()
        assert "\r" not in path.read_text()


def test_facts_that_cannot_ship_are_empty_and_the_callers_copy_is_their_own():
    assert datasets.facts("ubnormal") == datasets.facts("folder") == {}
    datasets.facts("ped2").clear()
    assert len(datasets.facts("ped2")) == 28


def test_tables_are_made_again_byte_for_byte(shared, tmp_path):
    command = [sys.executable, "tools/make_facts.py", f"--root={shared / 'data'}", f"--out={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in tables.FACTS.iterdir())
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (tables.FACTS / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    "video",
    [
        "Abuse028_x264",
        "Abuse028",
        "Abuse/Abuse028_x264.mp4",
        "C:\\features\\Abuse028_x264_i3d.npy",
        "Abuse028_x264_clip.npy",
        "Abuse028_x264_clip_large",
        "Abuse028_x264_videomae.npy",
    ],
)
def test_a_video_is_known_by_path_and_by_published_feature_names(video):
    labels = datasets.frame_labels("ucf", video, 1412)
    assert (labels.dtype, labels.sum(), labels[165], labels[164], labels[240]) == (np.int8, 75, 1, 0, 0)


def test_unknown_names_say_what_there_is():
    with pytest.raises(ValueError, match="no data set 'ucf_crime'; there are ucf, xd, shanghaitech"):
        datasets.frame_labels("ucf_crime", "Abuse028_x264", 10)
    with pytest.raises(ValueError, match="ucf has no video 'Abuse999_x264'; nearest: Abuse0"):
        datasets.frame_labels("ucf", "Abuse999_x264", 10)
    with pytest.raises(ValueError, match="tad has no video '§'; it has 500, such as 01_Accident_001"):
        datasets.frame_labels("tad", "§", 10)
    with pytest.raises(ValueError, match="no data set 'x'"):
        datasets.entries("x", ".")
    with pytest.raises(ValueError, match="no data set 'x'"):
        datasets.facts("x")


@pytest.mark.parametrize("name", ["folder", "ubnormal"])
def test_some_need_their_root(name):
    with pytest.raises(ValueError, match=f"^{name} keeps its annotation with the videos; pass root"):
        datasets.frame_labels(name, "a", 10)


def test_an_anomalous_training_video_has_no_frame_labels():
    with pytest.raises(ValueError, match=r"nobody marked frames of 'Abuse001_x264' \(split train, label 1\)"):
        datasets.frame_labels("ucf", "Abuse001_x264", 100)
    assert not datasets.frame_labels("ucf", "Normal_Videos001_x264", 100).any()


def test_a_count_a_snippet_short_is_cut_and_a_farther_one_refused():
    assert datasets.frame_labels("ped2", "Test001", 164).sum() == 104
    with pytest.raises(ValueError, match=r"^Test001: .* ends at frame 180, but the video has 163 frames"):
        datasets.frame_labels("ped2", "Test001", 163)


@pytest.mark.parametrize("name", datasets.names())
def test_a_missing_root_is_one_sentence_with_the_layout(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"^no folder .*nowhere; {name} expects "):
        datasets.entries(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", datasets.names())
def test_an_empty_root_is_one_sentence_with_the_layout(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{name} expects "):
        datasets.entries(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "video", "label"),
    [
        ("ucf", "Normal_Videos307_x264", 0),
        ("ucf", "Abuse099_x264_i3d.npy", 1),
        ("ucf", "12_clip.npy", -1),
        ("xd", "v=S-7rRLrxnVQ__#1_label_B4-0-0.mp4", 1),
        ("xd", "A.Beautiful.Mind.2001__#00-25-20_00-29-20_label_A", 0),
        ("shanghaitech", "01_0014_i3d.npy", 1),
        ("shanghaitech", "01_001", 0),
        ("tad", "05_else_038_clip_large.npy", 1),
        ("tad", "Normal_252.mp4", 0),
        ("ped2", "Test001_i3d.npy", 1),
        ("ped2", "Train001", 0),
        ("ubnormal", "abnormal_scene_5_scenario_1_smoke", 1),
        ("ubnormal", "normal_scene_5_scenario_1", 0),
        ("folder", "normal/a", -1),
    ],
)
def test_labels_by_the_fields_naming_rules(name, video, label):
    assert datasets.label_from_name(name, video) == label


def test_naming_rules_agree_with_every_shipped_label():
    for name in ("ucf", "xd", "shanghaitech", "tad", "ped2"):
        for id, entry in datasets.facts(name).items():
            assert datasets.label_from_name(name, id) == entry.label, id


def test_importing_it_brings_no_jax():
    code = "import sys, gvvad_jax.datasets; sys.exit('jax' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
