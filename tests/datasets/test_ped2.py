import numpy as np
import pytest

from gvvad_jax import datasets
from gvvad_jax.datasets import ped2


def make_tree(root, layout):
    for id, entry in datasets.facts("ped2").items():
        folder = root / {"frames": "frames", "ucsd": id.rstrip("0123456789")}[layout] / id
        folder.mkdir(parents=True)
        for number in range(1, entry.num_frames + 1):
            (folder / (f"{number:03}.jpg" if layout == "frames" else f"{number:03}.tif")).touch()
    if layout == "ucsd":
        (root / "Test" / "Test001_gt").mkdir()
        (root / "Test" / "Test001_gt" / "001.bmp").touch()
        (root / "Test" / "Test001" / "._001.tif").touch()
    return root


@pytest.mark.parametrize("layout", ["frames", "ucsd"])
def test_both_layouts_give_the_28_videos_of_the_weak_split(tmp_path, layout):
    entries = datasets.entries("ped2", make_tree(tmp_path, layout))
    assert [entry.id for entry in entries] == sorted(datasets.facts("ped2"))
    assert sum(entry.num_frames for entry in entries) == 4560
    assert not any(entry.notes for entry in entries)
    trained = [(entry.id, entry.label) for entry in entries if entry.split == "train"]
    assert [id for id, label in trained if label == 1] == [f"Test{n:03}" for n in (2, 6, 9, 10, 11, 12)]
    assert [id for id, label in trained if label == 0] == [f"Train{n:03}" for n in (7, 8, 14, 15)]


def test_ped1_beside_it_is_not_taken_for_ped2(tmp_path):
    make_tree(tmp_path / "UCSDped2", "ucsd")
    (tmp_path / "UCSDped1" / "Train" / "Train001").mkdir(parents=True)
    (tmp_path / "UCSDped1" / "Train" / "Train001" / "001.tif").touch()
    assert all("UCSDped2" in entry.path.parts for entry in datasets.entries("ped2", tmp_path))


def test_too_many_pictures_are_refused(tmp_path):
    make_tree(tmp_path, "frames")
    (tmp_path / "frames" / "Train001" / "121.jpg").touch()
    with pytest.raises(ValueError, match=r"^Train001: 121 pictures .* 120 frames"):
        datasets.entries("ped2", tmp_path)


def test_more_than_a_snippet_of_missing_pictures_is_refused(tmp_path):
    make_tree(tmp_path, "frames")
    for number in range(1, 17):
        (tmp_path / "frames" / "Test001" / f"{number:03}.jpg").unlink()
    assert datasets.entries("ped2", tmp_path)[0].num_frames == 164
    (tmp_path / "frames" / "Test001" / "017.jpg").unlink()
    with pytest.raises(ValueError, match=r"^Test001: 163 pictures .* 180 frames as published"):
        datasets.entries("ped2", tmp_path)


def test_a_missing_picture_is_noted_and_missing_videos_are_named(tmp_path):
    make_tree(tmp_path, "frames")
    (tmp_path / "frames" / "Train001" / "120.jpg").unlink()
    noted = [entry for entry in datasets.entries("ped2", tmp_path) if entry.notes]
    assert [(entry.id, entry.num_frames) for entry in noted] == [("Train001", 119)]
    (tmp_path / "frames" / "Train001").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="1 of ped2's 28 videos are missing .*: Train001;"):
        datasets.entries("ped2", tmp_path)
    assert len(datasets.entries("ped2", tmp_path, skip_missing=True)) == 27


def test_a_missing_or_empty_root_says_what_was_expected(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"Train/Train001/\*\.tif"):
            datasets.entries("ped2", root)


def test_the_matlab_file_is_read_as_written(tmp_path):
    path = tmp_path / "UCSDped2.m"
    path.write_text(
        "TestVideoFile = {};\n%TestVideoFile{end+1}.gt_frame = [1:2];\n"
        "TestVideoFile{end+1}.gt_frame = [61:180];\nTestVideoFile{end+1}.gt_frame = [5:90, 140:200];\n"
    )
    assert ped2.read_matlab(path) == {"Test001": ((60, 180),), "Test002": ((4, 90), (139, 200))}
    path.write_text("TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [61-180];\n")
    with pytest.raises(ValueError, match=r"UCSDped2\.m, line 2: expected"):
        ped2.read_matlab(path)


def test_intervals_equal_the_official_pixel_masks(shared):
    masks = np.load(shared / "data" / "ped2" / "pixel_masks.npz")
    assert len(masks.files) == 12
    for video in masks.files:
        pixels = np.unpackbits(masks[video], axis=-1, count=360)
        np.testing.assert_array_equal(
            datasets.frame_labels("ped2", video, len(pixels)), pixels.any(axis=(1, 2)).astype(np.int8)
        )


def test_the_real_frames_are_found(shared):
    root = shared / "data" / "ped2"
    entries = datasets.entries("ped2", root)
    assert (len(entries), sum(entry.num_frames for entry in entries)) == (28, 4560)
    anomalous = sum(datasets.frame_labels("ped2", entry.id, entry.num_frames, root).sum() for entry in entries)
    tested = sum(datasets.frame_labels("ped2", e.id, e.num_frames).sum() for e in entries if e.split == "test")
    assert (anomalous, tested) == (1648, 860)
