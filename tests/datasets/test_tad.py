import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import tad

ranges = st.tuples(st.integers(0, 9000), st.integers(1, 900)).map(lambda p: (p[0], p[0] + p[1]))


@given(st.lists(st.lists(ranges, max_size=3), max_size=8))
def test_official_lines_survive(tmp_path_factory, videos):
    path = tmp_path_factory.getbasetemp() / "vals.txt"
    expected, rows = {}, []
    for number, intervals in enumerate(videos):
        id = f"01_Accident_{number:03}" if intervals else f"Normal_{number:03}"
        spelt = " ".join(f"{start + 1} {end}" for start, end in intervals) or "-1 -1"
        rows.append(f"{id}.mp4 {number + 10} {spelt}")
        expected[id] = (tuple(intervals), number + 10)
    path.write_text("\n".join(rows))
    assert tad.read_annotation(path) == expected


def test_one_based_inclusive_becomes_half_open(tmp_path):
    (tmp_path / "vals.txt").write_text("01_Accident_004.mp4 190 53 118\nNormal_012.mp4 70 -1 -1\n")
    assert tad.read_annotation(tmp_path / "vals.txt") == {
        "01_Accident_004": (((52, 118),), 190),
        "Normal_012": ((), 70),
    }
    labels = datasets.frame_labels("tad", "01_Accident_004.mp4", 190, tmp_path)
    assert (labels.sum(), labels[52], labels[117]) == (66, 1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "01_Accident_004.mp4",
        "01_Accident_004.mp4 190",
        "01_Accident_004.mp4 190 53",
        "01_Accident_004.mp4 190 53 -1",
        "01_Accident_004.mp4 190 0 9",
        "01_Accident_004.mp4 190 9 5",
        "01_Accident_004.mp4 x 5 9",
        "01_Accident_004.mp4 0 5 9",
        "Normal_252.mp4 70 5 9",
        "somebody.mp4 70 5 9",
        "01_Accident_011.mp4 70 5 9",
    ],
)
def test_a_malformed_line_is_named(tmp_path, line):
    (tmp_path / "vals.txt").write_text(f"01_Accident_011.mp4 236 16 66\n{line}\n")
    with pytest.raises(ValueError, match=r"vals\.txt, line 2: expected .*, found '"):
        tad.read_annotation(tmp_path / "vals.txt")


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    for read in (tad.read_annotation, tad.read_list):
        try:
            read(path)
        except ValueError as error:
            assert f"{path}, line " in str(error) and "\n" not in str(error)


def test_folders_of_frames_named_like_files_are_videos(tmp_path):
    for id, entry in datasets.facts("tad").items():
        folder = tmp_path / "frames" / ("abnormal" if entry.label else "normal") / f"{id}.mp4"
        folder.mkdir(parents=True)
        (folder / "000000.png").touch()
    entries = datasets.entries("tad", tmp_path)
    assert len(entries) == 500
    assert entries[0].path == tmp_path / "frames" / "abnormal" / "01_Accident_001.mp4"


def test_published_arrays_have_one_stray_frame_in_each_normal_video_and_ours_none(shared):
    arrays = np.load(shared / "data" / "tad_annotations" / "frame_labels_published.npz")
    stray, frames, positive = [], 0, 0
    for video in arrays.files:
        published = arrays[video]
        ours = datasets.frame_labels("tad", video, len(published))
        frames, positive = frames + len(ours), positive + int(ours.sum())
        assert datasets.facts("tad")[video].num_frames == len(published)
        if datasets.facts("tad")[video].label == 0:
            assert np.flatnonzero(published).tolist() == [len(published) - 2] and not ours.any()
            stray.append(video)
        else:
            np.testing.assert_array_equal(ours, published)
    assert (len(arrays.files), len(stray), frames, positive) == (100, 40, 88_052, 6_276)


def test_two_anomalous_videos_say_that_no_frame_is_marked():
    noted = {entry.id: entry.notes for entry in datasets.facts("tad").values() if entry.notes}
    assert sorted(noted) == ["05_else_038", "06_PedestrianOnRoad_027"]
    assert noted["05_else_038"] == ("05_else_038: anomalous, but its annotation marks no frame",)


def test_classes_are_counted_as_published():
    categories = [entry.category for entry in datasets.facts("tad").values()]
    assert {name: categories.count(name) for name in set(categories)} == {
        "Accident": 104,
        "IllegalTurn": 14,
        "IllegalOccupation": 19,
        "Retrograde": 8,
        "PedestrianOnRoad": 26,
        "RoadSpills": 28,
        "else": 51,
        "Normal": 250,
    }
