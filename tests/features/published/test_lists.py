import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax.features.published import lists

REAL = {  # list -> data set, split, (real anomalous, generated anomalous, real normal, generated normal)
    "gvvad_samples/lists/GV/ucfg1-clip.list": ("ucf", "train", (810, 297, 800, 299)),
    "gvvad_samples/lists/GV/ucfg2-clip.list": ("ucf", "train", (810, 116, 800, 187)),
    "gvvad_samples/lists/GV/ucf-clip-test.list": ("ucf", "test", (140, 0, 150, 0)),
    "gvvad_samples/lists/GV/violence-clip-test.list": ("xd", "test", (500, 0, 300, 0)),
    "gvvad_samples/lists/SVMAE/ucf-videoMae-CLIP_9-5_9-1_finetune.list": ("ucf", "train", (810, 0, 800, 0)),
    "gvvad_samples/lists/SVMAE/ucf-videoMae-test-CLIP_9-5_9-1_finetune.list": ("ucf", "test", (140, 0, 150, 0)),
    "gvvad_samples/lists/SVMAE/TAD-videoMae-9-5_9-1_finetune.list": ("tad", "train", (190, 0, 210, 0)),
    "gvvad_samples/lists/SVMAE/TAD-videoMae-test-9-5_9-1_finetune.list": ("tad", "test", (60, 0, 40, 0)),
    "gvvad_samples/lists/official/ucf-i3d_raw.list": ("ucf", "train", (810, 0, 800, 0)),
    "gvvad_samples/lists/official/ucf-i3d-test_raw.list": ("ucf", "test", (140, 0, 150, 0)),
    "gvvad_samples/lists/official/violence-i3d.list": ("xd", "train", (1904, 0, 2047, 0)),
    "gvvad_samples/lists/official/violence-i3d-test.list": ("xd", "test", (500, 0, 300, 0)),
    "gvvad_samples/lists/official/shanghai-i3d-train-10crop_raw.list": ("shanghaitech", "train", (63, 0, 175, 0)),
    "gvvad_samples/lists/official/shanghai-i3d-test-10crop_raw.list": ("shanghaitech", "test", (44, 0, 155, 0)),
    "gvvad_samples/lists/official/shanghai-i3d-test-10crop_v2csh.list": ("shanghaitech", "test", (107, 0, 330, 0)),
    "gvvad_samples/lists/official/ped2-i3d.list": ("ped2", "train", (6, 0, 4, 0)),
    "gvvad_samples/lists/official/ped2-i3d-test.list": ("ped2", "test", (6, 0, 12, 0)),
    "shanghaitech_annotations/shanghai-i3d-train-10crop.list": ("shanghaitech", "train", (63, 0, 175, 0)),
    "shanghaitech_annotations/shanghai-i3d-test-10crop.list": ("shanghaitech", "test", (44, 0, 155, 0)),
    "tad_annotations/tad-clip-train_large.list": ("tad", "train", (190, 0, 210, 0)),
    "tad_annotations/tad-clip-test_large.list": ("tad", "test", (60, 0, 40, 0)),
}


def written(tmp_path, *lines, name="mine.list"):
    (tmp_path / name).write_text("\n".join(lines))
    return tmp_path / name


@pytest.mark.parametrize("name", REAL)
def test_every_published_list_gives_its_published_counts(shared, name):
    dataset, split, counts = REAL[name]
    videos, _ = lists.videos(shared / "data" / name, dataset)
    found = [sum(v.label == label and v.synthetic == s for v in videos) for label in (1, 0) for s in (0, 1)]
    assert tuple(found) == counts and {v.split for v in videos} == {split}
    assert len({v.id for v in videos}) == sum(counts)
    for video in videos:
        assert lists.bare(video.lines[0].stem) in video.id
        assert video.synthetic or video.entry is not None
        if not video.synthetic:
            assert video.entry.label == video.label
        else:
            assert video.label == int(int(video.id) <= 300)


def test_a_list_of_both_parts_says_which_videos_are_of_the_other(shared):
    name = "gvvad_samples/lists/official/shanghai-i3d-test-10crop_v2csh.list"
    _, notes = lists.videos(shared / "data" / name, "shanghaitech")
    assert len(notes) == 1 and notes[0].startswith("238 videos of")


stems = st.from_regex(r"[A-Za-z0-9=][A-Za-z0-9_.#=-]{0,30}[A-Za-z0-9]", fullmatch=True)


@given(
    st.lists(st.sampled_from(["mnt", "新加卷", "My Files", "..", "a.npy"]), max_size=4),
    stems,
    st.sampled_from(["/", "\\"]),
    st.sampled_from(["", "/", "D:\\", "./"]),
    st.sampled_from(["", " 1.0", ",Abuse", ", 0", "\t0.0"]),
)
def test_a_stem_is_read_from_any_path(tmp_path_factory, folders, stem, slash, start, column):
    path = tmp_path_factory.mktemp("list") / "some.list"
    path.write_text(start + slash.join([*folders, f"{stem}.npy"]) + column, encoding="utf-8")
    (line,) = lists.read(path)
    assert line.stem == stem and line.column == column.strip(" ,\t") and "\\" not in line.path


