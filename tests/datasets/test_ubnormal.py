import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import ubnormal

VIDEOS = {
    "normal_training": "normal_scene_1_scenario_1",
    "abnormal_training": "abnormal_scene_1_scenario_2",
    "normal_validation": "normal_scene_2_scenario_1",
    "abnormal_validation": "abnormal_scene_2_scenario_2",
    "normal_test": "normal_scene_29_scenario_6_1",
    "abnormal_test": "abnormal_scene_29_scenario_3_smoke",
}


def add_tracks(root, id, text):
    folder = root / f"Scene{id.split('_')[2]}" / f"{id}_annotations"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{id}_tracks.txt").write_text(text)
    (folder / f"{id}_0000_gt.png").touch()


@pytest.fixture
def root(tmp_path):
    (tmp_path / "splits").mkdir()
    for part, id in VIDEOS.items():
        (tmp_path / "splits" / f"{part}_video_names.txt").write_text(f"{id}\n")
        scene = tmp_path / f"Scene{id.split('_')[2]}"
        scene.mkdir(exist_ok=True)
        (scene / f"{id}.mp4").touch()
    add_tracks(tmp_path, VIDEOS["abnormal_test"], "1.0,10.0,19.0\n2,15,24\n7,40,40")
    add_tracks(tmp_path, VIDEOS["normal_test"], "1,0,99")
    return tmp_path


def test_entries_come_from_lists_and_tracks_under_the_root(root):
    entries = {entry.id: entry for entry in datasets.entries("ubnormal", root)}
    assert {id: (entry.split, entry.label) for id, entry in entries.items()} == {
        VIDEOS["normal_training"]: ("train", 0),
        VIDEOS["abnormal_training"]: ("train", 1),
        VIDEOS["normal_validation"]: ("validation", 0),
        VIDEOS["abnormal_validation"]: ("validation", 1),
        VIDEOS["normal_test"]: ("test", 0),
        VIDEOS["abnormal_test"]: ("test", 1),
    }
    tested = entries[VIDEOS["abnormal_test"]]
    assert tested.intervals == ((10, 25), (40, 41)) and not tested.notes
    assert tested.path == root / "Scene29" / f"{tested.id}.mp4"
    assert entries[VIDEOS["normal_test"]].intervals == ()  # only abnormal videos have a track file that counts
    unmarked = entries[VIDEOS["abnormal_training"]]
    assert unmarked.intervals is None and "no track file" in unmarked.notes[0]


def test_frame_labels_are_the_union_of_tracks(root):
    labels = datasets.frame_labels("ubnormal", VIDEOS["abnormal_test"], 50, root)
    assert labels.nonzero()[0].tolist() == [*range(10, 25), 40]
    assert not datasets.frame_labels("ubnormal", VIDEOS["normal_test"], 50, root).any()
    with pytest.raises(ValueError, match="nobody marked frames"):
        datasets.frame_labels("ubnormal", VIDEOS["abnormal_training"], 50, root)
    with pytest.raises(ValueError, match="ubnormal has no video 'normal_scene_1_scenario_9'; nearest: normal_scene_1"):
        datasets.frame_labels("ubnormal", "normal_scene_1_scenario_9", 50, root)


def test_tracks_alone_are_enough_for_frame_labels(root):
    shutil.rmtree(root / "splits")
    assert datasets.frame_labels("ubnormal", VIDEOS["abnormal_test"], 50, root).sum() == 16
    assert not datasets.frame_labels("ubnormal", VIDEOS["normal_test"], 50, root).any()
    with pytest.raises(FileNotFoundError, match=r"no normal_training_video_names\.txt under .*; ubnormal expects"):
        datasets.entries("ubnormal", root)


def test_a_list_that_changes_is_read_again(root):
    assert datasets.lookup("ubnormal", VIDEOS["normal_training"], root).split == "train"
    (root / "splits" / "normal_training_video_names.txt").write_text("normal_scene_1_scenario_77\n")
    with pytest.raises(ValueError, match="has no video"):
        datasets.lookup("ubnormal", VIDEOS["normal_training"], root)


def test_a_video_in_two_lists_or_in_the_wrong_one_is_named(root):
    path = root / "splits" / "normal_test_video_names.txt"
    for wrong in (VIDEOS["normal_training"], VIDEOS["abnormal_test"], "scene"):
        path.write_text(f"normal_scene_3_scenario_1\n{wrong}\n")
        with pytest.raises(ValueError, match=r"normal_test_video_names\.txt, line 2: expected normal_scene_N"):
            datasets.entries("ubnormal", root)


@pytest.mark.parametrize("line", ["1,2", "1,2,3,4", "a,2,3", "1,5,4", "1,-1,4", "1,2.5,4", "1,nan,4", "1,2,inf"])
def test_a_malformed_track_is_named(tmp_path, line):
    (tmp_path / "tracks.txt").write_text(f"1,2,3\n{line}\n")
    with pytest.raises(ValueError, match=r"tracks\.txt, line 2: expected .*, found '"):
        ubnormal.read_tracks(tmp_path / "tracks.txt")


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20)), max_size=6), st.booleans())
def test_any_tracks_mark_the_frames_they_name(tmp_path_factory, tracks, as_floats):
    path = tmp_path_factory.getbasetemp() / "tracks.txt"
    rows = [(number, first, first + more) for number, (first, more) in enumerate(tracks)]
    path.write_text("\n".join(",".join(str(float(n) if as_floats else n) for n in row) for row in rows))
    frames = {frame for start, end in ubnormal.read_tracks(path) for frame in range(start, end)}
    assert frames == {frame for _, first, last in rows for frame in range(first, last + 1)}


def test_the_published_lists_hold_543_videos(shared, tmp_path):
    found = ubnormal.annotated({}, shared / "data" / "ubnormal")
    assert len(found) == 543
    counts = {}
    for entry in found.values():
        counts[entry.split, entry.label] = counts.get((entry.split, entry.label), 0) + 1
    assert counts == {
        ("train", 0): 186,
        ("train", 1): 82,
        ("validation", 0): 26,
        ("validation", 1): 38,
        ("test", 0): 53,
        ("test", 1): 158,
    }
