import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import xd_violence

ranges = st.tuples(st.integers(0, 9000), st.integers(1, 900)).map(lambda p: (p[0], p[0] + p[1]))
stems = st.text(st.characters(categories=("L", "N"), include_characters="_-#.='"), min_size=1, max_size=20)
codes = st.lists(st.sampled_from(["B1", "B2", "B4", "B5", "B6", "G"]), min_size=1, max_size=3, unique=True)


@given(st.dictionaries(st.tuples(stems, codes.map(tuple)), st.lists(ranges, min_size=1, max_size=4)), st.booleans())
def test_names_and_intervals_survive(tmp_path_factory, videos, with_ending):
    path = tmp_path_factory.getbasetemp() / "annotations.txt"
    expected = {
        f"{stem}_label_{'-'.join([*codes, '0', '0'][:3])}": tuple(pairs) for (stem, codes), pairs in videos.items()
    }
    ending = ".mp4" if with_ending else ""
    path.write_text(
        "\n".join(f"{id}{ending} {' '.join(f'{s} {e}' for s, e in pairs)}" for id, pairs in expected.items()), "utf-8"
    )
    assert xd_violence.read_intervals(path) == expected


@pytest.mark.parametrize(
    "line", ["v_label_A 1 2", "v_label_B1-0-0", "v_label_B1-0-0 1", "v_label_B1-0-0 5 2", "v 1 2", "w_label_G-0-0 3 4"]
)
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "annotations.txt"
    path.write_text(f"w_label_G-0-0.mp4 1 2\n{line}")
    with pytest.raises(ValueError, match=r"annotations\.txt, line 2: expected"):
        xd_violence.read_intervals(path)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    try:
        xd_violence.read_intervals(path)
    except ValueError as error:
        assert f"{path}, line " in str(error) and "\n" not in str(error)


def test_training_videos_are_labelled_by_their_names(tmp_path):
    for folder, name in [("1-1004", "a.b__#1_label_B2-G-0.mp4"), ("1-1004", "c_label_A.mp4"), ("", "unlabelled.mp4")]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
    entries = datasets.entries("xd", tmp_path)
    assert [(entry.id, entry.split, entry.label, entry.category, entry.intervals) for entry in entries] == [
        ("a.b__#1_label_B2-G-0", "train", 1, "B2-G", None),
        ("c_label_A", "train", 0, "Normal", ()),
    ]
    assert not datasets.frame_labels("xd", "c_label_A", 50).any()


def test_a_test_part_with_holes_is_refused(tmp_path):
    (tmp_path / f"{next(iter(datasets.facts('xd')))}.mp4").touch()
    with pytest.raises(FileNotFoundError, match="799 of xd's 800 videos are missing"):
        datasets.entries("xd", tmp_path)


def test_all_800_published_arrays_equal_ours(shared):
    arrays = np.load(shared / "data" / "xd_annotations" / "pel4vad_xd_gt.npz")
    assert set(arrays.files) == set(datasets.facts("xd")) and len(arrays.files) == 800
    beyond = 0
    for video in arrays.files:
        published = arrays[video]
        np.testing.assert_array_equal(datasets.frame_labels("xd", video, len(published)), published)
        beyond += any(end > len(published) for _, end in datasets.facts("xd")[video].intervals)
    assert beyond == 71  # published lengths are whole snippets: why frame_labels gives a snippet of slack


def test_fourteen_official_names_lose_their_ending(shared):
    root = shared / "data" / "xd_annotations"
    raw = [line.split()[0] for line in (root / "annotations.txt").read_text().splitlines()]
    assert sum(name.endswith(".mp4") for name in raw) == 14
    ours = xd_violence.read_intervals(root / "annotations.txt")
    assert not any(id.endswith(".mp4") for id in ours)
    assert ours == xd_violence.read_intervals(root / "XD_Annotation_frames.txt") and len(ours) == 500


def test_every_published_training_name_has_a_label(shared):
    path = shared / "data" / "gvvad_samples" / "lists" / "official" / "violence-i3d.list"
    names = [line.strip().replace("\\", "/").rpartition("/")[2] for line in path.read_text().splitlines()]
    labels = [datasets.label_from_name("xd", name) for name in names]
    assert len(labels) == 3951 and set(labels) == {0, 1}
