import csv
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import datasets
from gvvad_jax.datasets import folder


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def summary(root):
    return {entry.id: (entry.split, entry.label, entry.intervals) for entry in datasets.entries("folder", root)}


def test_folder_names_give_label_and_split(tmp_path):
    touch(
        tmp_path,
        "normal/a.mp4",
        "anomalous/deep/er/b.MKV",
        "train/normal/c.avi",
        "test/anomalous/d.mov",
        "test/normal/e.f.webm",
        "other/g.ts",
        "test/h.mpg",
        "validation/anomalous/j.mp4",
        "i.mp4",
        "notes.txt",
        ".hidden.mp4",
        "normal/._a.mp4",
    )
    assert summary(tmp_path) == {
        "anomalous/deep/er/b": ("train", 1, None),
        "i": ("test", -1, None),
        "normal/a": ("train", 0, ()),
        "other/g": ("test", -1, None),
        "test/anomalous/d": ("test", 1, None),
        "test/h": ("test", -1, None),
        "test/normal/e.f": ("test", 0, ()),
        "train/normal/c": ("train", 0, ()),
        "validation/anomalous/j": ("validation", 1, None),
    }
    assert list(summary(tmp_path)) == sorted(summary(tmp_path))


def test_a_folder_that_holds_only_pictures_is_one_video(tmp_path):
    touch(tmp_path, "normal/cam/001.jpg", "normal/cam/002.PNG", "normal/cam/Thumbs.db", "normal/mixed/1.jpg")
    touch(tmp_path, "normal/mixed/clip.mp4", "normal/notes/1.jpg", "normal/notes/readme.txt")
    entries = datasets.entries("folder", tmp_path)
    assert [(entry.id, entry.path) for entry in entries] == [
        ("normal/cam", tmp_path / "normal" / "cam"),
        ("normal/mixed/clip", tmp_path / "normal" / "mixed" / "clip.mp4"),
    ]


def test_what_is_likely_a_mistake_is_a_warning(tmp_path, caplog):
    touch(tmp_path, "a.mp4", "b/c.mp4")
    datasets.entries("folder", tmp_path)
    assert not caplog.records, "videos that are only to be scored need no label"
    touch(tmp_path, "train/normal/d.mp4", "train/Anomalous/e.mp4", "train/normal/f/1.jpg", "train/normal/f/notes.txt")
    datasets.entries("folder", tmp_path)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("1 folders under ") and first.endswith("train/normal/f")
    assert second.startswith("3 of 4 videos ") and "normal/ or anomalous/" in second and second.endswith("such as a")


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    with pytest.raises(ValueError, match=r"caf\\udce9\.mp4': its name is not UTF-8") as error:
        datasets.entries("folder", tmp_path)
    str(error.value).encode()


def test_the_root_itself_may_be_one_video_of_pictures(tmp_path):
    touch(tmp_path / "walk", "1.jpg", "2.jpg")
    assert summary(tmp_path / "walk") == {"walk": ("test", -1, None)}


def test_two_files_with_one_id_are_refused_and_both_named(tmp_path):
    touch(tmp_path, "a.mp4", "a.avi")
    with pytest.raises(ValueError, match=r"^a: two files with one id, .*a\.avi and .*a\.mp4"):
        datasets.entries("folder", tmp_path)


def test_a_file_and_a_folder_of_pictures_with_one_id_are_refused(tmp_path):
    touch(tmp_path, "a.mp4", "a/1.jpg")
    with pytest.raises(ValueError, match=r"^a: two files with one id, .*/a and .*/a\.mp4"):
        datasets.entries("folder", tmp_path)


def test_links_are_followed_once(tmp_path):
    touch(tmp_path / "store", "a.mp4")
    root = tmp_path / "root"
    root.mkdir()
    (root / "normal").symlink_to(tmp_path / "store")
    (root / "anomalous").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "loop").symlink_to(root)
    (tmp_path / "store" / "self").symlink_to(tmp_path / "store")
    assert list(summary(root)) == ["anomalous/a", "normal/a"]


def test_labels_csv_goes_before_folder_names(tmp_path):
    touch(tmp_path, "normal/a.mp4", "normal/b.mp4", "normal/c.mp4", "d.mp4", "e.mp4")
    (tmp_path / "labels.csv").write_bytes(
        b"\xef\xbb\xbfid,label,split,category,start,end\r\n"
        b"normal/a,1,test,Fall,10,20\r\n\r\n"
        b"normal/a,1,test,Fall,5,12\r\n"
        b"normal\\b.mp4,0,train,,,\r\n"
        b"d,1,,Fight,,\r\n"
        b"e,,,,,\r\n"
    )
    entries = {entry.id: entry for entry in datasets.entries("folder", tmp_path)}
    assert summary(tmp_path) == {
        "d": ("train", 1, None),
        "e": ("test", -1, None),
        "normal/a": ("test", 1, ((5, 20),)),
        "normal/b": ("train", 0, ()),
        "normal/c": ("test", -1, None),
    }
    assert entries["normal/a"].category == "Fall" and entries["normal/b"].category == "Normal"
    assert entries["normal/c"].notes == ("normal/c: not in labels.csv",)
    assert datasets.frame_labels("folder", "normal/a", 20, tmp_path).sum() == 15
    with pytest.raises(ValueError, match="nobody marked frames of 'd'"):
        datasets.frame_labels("folder", "d", 20, tmp_path)
    with pytest.raises(ValueError, match="folder has no video 'normal/z'"):
        datasets.frame_labels("folder", "normal/z", 20, tmp_path)


