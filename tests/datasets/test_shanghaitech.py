import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import shanghaitech


@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=60), st.sampled_from(["u1", "i8", "f4", "?"]))
def test_an_official_mask_survives(tmp_path_factory, mask, dtype):
    root = tmp_path_factory.mktemp("shanghaitech")
    folder = root / "testing" / "test_frame_mask"
    folder.mkdir(parents=True)
    np.save(folder / "01_0015.npy", np.array(mask, dtype))
    assert datasets.frame_labels("shanghaitech", "01_0015", len(mask), root).tolist() == mask
    assert datasets.lookup("shanghaitech", "01_0015", root).num_frames == len(mask)


@pytest.mark.parametrize("mask", [np.zeros((3, 3)), np.array([0, 2]), np.zeros(0), np.array(["a"])])
def test_what_is_no_mask_is_refused_with_its_file(tmp_path, mask):
    (tmp_path / "test_frame_mask").mkdir()
    np.save(tmp_path / "test_frame_mask" / "01_0015.npy", mask)
    with pytest.raises(ValueError, match=r"01_0015\.npy: expected a frame mask"):
        datasets.frame_labels("shanghaitech", "01_0015", 433, tmp_path)
    (tmp_path / "test_frame_mask" / "01_0015.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"01_0015\.npy: not a frame mask"):
        datasets.frame_labels("shanghaitech", "01_0015", 433, tmp_path)


@pytest.mark.parametrize("line", ["01_1", "01_00145", "hello", "01_001"])
def test_a_malformed_split_line_is_named(tmp_path, line):
    (tmp_path / "SH_Train.txt").write_text(f"01_001\n{line}")
    with pytest.raises(ValueError, match=r"SH_Train\.txt, line 2: expected a name such as 01_001 or 01_0014"):
        shanghaitech.read_split(tmp_path / "SH_Train.txt")


@pytest.mark.parametrize("line", ["01_0014", "01_001 cycling", "01_0016 running"])
def test_a_malformed_class_line_is_named(tmp_path, line):
    (tmp_path / "video_classes.txt").write_text(f"01_0016 cycling\n{line}")
    with pytest.raises(ValueError, match=r"video_classes\.txt, line 2: expected"):
        shanghaitech.read_classes(tmp_path / "video_classes.txt")


def test_the_official_layout_mixes_videos_and_folders_of_frames(tmp_path):
    for id, entry in datasets.facts("shanghaitech").items():
        folder = tmp_path / "testing" / "frames" / id if entry.label else tmp_path / "training" / "videos"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ("000.jpg" if entry.label else f"{id}.avi")).touch()
    (tmp_path / "training" / "frames" / "01_001").mkdir(parents=True)
    (tmp_path / "training" / "frames" / "01_001" / "000.jpg").touch()  # frames that the user extracted
    entries = datasets.entries("shanghaitech", tmp_path)
    assert len(entries) == 437
    assert entries[0].path == tmp_path / "training" / "videos" / "01_001.avi"
    assert entries[1].path == tmp_path / "testing" / "frames" / "01_0014"


def test_the_107_anomalous_videos_equal_the_official_masks(shared):
    arrays = np.load(shared / "data" / "shanghaitech_annotations" / "frame_labels.npz")
    anomalous = [id for id in arrays.files if arrays[id].any()]
    assert len(anomalous) == 107 and len(arrays.files) == 437
    for id in arrays.files:
        np.testing.assert_array_equal(datasets.frame_labels("shanghaitech", id, len(arrays[id])), arrays[id])
        entry = datasets.facts("shanghaitech")[id]
        assert entry.num_frames == (len(arrays[id]) if id in anomalous else None)
        assert entry.label == int(id in anomalous)
    assert sum(datasets.facts("shanghaitech")[id].num_frames for id in anomalous) == 40_791


def test_splits_equal_the_published_feature_lists(shared):
    for split, name in (("train", "shanghai-i3d-train-10crop.list"), ("test", "shanghai-i3d-test-10crop.list")):
        lines = (shared / "data" / "shanghaitech_annotations" / name).read_text().split()
        ids = {line.rpartition("/")[2].removesuffix("_i3d.npy") for line in lines}
        assert ids == {id for id, entry in datasets.facts("shanghaitech").items() if entry.split == split}
