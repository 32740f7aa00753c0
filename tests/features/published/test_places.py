import os

import pytest

from gvvad_jax.features.published import lists, places


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return places.Index(root)


def video(tmp_path, *lines, dataset="ucf"):
    (tmp_path / "my.list").write_text("\n".join(lines))
    return lists.videos(tmp_path / "my.list", dataset)[0][0]


@pytest.mark.parametrize(
    ("listed", "stored"),
    [
        ("Abuse001_x264_i3d", "deep/er/Abuse001_x264_i3d.npy"),
        ("Abuse001_x264_i3d", "Abuse001_x264.npy"),
        ("Abuse001_x264", "Abuse001_x264_clip.npy"),
        ("Abuse001_x264_clip", "Abuse001_x264_videomae.npy"),
        ("Abuse001_x264_clip_large", "Abuse001_x264_clip.npy"),
        ("A.B.2011__#1_label_A", "A.B.2011__#1_label_A_i3d.npy"),
    ],
)
def test_files_are_found_by_stem_with_or_without_an_ending(tmp_path, listed, stored):
    index = files(tmp_path / "root", stored, "Abuse0011_x264_i3d.npy", "1_clip.npy", "Abuse001_x264_emb.npy")
    assert index.one(listed) == tmp_path / "root" / stored


def test_the_exact_stem_goes_first(tmp_path):
    index = files(tmp_path, "a/600_clip.npy", "b/600_i3d.npy")
    assert index.one("600_clip") == tmp_path / "a" / "600_clip.npy"
    with pytest.raises(ValueError, match="600: two files may be meant, .*600_clip.npy and .*600_i3d.npy"):
        index.one("600")
    with pytest.raises(ValueError, match="two files may be meant"):
        files(tmp_path, "c/600_clip.npy").one("600_clip")


def test_short_names_match_whole_or_not_at_all(tmp_path):
    index = files(tmp_path, "1600_clip.npy", "60_clip.npy")
    assert index.one("600_clip") is None and index.one("0_clip") is None


def test_a_link_to_the_same_file_is_no_second_one(tmp_path):
    files(tmp_path, "real/x_clip.npy")
    (tmp_path / "link.d").mkdir()
    os.symlink(tmp_path / "real" / "x_clip.npy", tmp_path / "link.d" / "x_clip.npy")
    os.symlink(tmp_path, tmp_path / "real" / "loop")
    assert places.Index(tmp_path).one("x") is not None


@pytest.mark.parametrize("first", ["", "__0"])
@pytest.mark.parametrize("count", [5, 10])
def test_a_list_of_videos_finds_a_file_a_crop(tmp_path, first, count):
    names = [f"Abuse001_x264{f'__{i}' if i else first}.npy" for i in range(count)]
    index = files(tmp_path / "root", *names)
    for listed in ("Abuse001_x264.npy", "Abuse001_x264_i3d.npy"):
        paths, missing = index.of_video(video(tmp_path, listed))
        assert [path.name for path in paths] == names and missing == []


def test_a_crop_that_lacks_is_named(tmp_path):
    index = files(tmp_path / "root", *(f"Abuse001_x264__{i}.npy" for i in range(10) if i != 7))
    assert index.of_video(video(tmp_path, "Abuse001_x264.npy"))[1] == ["Abuse001_x264__7"]
    fewer = files(tmp_path / "fewer", *(f"Abuse001_x264__{i}.npy" for i in range(9)))
    assert fewer.of_video(video(tmp_path, "Abuse001_x264_i3d.npy"))[1] == ["Abuse001_x264__9"]
    assert fewer.of_video(video(tmp_path, "Abuse001_x264_i3d.npy"), together=True)[1] == []
    listed = video(tmp_path, *(f"Abuse001_x264__{i}.npy" for i in range(10)))
    paths, missing = index.of_video(listed)
    assert len(paths) == 9 and missing == ["Abuse001_x264__7"]


def test_one_listed_crop_is_one_crop(tmp_path):
    index = files(tmp_path / "root", *(f"Abuse001_x264__{i}.npy" for i in range(10)))
    paths, missing = index.of_video(video(tmp_path, "Abuse001_x264__5.npy,Abuse"))
    assert [path.name for path in paths] == ["Abuse001_x264__5.npy"] and missing == []


def test_shanghaitech_crops_have_one_underscore(tmp_path):
    index = files(tmp_path / "root", *(f"01_0014_{i}.npy" for i in range(10)))
    found = index.of_video(video(tmp_path, *(f"train/01_0014_{i}.npy 1.0" for i in range(10)), dataset="shanghaitech"))
    assert len(found[0]) == 10
    assert len(index.of_video(video(tmp_path, "01_0014_i3d.npy", dataset="shanghaitech"))[0]) == 10


def test_numbered_files_of_ones_own_stay_apart(tmp_path):
    index = files(tmp_path / "root", "walk.npy", "walk__1.npy", "walk__2.npy")
    assert [path.name for path in index.of_video(video(tmp_path, "walk.npy 1", dataset="folder"))[0]] == ["walk.npy"]


def test_the_whole_file_goes_before_crops(tmp_path):
    index = files(tmp_path / "root", "Abuse001_x264.npy", *(f"Abuse001_x264__{i}.npy" for i in range(10)))
    listed = video(tmp_path, "Abuse001_x264.npy")
    assert [path.name for path in index.of_video(listed)[0]] == ["Abuse001_x264.npy"]
    assert len(index.of_video(listed, together=True)[0]) == 10
    others = files(tmp_path / "other", "Abuse001_x264.npy", *(f"Abuse001_x264__{i}.npy" for i in range(1, 10)))
    assert len(others.of_video(listed, together=False)[0]) == 1


@pytest.mark.parametrize(
    ("dataset", "listed", "text"),
    [
        ("ucf", "Abuse001_x264_i3d", "Abuse001_x264_emb"),
        ("ucf", "Abuse001_x264_clip", "Abuse001_x264_emb"),
        ("ucf", "Abuse001_x264_videomae", "Abuse001_x264_emb"),
        ("ucf", "GeneratedVideos/12_clip", "12_emb"),
        ("ucf", "Abuse001_x264__5", "Abuse001_x264_emb"),
        ("xd", "A.B__#1_label_A", "A.B__#1_label_A_emb"),
        ("tad", "01_Accident_001_clip_large", "01_Accident_001_emb"),
        ("shanghaitech", "01_0014_i3d", "01_0014_emb"),
        ("ped2", "Test002_i3d", "Test002_emb"),
    ],
)
def test_text_is_found_by_the_rules_of_the_releases(tmp_path, dataset, listed, text):
    found = files(tmp_path / "emb", f"deep/{text}.npy", "2_emb.npy", f"{text}_emb.npy").text(
        video(tmp_path, f"/x/{listed}.npy", dataset=dataset)
    )
    assert found == tmp_path / "emb" / "deep" / f"{text}.npy"
