import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import ucf_crime

ranges = st.tuples(st.integers(0, 9000), st.integers(1, 900)).map(lambda p: (p[0], p[0] + p[1]))


def spell(intervals):
    numbers = [n for pair in intervals for n in pair] + [-1] * 4
    return "  ".join(map(str, numbers[:4]))


@given(st.lists(st.lists(ranges, max_size=2), max_size=8), st.booleans())
def test_intervals_survive_both_forms_of_the_annotation(tmp_path_factory, videos, with_counts):
    path = tmp_path_factory.getbasetemp() / "Temporal_Anomaly_Annotation.txt"
    rows = []
    for number, intervals in enumerate(videos):
        folder, category = ("Arson", "Arson") if intervals else ("Testing_Normal_Videos_Anomaly", "Normal")
        name = f"{category}{number:03}_x264"
        rows.append(
            f"{folder}/{name}.mp4 {number + 1} {category} {spell(intervals)} "
            if with_counts
            else f"{name}  {category}  {spell(intervals)}  "
        )
    path.write_text("\n".join(rows))
    found = list(ucf_crime.read_annotation(path).values())
    assert [entry.intervals for entry in found] == [tuple(intervals) for intervals in videos]
    assert [entry.num_frames for entry in found] == [n + 1 if with_counts else None for n in range(len(videos))]
    assert [entry.label for entry in found] == [int(bool(intervals)) for intervals in videos]


@pytest.mark.parametrize(
    "line",
    [
        "Abuse028_x264",
        "Abuse028_x264 Abuse 165",
        "Abuse028_x264 Abuse 165 240 -1",
        "Abuse028_x264 Abuse 165 240 -1 x",
        "Abuse028_x264 Abuse 165 160 -1 -1",
        "Abuse028_x264 Abuse -1 -1 -1 -1",
        "Abuse028_x264 Abuse 165 240 1_0 2_0",
        "Normal_Videos_003_x264 Normal 1 2 -1 -1",
        "Abuse/Abuse028_x264.mp4 0 Abuse 165 240 -1 -1",
        "Abuse030_x264 Abuse 1 2 -1 -1",
    ],
)
def test_a_malformed_line_is_named_in_one_sentence(tmp_path, line):
    path = tmp_path / "Temporal_Anomaly_Annotation.txt"
    path.write_text(f"\nAbuse030_x264  Abuse  1275  1360  -1  -1  \n{line}\n")
    with pytest.raises(ValueError, match=r"Temporal_Anomaly_Annotation\.txt, line 3: expected .*, found '") as error:
        ucf_crime.read_annotation(path)
    assert "\n" not in str(error.value)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    for read in (ucf_crime.read_annotation, lambda path: ucf_crime.read_split(path, "train")):
        try:
            read(path)
        except ValueError as error:
            assert f"{path}, line " in str(error) and "\n" not in str(error)


def make_root(root, ids):
    for id in ids:
        entry = datasets.facts("ucf")[id]
        normal = "Testing" if entry.split == "test" else "Training"
        folder = root / "part" / (entry.category if entry.label else f"{normal}_Normal_Videos_Anomaly")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{id}.mp4").touch()
    return root