@given(stems, st.sampled_from([*lists.ENDINGS, ""]))
def test_one_ending_is_taken_off(stem, ending):
    kept = lists.bare(stem + ending)
    assert (stem + ending).startswith(kept)
    if ending and stem and not any(stem.endswith(e) for e in ("_i3d", "_clip", "_clip_large", "_videomae")):
        assert kept == stem


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("Abuse001_x264__9", ("Abuse001_x264", 9)),
        ("Abuse001_x264", ("Abuse001_x264", None)),
        ("v=8cTqh9tMz_I__#1_label_A__4", ("v=8cTqh9tMz_I__#1_label_A", 4)),
        ("One.Day.2011__#01-02-50_01-07-05_label_A", ("One.Day.2011__#01-02-50_01-07-05_label_A", None)),
        ("01_0014_3", ("01_0014", 3)),
        ("01_0014", ("01_0014", None)),
        ("01_001", ("01_001", None)),
        ("Normal_258", ("Normal_258", None)),
        ("01_Accident_001", ("01_Accident_001", None)),
    ],
)
def test_crops_are_told_from_names(stem, found):
    assert lists.crop_of(stem) == found


def test_a_csv_of_crops_is_one_video_with_ten(tmp_path):
    rows = [f"/x/Abuse/Abuse001_x264__{i}.npy,Abuse" for i in (3, 1, 0, 2, 4, 5, 6, 7, 9, 8)]
    rows += [f"/x/Normal/Normal_Videos001_x264__{i}.npy,Normal" for i in range(10)]
    videos, _ = lists.videos(written(tmp_path, "path,label", *rows), "ucf")
    assert [(v.id, v.label, v.crops) for v in videos] == [
        ("Abuse001_x264", 1, tuple(range(10))),
        ("Normal_Videos001_x264", 0, tuple(range(10))),
    ]


def test_crop_zero_may_have_no_number(tmp_path):
    rows = ["train/Abuse001_x264.npy", *(f"train/Abuse001_x264__{i}.npy" for i in range(1, 10))]
    (video,), _ = lists.videos(written(tmp_path, *rows), "ucf")
    assert video.crops == (None, *range(1, 10)) and video.lines[0].stem == "Abuse001_x264"


def test_numbered_names_of_ones_own_are_videos_not_crops(tmp_path):
    videos, _ = lists.videos(written(tmp_path, "a/walk__1.npy 0", "a/walk__2.npy 1", "a/01_001_4.npy 0"), "folder")
    assert [(v.id, v.label) for v in videos] == [("walk__1", 0), ("walk__2", 1), ("01_001_4", 0)]
    whole, _ = lists.videos(written(tmp_path, *(f"walk__{i}.npy 1" for i in range(5))), "folder")
    assert [(v.id, v.crops) for v in whole] == [("walk", (0, 1, 2, 3, 4))]


def test_the_synthetic_flag_is_in_the_listed_path(tmp_path):
    rows = ["/d/GeneratedVideos/feature/12_clip.npy", "/d/description_2/301_clip.npy", "/d/UCF/Abuse001_x264_clip.npy"]
    videos, _ = lists.videos(written(tmp_path, *rows), "ucf")
    assert [(v.id, v.label, v.synthetic) for v in videos] == [("12", 1, 1), ("301", 0, 1), ("Abuse001_x264", 1, 0)]


def test_a_root_named_like_generated_videos_does_not_flag_real_ones(tmp_path):
    rows = ["/my/descriptions/UCF/Abuse001_x264_clip.npy", "/my/descriptions/generated/12_clip.npy"]
    videos, notes = lists.videos(written(tmp_path, *rows), "ucf")
    assert [(v.id, v.synthetic) for v in videos] == [("Abuse001_x264", 0), ("12", 1)]
    assert "1 videos lie in a folder named as for generated ones" in notes[0]


def test_test_lists_are_known_by_their_file_name(tmp_path):
    (tmp_path / "test").mkdir()
    for name, split in (("a-test.list", "test"), ("A_Test_b.list", "test"), ("train.list", "train")):
        path = written(tmp_path / "test", "Abuse028_x264.npy", name=name)
        assert lists.videos(path, "ucf")[0][0].split == split
        assert lists.videos(path, "ucf", "validation")[0][0].split == "validation"


def test_a_label_that_nothing_tells_is_refused_for_training_and_noted_for_tests(tmp_path):
    with pytest.raises(ValueError, match=r"mine.list: neither name nor position says whether 1 of its 2 .*\(walk\)"):
        lists.videos(written(tmp_path, "walk.npy", "fall.npy 1"), "folder")
    videos, notes = lists.videos(written(tmp_path, "walk.npy", "fall.npy 1", name="test.list"), "folder")
    assert [v.label for v in videos] == [-1, 1] and "1 videos without a label" in notes[0]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "no line names a file"),
        (["a/Abuse001_x264.npy", "a/Abuse001_x264.npy"], "lines 1 and 2 are the same"),
        (["a/Abuse001_x264_i3d.npy", "b/Abuse001_x264_clip.npy"], "lines 1 and 2 name one video, Abuse001_x264"),
        (["a/Abuse001.npy", "b/Abuse001_x264.npy"], "2 of its videos are Abuse001_x264"),
        (["a/Abuse001_x264.npy 0.0"], "line 1: the list says 0.0 of Abuse001_x264, but by its name it is anomalous"),
        (["a/Abuse001_x264.npy 0.5"], "line 1: expected a label 0 or 1"),
        (["a/Abuse001_x264__0.npy", "b/Abuse001_x264__0.npy"], "lines 1 and 2 name one video"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(tmp_path, rows, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lists.videos(written(tmp_path, *rows), "ucf")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "bad.list").write_bytes(b"a.npy\n\xff\xfe.npy\n")
    with pytest.raises(ValueError, match="bad.list, line 2: expected text in UTF-8"):
        lists.read(tmp_path / "bad.list")


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no file {tmp_path}/none.list; name the published list"):
        lists.read(tmp_path / "none.list")
