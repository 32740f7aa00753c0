import json

import numpy as np
import pytest

from gvvad_jax import records
from tests.features.published.cases import TRAIN, WIDTH, array, listed, run, write


def test_features_become_records_with_every_bit(tmp_path):
    root = write(tmp_path / "root", TRAIN, dtype=np.float16)
    summary = run(tmp_path, listed(tmp_path, *(f"{name}.npy" for name in TRAIN)), root, encoder_name="i3d")
    assert summary.status == 0 and (summary.made, summary.there) == (2, 0)
    reader = records.reader(tmp_path / "set")
    assert reader.ids == ["Abuse001_x264", "Normal_Videos001_x264"]
    for record, name in zip(reader, TRAIN, strict=True):
        assert record.visual.dtype == np.float16 and np.array_equal(record.visual, array(name, dtype=np.float16))
        assert record.encoder == {"name": "i3d"} and record.source["listed"] == f"/foreign/{name}.npy"
        assert record.num_frames == 64 and record.snippet_frames == 16 and record.dataset == "ucf"
        assert "frame count not known, taken as 16 a row" in record.notes[0]
    assert [(r.label, r.category, r.intervals) for r in reader] == [(1, "Abuse", None), (0, "Normal", [])]
    assert not (tmp_path / "set" / "errors.jsonl").exists()


def test_frames_and_intervals_are_the_data_sets_and_a_mismatch_is_noted(tmp_path):
    names = ["Arson011_x264_i3d", "Abuse028_x264_i3d"]  # 1,266 frames, the interval ends at 1,267; 1,412 frames
    root = write(tmp_path / "root", names[:1], rows=79)
    write(root, names[1:], rows=60)
    summary = run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in names), name="test.list"), root)
    first, second = records.reader(tmp_path / "set").by_id("Arson011_x264"), records.reader(tmp_path / "set")[0]
    assert (first.num_frames, first.intervals[-1][1], first.split) == (1266, 1266, "test")
    assert any("clipped to the video's 1266 frames" in note for note in first.notes)
    assert second.num_frames == 1412 and len(second.visual) == 60 and second.intervals == [(165, 240)]
    assert any("60 rows, but 1,412 frames as published, 88.2 snippets" in note for note in second.notes)
    assert any("rows, but … frames as published" in note and "1 videos" in note for note in summary.notes)


def test_intervals_past_features_of_unknown_length_are_kept_and_noted(tmp_path):
    name = "v=8cTqh9tMz_I__#1_label_A"
    xd = "Bad.Boys.1995__#01-33-51_01-34-37_label_B2-0-0"
    root = write(tmp_path / "root", [name, xd], crops=5, rows=3)
    run(tmp_path, listed(tmp_path, f"{name}.npy", f"{xd}.npy", name="test.list"), root, dataset="xd")
    record = records.reader(tmp_path / "set").by_id(xd)
    assert record.num_frames == 48 and record.visual.shape[1] == 5
    assert record.intervals and record.intervals[-1][1] > 48
    assert any("annotated interval ends at frame" in note for note in record.notes)


def test_missing_files_are_all_named_and_nothing_is_written(tmp_path):
    root = write(tmp_path / "root", TRAIN[:1])
    path = listed(tmp_path, *(f"{name}.npy" for name in [*TRAIN, "Abuse003_x264_i3d"]))
    with pytest.raises(FileNotFoundError, match="2 files .* Normal_Videos001_x264_i3d, Abuse003_x264_i3d; add them"):
        run(tmp_path, path, root)
    assert not (tmp_path / "set").exists()
    summary = run(tmp_path, path, root, skip_missing=True)
    assert summary.status == 1 and summary.made == 1 and len(records.reader(tmp_path / "set")) == 1
    failed = records.read_jsonl(tmp_path / "set" / "errors.jsonl")
    assert [row["id"] for row in failed] == ["Normal_Videos001_x264", "Abuse003_x264"]
    write(root, [TRAIN[1], "Abuse003_x264_i3d"])
    again = run(tmp_path, path, root, skip_missing=True)
    assert (again.status, again.made, again.there) == (0, 2, 1)
    assert not (tmp_path / "set" / "errors.jsonl").exists() and len(records.reader(tmp_path / "set")) == 3


def test_nothing_found_is_refused_even_where_missing_ones_are_skipped(tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(FileNotFoundError, match="not one of its 2 videos has a file"):
        run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in TRAIN)), tmp_path / "root", skip_missing=True)
    assert not (tmp_path / "set").exists()