def test_entries_join_the_table_with_files_in_class_folders(tmp_path):
    entries = datasets.entries("ucf", make_root(tmp_path, datasets.facts("ucf")))
    assert len(entries) == 1900 and [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    first = entries[0]
    assert (first.id, first.split, first.label, first.category) == ("Abuse001_x264", "train", 1, "Abuse")
    assert first.path == tmp_path / "part" / "Abuse" / "Abuse001_x264.mp4"


def test_the_test_part_alone_is_enough_and_a_hole_in_it_is_not(tmp_path):
    tested = [id for id, entry in datasets.facts("ucf").items() if entry.split == "test"]
    make_root(tmp_path, tested)
    assert len(datasets.entries("ucf", tmp_path)) == 290
    for id in ("Abuse028_x264", "Arrest001_x264"):
        next(tmp_path.rglob(f"{id}.mp4")).unlink()
    with pytest.raises(FileNotFoundError, match="2 of ucf's 1900 videos are missing .*: Abuse028_x264, Arrest001_x264"):
        datasets.entries("ucf", tmp_path)
    assert len(datasets.entries("ucf", tmp_path, skip_missing=True)) == 288


def test_more_than_five_missing_videos_are_counted(tmp_path):
    make_root(tmp_path, ["Abuse028_x264"])
    with pytest.raises(FileNotFoundError, match=r"289 of .*: (\w+, ){5}…;"):
        datasets.entries("ucf", tmp_path)


def test_copies_for_event_recognition_do_not_count_but_other_doubles_are_named(tmp_path):
    make_root(tmp_path, datasets.facts("ucf"))
    copies = tmp_path / "Normal_Videos_for_Event_Recognition"
    copies.mkdir()
    (copies / "Normal_Videos_015_x264.mp4").touch()
    assert len(datasets.entries("ucf", tmp_path)) == 1900
    (tmp_path / "Abuse028_x264.avi").touch()
    with pytest.raises(ValueError, match=r"Abuse028_x264: two files with one id, .*\.avi and .*\.mp4"):
        datasets.entries("ucf", tmp_path)


def test_the_users_own_annotation_goes_before_the_table(tmp_path):
    (tmp_path / "Temporal_Anomaly_Annotation.txt").write_text("Abuse028_x264 Abuse 10 20 -1 -1\n")
    assert datasets.frame_labels("ucf", "Abuse028_x264", 1412, root=tmp_path).sum() == 10
    assert datasets.frame_labels("ucf", "Abuse030_x264", 1544, root=tmp_path).sum() == 85
    assert datasets.lookup("ucf", "Abuse028_x264", tmp_path).num_frames == 1412


def test_all_290_videos_agree_with_published_frame_labels(shared):
    arrays = np.load(shared / "data" / "ucf_annotations" / "pel4vad_single_gt.npz")
    facts = datasets.facts("ucf")
    assert len(arrays.files) == 290
    intervals = 0
    for video in arrays.files:
        published = arrays[video]
        entry = facts[video]
        intervals += len(entry.intervals)
        assert 0 <= entry.num_frames - len(published) <= 16
        full = datasets.frame_labels("ucf", video, entry.num_frames)
        np.testing.assert_array_equal(full[: len(published)], published)
        np.testing.assert_array_equal(datasets.frame_labels("ucf", video, len(published)), published)
    assert intervals == 156


def test_five_official_intervals_are_clipped_with_a_note():
    noted = {}
    for entry in datasets.facts("ucf").values():
        if entry.split == "test":
            notes = datasets.labels_from_intervals(entry.intervals, entry.num_frames, entry.id)[1]
            noted |= {entry.id.removesuffix("_x264"): note for note in notes}
    assert sorted(noted) == ["Arson011", "Arson016", "Explosion033", "Fighting003", "Shooting015"]
    assert noted["Explosion033"].endswith("-3156 clipped to the video's 3154 frames")


def test_the_two_annotation_files_agree_on_all_290(shared):
    root = shared / "data" / "ucf_annotations"
    official = ucf_crime.read_annotation(root / "Temporal_Anomaly_Annotation.txt")
    counted = ucf_crime.read_annotation(root / "UCF_Annotation_frames.txt")
    assert official.keys() == counted.keys() == ucf_crime.read_split(root / "Anomaly_Test.txt", "test").keys()
    assert all(official[id].intervals == counted[id].intervals for id in official)
    assert sum(entry.num_frames for entry in counted.values()) == 1_111_808
    total = sum(datasets.frame_labels("ucf", id, counted[id].num_frames, root).sum() for id in counted)
    assert total == 84_182  # half-open on exact frames
