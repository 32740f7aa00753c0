"""What a reader gives, refuses and survives; views."""

import hashlib
import json
import multiprocessing
import pickle
import shutil
import threading

import numpy as np
import pytest

from gvvad_jax import records
from tests.records import samples


def damage(path, name, change):
    data = bytearray((path / name).read_bytes())
    (path / name).write_bytes(bytes(change(data)))


def edit_manifest(path, **changes):
    contents = json.loads((path / "manifest.json").read_text()) | changes
    (path / "manifest.json").write_text(json.dumps(contents))


def test_a_reader_is_a_sequence_sorted_by_id(made):
    r = records.reader(made())
    assert len(r) == 12 and r.kind == "feature" and r.ids == [f"v{i:02d}" for i in range(12)]
    assert r[0].id == "v00" and r[-1].id == "v11" and r[np.int64(3)].id == "v03"
    assert [x.id for x in r] == r.ids and [x.id for x in r[2:4]] == ["v02", "v03"]
    assert "v03" in r and "v99" not in r and r.by_id("v05").visual.shape == (7, 2, 8)
    with pytest.raises(IndexError):
        r[12]
    with pytest.raises(ValueError, match="no record 'v99'"):
        r.by_id("v99")


def test_rows_say_what_streams_and_where_need(made):
    r = records.reader(made(category="Fighting"))
    row = dict(r.rows[7])
    assert row.pop("shard") == "part-00001-of-00003.array_record"
    assert row == {
        **{"id": "v07", "position": 3, "dataset": "ucf", "split": "train", "label": 1, "synthetic": 0},
        **{"category": "Fighting", "num_frames": 144, "num_snippets": 9},
    }


def test_the_manifest_counts_and_describes(made):
    m = records.reader(made(encoder={"name": "lite0"})).manifest
    assert m["counts"] == [{"split": "train", "label": y, "synthetic": 0, "records": 6} for y in (0, 1)]
    assert (m["num_crops"], m["width"], m["encoder"], m["dtypes"]) == (2, 8, {"name": "lite0"}, ["float16"])
    assert sum(s["records"] for s in m["shards"]) == m["index"]["records"] == 12


def test_where_and_select_are_views(made):
    path = made()
    odd = records.reader(path, where=lambda row: row["label"] == 1)
    assert odd.ids == [f"v{i:02d}" for i in range(1, 12, 2)] and [x.id for x in odd] == odd.ids
    late = odd.select(lambda row: row["num_snippets"] > 8)
    assert late.ids == ["v07", "v09", "v11"] and late[0].id == "v07" and len(odd) == 6
    assert late.digest == odd.digest and late.manifest["index"]["records"] == 12 and "v01" not in late


def test_texts_and_videos_have_rows_and_constants(tmp_path):
    texts = records.reader(samples.write(tmp_path / "t", "text", [samples.text("b"), samples.text("a", rows=2)]))
    assert [row["num_vectors"] for row in texts.rows] == [2, 3] and texts.manifest["width"] == 4
    videos = records.reader(samples.write(tmp_path / "c", "video", [samples.video("a", captions=[(0, 9, "x")])]))
    assert videos[0].captions == [(0, 9, "x")] and videos[0].video == b"mp4a" and videos.rows[0]["num_frames"] == 32