def test_semicolons_and_missing_columns_work(tmp_path):
    touch(tmp_path, "a,b.mp4", "c.mp4")
    (tmp_path / "labels.csv").write_text("label;id\n1;a,b\n0;c\n")
    assert summary(tmp_path) == {"a,b": ("train", 1, None), "c": ("train", 0, ())}


@pytest.mark.parametrize(
    "line",
    [
        "a,2,train,,,",
        "a,1,holdout,,,",
        "a,1,train,,5,",
        "a,1,train,,5,5",
        "a,1,train,,-1,5",
        "a,1,train,,1.5,5",
        "a,0,train,,1,5",
        "a,1,train",
        "a,1,train,,1,2,3",
        ",1,train,,,",
        "b,1,train,,,",
        "b,0,test,,,",
    ],
)
def test_a_malformed_line_is_named(tmp_path, line):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "labels.csv").write_text(f"id,label,split,category,start,end\nb,0,train,,,\n{line}\n")
    with pytest.raises(ValueError, match=r"labels\.csv, line 3: expected .*, found '") as error:
        datasets.entries("folder", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("header", ["video,label", "id,label,id", "id,split", "id,label,comment"])
def test_a_header_with_other_columns_is_named(tmp_path, header):
    touch(tmp_path, "a.mp4")
    (tmp_path / "labels.csv").write_text(f"{header}\n")
    with pytest.raises(ValueError, match=r"labels\.csv, line 1: expected the columns id,label,split"):
        datasets.entries("folder", tmp_path)


def test_an_empty_labels_csv_is_named(tmp_path):
    touch(tmp_path, "a.mp4", "labels.csv")
    with pytest.raises(ValueError, match=r"labels\.csv: empty; expected a header"):
        datasets.entries("folder", tmp_path)


def test_listed_videos_that_are_missing_are_named(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "labels.csv").write_text("id,label\na,0\n" + "".join(f"v{n},1\n" for n in range(7)))
    with pytest.raises(FileNotFoundError, match=r"7 of labels\.csv's 8 videos .*: v0, v1, v2, v3, v4, …;"):
        datasets.entries("folder", tmp_path)
    assert [entry.id for entry in datasets.entries("folder", tmp_path, skip_missing=True)] == ["a"]


def test_one_video_under_two_spellings_is_refused(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "labels.csv").write_text("id,label\na,0\na.mp4,1\n")
    with pytest.raises(ValueError, match=r"labels\.csv: 'a\.mp4' and 'a' name one video"):
        datasets.entries("folder", tmp_path)


cells = st.text(st.characters(categories=("L", "N"), include_characters='_- ,;"./'), max_size=12).map(str.strip)
ranges = st.tuples(st.integers(0, 9000), st.integers(1, 900)).map(lambda p: (p[0], p[0] + p[1]))


@given(
    st.dictionaries(
        cells.filter(lambda id: id and not id.startswith("./")),
        st.tuples(st.sampled_from(["train", "test"]), cells, st.lists(ranges, max_size=3)),
        max_size=6,
    )
)
def test_rows_written_by_a_csv_program_survive(tmp_path_factory, videos):
    path = tmp_path_factory.getbasetemp() / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(folder.COLUMNS)
        for id, (split, category, intervals) in videos.items():
            for start, end in intervals or [("", "")]:
                writer.writerow([id, int(bool(intervals)), split, category, start, end])
    rows = folder.read_labels(path)
    assert {
        row.id: (row.split, row.label, row.category, [tuple(pair) for pair in row.intervals]) for row in rows.values()
    } == {id: (split, int(bool(intervals)), category, intervals) for id, (split, category, intervals) in videos.items()}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"id,label,start,end\n" + data)
    try:
        folder.read_labels(path)
    except ValueError as error:
        assert f"{path}, line " in str(error) and "\n" not in str(error)


def test_real_fights_with_a_labels_csv(shared, tmp_path):
    source = shared / "data" / "fights"
    for name in ("fight", "noFight"):
        (tmp_path / name).symlink_to(source / name)
    with (source / "clips.csv").open(newline="") as file, (tmp_path / "labels.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "label", "split", "category", "start", "end"])
        sources, fight_frames = set(), 0
        for row in csv.DictReader(file):
            sources.add(row["source"])
            split = "test" if len(sources) > 25 else "train"
            id = row["path"].removesuffix(".mp4")
            if row["label"] == "1":
                writer.writerow([id, 1, split, "Fight", 0, row["frames"]])
                fight_frames += int(row["frames"])
            else:
                writer.writerow([id, 0, split, "", "", ""])
    entries = datasets.entries("folder", tmp_path)
    assert (len(entries), sum(entry.label for entry in entries)) == (233, 106)
    assert {entry.split for entry in entries} == {"train", "test"}
    assert all(entry.path.is_file() for entry in entries)
    assert sum(end - start for entry in entries for start, end in entry.intervals) == fight_frames
    first = next(entry for entry in entries if entry.label == 1)
    assert datasets.frame_labels("folder", first.id, first.intervals[0][1], tmp_path).all()
