import pytest

from gvvad_jax.features.published import lists


@pytest.fixture
def ucfg1(shared):
    return (shared / "data" / "gvvad_samples" / "lists" / "GV" / "ucfg1-clip.list").read_text().splitlines()


def refused(tmp_path, lines, sentence, dataset="ucf", name="mine.list"):
    (tmp_path / name).write_text("\n".join(lines))
    with pytest.raises(ValueError, match=sentence):
        lists.videos(tmp_path / name, dataset)


def test_a_border_that_has_moved_is_refused_with_line_and_name(tmp_path, ucfg1):
    lines = [*ucfg1[1:], ucfg1[0]]  # the last anomalous place now holds a normal video
    refused(tmp_path, lines, "first 1,107 are anomalous, but line 1107, Normal_Videos001_x264_clip, is normal")
    refused(tmp_path, ucfg1[::-1], "but line 1, 600_clip, is normal")


def test_lost_flags_are_refused(tmp_path, ucfg1):
    lines = [line.rpartition("/")[2] for line in ucfg1]
    refused(tmp_path, lines, r"with 297 \+ 299 generated videos .* but 0 \+ 0 are here")


def test_a_generated_video_taken_for_another_is_refused(tmp_path, ucfg1):
    lines = list(ucfg1)
    index = next(i for i, line in enumerate(lines) if line.endswith("/1_clip.npy"))
    lines[index] = lines[index].replace("/1_clip", "/601_clip")
    refused(tmp_path, lines, "line 811, 601_clip, is normal")


def test_a_test_list_with_other_counts_is_refused_in_any_order(tmp_path, shared):
    path = shared / "data" / "gvvad_samples" / "lists" / "GV" / "ucf-clip-test.list"
    lines = path.read_text().splitlines()
    (tmp_path / "test.list").write_text("\n".join(reversed(lines)))
    assert len(lists.videos(tmp_path / "test.list", "ucf")[0]) == 290
    lines[0] = "Normal_Videos001_x264_clip.npy"
    refused(tmp_path, lines, "with 140 anomalous ones, but 139 are here", name="test.list")


def test_a_length_that_nobody_published_is_nobodys_business(tmp_path, ucfg1):
    (tmp_path / "mine.list").write_text("\n".join(reversed(ucfg1[:-1])))
    assert len(lists.videos(tmp_path / "mine.list", "ucf")[0]) == 2205


def test_position_decides_where_the_name_says_nothing(tmp_path):
    lines = [f"GeneratedVideos/film{i}.npy" for i in range(6)] + [f"GeneratedVideos/plot{i}.npy" for i in range(4)]
    (tmp_path / "mine.list").write_text("\n".join(lines))
    videos, _ = lists.videos(tmp_path / "mine.list", "ped2")
    assert [v.label for v in videos] == [1] * 6 + [0] * 4 and all(v.synthetic for v in videos)


def test_a_line_a_crop_is_counted_as_published(tmp_path, shared):
    path = shared / "data" / "gvvad_samples" / "lists" / "official" / "ucf-i3d_raw.list"
    stems = [line.rpartition("/")[2].removesuffix("_i3d.npy") for line in path.read_text().splitlines()]
    lines = [f"train/{stem}{f'__{i}' if i else ''}.npy" for stem in stems for i in range(10)]
    (tmp_path / "train.list").write_text("\n".join(lines))
    videos, _ = lists.videos(tmp_path / "train.list", "ucf")
    assert len(videos) == 1610 and sum(v.label for v in videos) == 810
    refused(tmp_path, [*lines[10:], *lines[:10]], "first 8,100 are anomalous, but line 8091, ")


@pytest.mark.parametrize(
    ("name", "dataset", "counts"),
    [
        ("ucf_annotations/Anomaly_Train.txt", "ucf", (810, 800)),
        ("ucf_annotations/Anomaly_Test.txt", "ucf", (140, 150)),
        ("shanghaitech_annotations/SH_Train.txt", "shanghaitech", (63, 175)),
        ("shanghaitech_annotations/SH_Test.txt", "shanghaitech", (44, 155)),
    ],
)
def test_official_splits_have_an_order_of_their_own_and_the_same_counts(tmp_path, shared, name, dataset, counts):
    path = shared / "data" / name
    videos, notes = lists.videos(path, dataset)
    assert (sum(v.label == 1 for v in videos), sum(v.label == 0 for v in videos)) == counts and notes == []
    lines = path.read_text().splitlines()
    normal = next(video.lines[0].path for video in videos if video.label == 0)
    lines[lines.index(normal)] = "Abuse999_x264.mp4" if dataset == "ucf" else "99_9999"
    refused(tmp_path, lines, f"with {counts[0]} anomalous ones, but {counts[0] + 1} are here", dataset)