def test_no_set_no_manifest_or_another_schema_is_refused(made, tmp_path):
    path = made()
    with pytest.raises(FileNotFoundError, match="no such folder"):
        records.reader(tmp_path / "nothing")
    edit_manifest(path, schema=2)
    with pytest.raises(ValueError, match=r"manifest.json has schema version 2, .* version 1"):
        records.reader(path)
    (path / "manifest.json").write_text('{"name": "my web app"}')
    with pytest.raises(ValueError, match=r"manifest.json is not the manifest"):
        records.reader(path)
    (path / "manifest.json").write_text('{"format": ')
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        records.reader(path)
    (path / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no manifest.json"):
        records.reader(path)


@pytest.mark.parametrize("key", ["kind", "counts", "options", "index", "shards", "width"])
def test_a_manifest_without_a_key_is_refused(made, key):
    path = made()
    contents = json.loads((path / "manifest.json").read_text())
    del contents[key]
    (path / "manifest.json").write_text(json.dumps(contents))
    with pytest.raises(ValueError, match=key):
        records.reader(path)


def test_a_manifest_cannot_name_files_elsewhere(made):
    path = made()
    contents = json.loads((path / "manifest.json").read_text())
    contents["shards"][0]["file"] = "../other/part-00000-of-00001.array_record"
    (path / "manifest.json").write_text(json.dumps(contents))
    with pytest.raises(ValueError, match="lie beside their manifest"):
        records.reader(path)


@pytest.mark.parametrize("keep", [0, 1, 1000, -1])
def test_a_cut_shard_is_named(made, keep):
    path = made()
    damage(path, "part-00001-of-00003.array_record", lambda data: data[:keep])
    with pytest.raises(ValueError, match=r"part-00001-of-00003\.array_record has [\d,]+ bytes"):
        records.reader(path)


@pytest.mark.parametrize("keep", [0, 1000])
def test_a_shard_that_is_cut_while_the_set_is_open_is_named(made, keep):
    path = made()
    r = records.reader(path)
    damage(path, "part-00001-of-00003.array_record", lambda data: data[:keep] + bytes(len(data) - keep))
    assert r[0].id == "v00"
    with pytest.raises(ValueError, match=r"part-00001-of-00003\.array_record"):
        [r[i] for i in range(4, 8)]
    damage(path, "part-00002-of-00003.array_record", lambda data: data[:keep])
    with pytest.raises(ValueError, match=r"part-00002-of-00003\.array_record has"):
        r[8]


def test_a_missing_shard_is_named(made):
    path = made()
    r = records.reader(path)
    (path / "part-00002-of-00003.array_record").unlink()
    for act in (lambda: records.reader(path), lambda: r[-1]):
        with pytest.raises(FileNotFoundError, match=r"part-00002-of-00003\.array_record is missing"):
            act()


def test_a_damaged_or_missing_index_is_named(made):
    path = made()
    damage(path, "index.jsonl", lambda data: data.replace(b'"label": 1', b'"label": 0', 1))
    with pytest.raises(ValueError, match=r"index\.jsonl is not the index"):
        records.reader(path)
    (path / "index.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"index\.jsonl is missing"):
        records.reader(path)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([1], "row 2: a list, but every row is one JSON object"),
        ({"id": 7}, "row 2: id 7, shard"),
        ({"position": "0"}, "position '0', but id and shard are text"),
        ({"position": -1}, "position -1, but"),
        ({"shard": ["x"]}, r"shard \['x'\], position"),
    ],
)
def test_a_row_of_another_programs_index_is_named(made, row, says):
    path = made(count=2, shards=1)
    rows = [json.loads(line) for line in (path / "index.jsonl").read_text().splitlines()]
    rows[1] = rows[1] | row if isinstance(row, dict) else row
    data = "".join(json.dumps(r) + "\n" for r in rows).encode()
    (path / "index.jsonl").write_bytes(data)
    index = {"file": "index.jsonl", "records": 2, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(path, index=index)
    with pytest.raises(ValueError, match=rf"index\.jsonl, .*{says}"):
        records.reader(path)


@pytest.mark.parametrize("shards", [None, [{"file": 1, "records": 1, "bytes": 1, "sha256": ""}]])
def test_a_manifest_of_another_form_is_refused(made, shards):
    path = made()
    edit_manifest(path, shards=shards)
    with pytest.raises(ValueError, match=r"manifest\.json (has 'shards' that are no list|names the file '1')"):
        records.reader(path)


def test_a_flipped_byte_is_an_error_that_names_the_shard_or_changes_nothing(made, tmp_path):
    path = made(count=4, shards=1)
    name = "part-00000-of-00001.array_record"
    good, before = (path / name).read_bytes(), list(records.reader(path))
    rng = np.random.default_rng(0)
    payload = good.index(before[2].visual.tobytes())
    used = max(good.index(x.visual.tobytes()) for x in before) + 1000
    places = [
        *range(64),
        *rng.integers(64, used, 100),
        *range(payload, payload + 40),
        *range(len(good) - 65536, len(good), 997),
    ]
    found = 0
    for place in sorted({int(p) for p in places} | {len(good) - 1}):
        damage(path, name, lambda _, at=place: good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        try:
            for a, b in zip(list(records.reader(path)), before, strict=True):
                samples.assert_same(a, b)
        except (ValueError, OSError) as error:
            found += 1
            assert name in str(error) and "\n" not in str(error), place
            continue
        assert not payload <= place < payload + 40
        assert any(name in line for line in records.check(path)), place
    assert found > 100


def test_damage_of_one_record_leaves_the_others(made):
    path = made(count=4, shards=1)
    name = "part-00000-of-00001.array_record"
    place = (path / name).read_bytes().index(records.reader(path)[2].visual.tobytes())
    damage(path, name, lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    r = records.reader(path)
    assert [r[i].id for i in (0, 1, 3)] == ["v00", "v01", "v03"]
    with pytest.raises(ValueError, match=r"part-00000-of-00001\.array_record: record 2 \('v02'\) is damaged"):
        r[2]


def test_a_record_of_another_set_is_not_taken_for_ours(made):
    path, other = made("a", count=2, shards=1), made("b", count=2, shards=1, dataset="zzz")
    r = records.reader(path)
    samples.write(other / "c", "feature", [samples.feature("w00", 2), samples.feature("w01", 3)], shards=1)
    shutil.copy(other / "c" / "part-00000-of-00001.array_record", path)
    with pytest.raises(ValueError, match=r"part-00000-of-00001\.array_record.*'w00'"):
        r[0]


def test_threads_share_a_reader(made):
    r = records.reader(made(), where=lambda row: True)
    expected, wrong = [x.visual.tobytes() for x in r], []

    def work(seed):
        for i in np.random.default_rng(seed).integers(0, 12, 100):
            if r[i].visual.tobytes() != expected[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_a_pickled_reader_reads_the_same(made):
    r = records.reader(made()).select(lambda row: row["label"] == 1)
    r[0]
    copy = pickle.loads(pickle.dumps(r))
    assert copy.ids == r.ids
    samples.assert_same(copy[1], r[1])


@pytest.mark.slow
def test_a_spawned_process_takes_a_reader(made):
    r = records.reader(made())
    r[0]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(len, (r,)) == 12
        assert pool.apply(records.Reader.by_id, (r, "v03")).id == "v03"


def test_grain_reads_a_reader(made):
    grain = pytest.importorskip("grain")
    ds = grain.MapDataset.source(records.reader(made())).shuffle(seed=1).map(lambda x: x.id)
    it = ds.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4))
    assert sorted(it) == [f"v{i:02d}" for i in range(12)]
