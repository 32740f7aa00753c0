import pytest

from gvvad_jax import records
from gvvad_jax.features.published import importing, selecting
from tests.features.published.cases import TRAIN, listed, run, write


def test_a_published_list_is_a_selection_over_a_set(tmp_path):
    names = ["/d/UCF/Abuse001_x264_clip.npy", "/d/GeneratedVideos/1_clip.npy", "/d/GeneratedVideos/301_clip.npy"]
    root = write(tmp_path / "root", ["Abuse001_x264_clip", "1_clip", "301_clip", "Abuse028_x264_clip"])
    run(tmp_path, listed(tmp_path, *names, folder=""), root)
    run(tmp_path, listed(tmp_path, "Abuse028_x264_clip.npy", name="test.list"), root)
    options = importing.Options(dataset="ucf")
    smaller = listed(tmp_path, *names[:2], folder="", name="small.list")
    summary = selecting.select(smaller, [tmp_path / "set"], tmp_path / "s.jsonl", options)
    assert (summary.status, summary.kept, summary.named) == (0, 2, 3)
    view = records.reader(tmp_path / "set", where=records.read_selection(tmp_path / "s.jsonl"))
    assert sorted(view.ids) == ["1", "Abuse001_x264"]
    rows = {row["id"]: row for row in records.read_jsonl(tmp_path / "s.jsonl")}
    assert rows["301"] == {"id": "301", "keep": False, "reasons": ["not in small.list"]} and "Abuse028_x264" not in rows


def test_a_selection_of_videos_that_are_not_there_names_them(tmp_path):
    root = write(tmp_path / "root", TRAIN)
    run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in TRAIN)), root)
    more = listed(tmp_path, *(f"{n}.npy" for n in [*TRAIN, "Abuse003_x264", "Abuse004_x264"]), name="more.list")
    out = tmp_path / "out" / "s.jsonl"
    with pytest.raises(FileNotFoundError, match="2 of its 4 videos are not in .*set: Abuse003_x264, Abuse004_x264"):
        selecting.select(more, [tmp_path / "set"], out, importing.Options(dataset="ucf"))
    assert not out.exists()
    options = importing.Options(dataset="ucf", skip_missing=True)
    summary = selecting.select(more, [tmp_path / "set"], out, options)
    assert summary.status == 1 and len(records.read_jsonl(out.with_name("errors.jsonl"))) == 2
    run(tmp_path, more, write(root, ["Abuse003_x264", "Abuse004_x264"]))
    assert selecting.select(more, [tmp_path / "set"], out, options).status == 0
    assert not out.with_name("errors.jsonl").exists()


def test_a_selection_that_contradicts_the_set_is_refused(tmp_path):
    root = write(tmp_path / "root", ["walk", "fall"])
    run(tmp_path, listed(tmp_path, "walk.npy 0", "fall.npy 1"), root, dataset="folder")
    other = listed(tmp_path, "walk.npy 1", name="other.list")
    with pytest.raises(ValueError, match="gives walk as {'label': 1, .* use the set made of this data"):
        selecting.select(other, [tmp_path / "set"], tmp_path / "s.jsonl", importing.Options(dataset="folder"))