def test_bad_files_are_lines_of_errors_and_the_rest_is_imported(tmp_path):
    names = [f"Abuse{i:03}_x264" for i in (1, 2, 3, 4, 5, 6)]
    root = write(tmp_path / "root", names)
    poisoned = array(names[0])
    poisoned[1, 2, 3] = np.nan
    np.save(root / f"{names[0]}.npy", poisoned)
    np.save(root / f"{names[1]}.npy", array(names[1], width=WIDTH + 1))
    (root / f"{names[2]}.npy").write_bytes((root / f"{names[2]}.npy").read_bytes()[:-4])
    np.save(root / f"{names[3]}.npy", np.array([None, 1], object), allow_pickle=True)
    summary = run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in names)), root)
    assert summary.status == 1 and sorted(summary.failed) == names[:4]
    assert records.reader(tmp_path / "set").ids == names[4:]
    errors = {row["id"]: row["error"] for row in records.read_jsonl(tmp_path / "set" / "errors.jsonl")}
    for name, sentence in zip(names, ("NaN", "width 6", "cut short", "Python objects"), strict=False):
        assert name in errors[name] and sentence in errors[name]
    np.save(root / f"{names[0]}.npy", array(names[0]))
    again = run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in names)), root)
    assert (again.made, again.there, len(again.failed)) == (1, 2, 3)


def test_where_every_file_is_bad_there_is_no_set(tmp_path):
    root = write(tmp_path / "root", TRAIN)
    for name in TRAIN:
        np.save(root / f"{name}.npy", np.full((4, 10, 6), np.inf))
    summary = run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in TRAIN)), root)
    assert summary.status == 1 and summary.made == 0
    with pytest.raises(FileNotFoundError):
        records.reader(tmp_path / "set")


def test_another_list_adds_to_a_finished_set_and_a_contradiction_is_refused(tmp_path):
    root = write(tmp_path / "root", [*TRAIN, "Abuse028_x264"])
    run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in TRAIN)), root)
    test = listed(tmp_path, "Abuse028_x264.npy", name="test.list")
    run(tmp_path, test, root)
    reader = records.reader(tmp_path / "set")
    assert [(row["id"], row["split"]) for row in reader.rows][:2] == [
        ("Abuse001_x264", "train"),
        ("Abuse028_x264", "test"),
    ]
    before = reader.digest
    with pytest.raises(ValueError, match="has Abuse001_x264 already, as {'split': 'train'.* gives {'split': 'test'"):
        run(tmp_path, listed(tmp_path, "Abuse001_x264.npy", name="a-test.list"), root)
    with pytest.raises(ValueError, match="begun with other options: encoder_name"):
        run(tmp_path, test, root, encoder_name="clip")
    assert records.reader(tmp_path / "set").digest == before


def test_a_list_added_to_a_set_is_read_as_the_set_was(tmp_path):
    root = write(tmp_path / "root", ["Abuse001_x264"], rows=10, crops=7)
    write(root, ["Abuse028_x264"], rows=10, crops=10)  # [C, T, F] of ten snippets: by itself it might be either
    test = listed(tmp_path, "Abuse028_x264.npy", name="test.list")
    with pytest.raises(ValueError, match="give --layout=time_first or --layout=crops_first"):
        run(tmp_path, test, root)
    run(tmp_path, listed(tmp_path, "Abuse001_x264.npy"), root)
    assert run(tmp_path, test, root).shape == "[T, 10, 6] read as crops_first"
    record = records.reader(tmp_path / "set").by_id("Abuse028_x264")
    assert np.array_equal(record.visual, np.swapaxes(array("Abuse028_x264", rows=10), 0, 1))


def test_what_a_killed_import_of_another_list_left_is_no_whole_set(tmp_path):
    root = write(tmp_path / "root", [*TRAIN, "Abuse028_x264"])
    options = {"dataset": "ucf", "layout": "time_first", "encoder_name": ""}
    fields = dict(id="Abuse001_x264", dataset="ucf", split="train", label=1, synthetic=0)
    with pytest.raises(RuntimeError), records.writer(tmp_path / "set", "feature", options=options) as writer:
        writer.add(records.Feature(**fields, num_frames=64, snippet_frames=16, visual=array("x")))
        raise RuntimeError
    with pytest.raises(ValueError, match=r"unfinished import of another list \(Abuse001_x264\)"):
        run(tmp_path, listed(tmp_path, "Abuse028_x264.npy", name="test.list"), root)
    assert run(tmp_path, listed(tmp_path, *(f"{n}.npy" for n in TRAIN)), root).there == 1


def test_the_same_bytes_come_of_any_number_of_workers(tmp_path):
    names = [f"Abuse{i:03}_x264" for i in range(1, 20)]
    root = write(tmp_path / "root", names)
    path = listed(tmp_path, *(f"{n}.npy" for n in names))
    for workers in (1, 5):
        run(tmp_path, path, root, out=f"set{workers}", workers=workers)
    first, second = (json.loads((tmp_path / f"set{n}" / "manifest.json").read_text()) for n in (1, 5))
    assert first == second


def test_text_becomes_a_set_beside_the_features(tmp_path):
    names = ["/d/UCF/Abuse001_x264_clip.npy", "/d/GeneratedVideos/descriptions_1/301_clip.npy"]
    root = write(tmp_path / "root", ["Abuse001_x264_clip", "301_clip"])
    emb = tmp_path / "emb"
    emb.mkdir()
    vectors = {"Abuse001_x264": np.arange(12, dtype=np.float64).reshape(4, 3), "301": np.ones((7, 3), np.float16)}
    for id, rows in vectors.items():
        np.save(emb / f"{id}_emb.npy", rows)
    summary = run(tmp_path, listed(tmp_path, *names, folder=""), root, text=emb)
    assert summary.status == 0 and (summary.made, summary.texts) == (2, 2)
    texts = records.reader(tmp_path / "set-text")
    assert texts.ids == records.reader(tmp_path / "set").ids == ["301", "Abuse001_x264"]
    assert texts.manifest["sentence_encoder"] == {"name": "sup-simcse-bert-base-uncased"}
    for record in texts:
        assert np.array_equal(record.vectors, vectors[record.id])
    assert [t.vectors.dtype for t in texts] == [np.float16, np.float32]
    assert any("rows of text, but … of features (1 videos: 301)" in note for note in summary.notes)


def test_missing_or_bad_text_is_named(tmp_path):
    root, emb = write(tmp_path / "root", TRAIN), tmp_path / "emb"
    emb.mkdir()
    np.save(emb / "Abuse001_x264_emb.npy", np.ones((4, 3)))
    path = listed(tmp_path, *(f"{n}.npy" for n in TRAIN))
    with pytest.raises(FileNotFoundError, match="1 files .* missing under .*emb: Normal_Videos001_x264_emb; add"):
        run(tmp_path, path, root, text=emb)
    assert not (tmp_path / "set").exists() and not (tmp_path / "set-text").exists()
    skipped = run(tmp_path, path, root, text=emb, skip_missing=True)
    assert (skipped.status, skipped.made, skipped.texts) == (1, 2, 1)
    np.save(emb / "Normal_Videos001_x264_emb.npy", np.full((4, 3), np.nan))
    poisoned = run(tmp_path, path, root, text=emb)
    assert poisoned.status == 1 and poisoned.failed == ("Normal_Videos001_x264",)
    assert records.reader(tmp_path / "set-text").ids == ["Abuse001_x264"]


def test_text_files_among_arrays_are_refused_one_by_one(tmp_path):
    root = write(tmp_path / "root", TRAIN)
    np.savetxt(root / "Abuse003_x264.txt", np.ones((32, WIDTH)))
    path = listed(tmp_path, *(f"{n}.npy" for n in TRAIN), "Abuse003_x264.txt")
    summary = run(tmp_path, path, root)
    assert summary.failed == ("Abuse003_x264",) and summary.made == 2
    assert "mixed" in records.read_jsonl(tmp_path / "set" / "errors.jsonl")[0]["error"]


def test_sultanis_text_is_32_parts_of_the_video(tmp_path, shared):
    root = shared / "data" / "sultani_c3d_samples"
    names = ["RoadAccidents022_x264", "Normal_Videos_006_x264"]
    summary = run(tmp_path, listed(tmp_path, *(f"{n}.txt" for n in names), name="test.list"), root)
    assert summary.status == 0
    for record in records.reader(tmp_path / "set"):
        assert record.visual.shape == (32, 1, 4096) and record.snippet_frames == 0 and record.split == "test"
        assert np.allclose(np.linalg.norm(record.visual[:, 0], axis=1), 1, atol=1e-3)
        numbers = np.array((root / f"{record.id}.txt").read_text().split(), np.float64).reshape(32, 4096)
        assert np.array_equal(record.visual[:, 0], numbers.astype(np.float32))
        assert record.num_frames > 32 and not any("rows, but" in note for note in record.notes)
