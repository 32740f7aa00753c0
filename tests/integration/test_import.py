"""tools/import_features.py as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax import bags, records

ROOT = Path(__file__).parents[2]


def command(*flags):
    return [sys.executable, str(ROOT / "tools" / "import_features.py"), *map(str, flags)]


def run(*flags):
    # Not at the top: the package is installed, and a clone's modules must not be found by chance.
    return subprocess.run(command(*flags), capture_output=True, text=True, cwd=ROOT / "tests")


def digests(path):
    manifest = json.loads((path / "manifest.json").read_text())
    return manifest["index"]["sha256"], [shard["sha256"] for shard in manifest["shards"]]


def made_up(root, path, shape):
    """A file of small numbers for every line of a list; which video's they are can be read from them."""
    root.mkdir(parents=True, exist_ok=True)
    stems = [line.replace("\\", "/").rpartition("/")[2].removesuffix(".npy") for line in path.read_text().splitlines()]
    for number, stem in enumerate(stems):
        np.save(root / f"{stem}.npy", np.full(shape(number), number, np.float16))
    return stems


def test_help_shows_a_runnable_example_first():
    done = run("--help")
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert any(line.startswith("python tools/import_features.py --dataset=ucf --list=") for line in lines[:4])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--list=LIST", "--root=ROOT", "--out=OUT"], "--dataset is missing"),
        (["--dataset=ucf", "--root=ROOT", "--out=OUT"], "--list is missing"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT"], "--out is missing"),
        (["--dataset=ucf", "--list=LIST", "--out=OUT"], "give either --root"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT", "--features=ROOT", "--out=OUT"], "give either --root"),
        (["--dataset=ucf", "--list=LIST", "--features=ROOT", "--text=ROOT", "--out=OUT"], "--text goes with --root"),
        (["--dataset=nope", "--list=LIST", "--root=ROOT", "--out=OUT"], "no data set 'nope'"),
        (["--dataset=ucf", "--list=absent.list", "--root=ROOT", "--out=OUT"], "absent.list"),
        (["--dataset=ucf", "--list=LIST", "--root=absent", "--out=OUT"], "no folder absent"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT", "--layout=odd", "--out=OUT"], "--layout=odd; it is one of"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT", "--split=half", "--out=OUT"], "split"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT", "--workers=0", "--out=OUT"], "--workers=0"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT", "--out=OUT"], "missing under"),
        (["--dataset=ucf", "--list=LIST", "--features=absent", "--out=OUT"], "absent is no set of records"),
        (["--dataset=ucf", "--list=LIST", "--root=ROOT", "--out=OUT", "stray"], "'stray' is no flag"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, flags, sentence):
    (tmp_path / "root").mkdir()
    np.save(tmp_path / "root" / "Abuse001_x264.npy", np.ones((3, 10, 4), np.float32))
    (tmp_path / "my.list").write_text("Abuse001_x264.npy\nAbuse002_x264.npy\n")
    places = {"OUT": str(tmp_path / "set"), "ROOT": str(tmp_path / "root"), "LIST": str(tmp_path / "my.list")}
    for name, place in places.items():
        flags = [flag.replace(f"={name}", f"={place}") for flag in flags]
    if "layout" in " ".join(flags) or "workers" in " ".join(flags):
        flags.append("--skip_missing")
    done = run(*flags)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_both_shanghaitech_lists_become_the_weak_split(tmp_path, shared):
    data = shared / "data"
    root = tmp_path / "features"
    subprocess.run([sys.executable, data / "shanghaitech_tracks" / "make_features.py", root], check=True)
    labels = json.loads((data / "shanghaitech_annotations" / "labels.json").read_text())
    for split, counts in (("train", (63, 175)), ("test", (44, 155))):
        listed = data / "shanghaitech_annotations" / f"shanghai-i3d-{split}-10crop.list"
        done = run("--dataset=shanghaitech", f"--list={listed}", f"--root={root}", f"--out={tmp_path / split}")
        assert done.returncode == 0, done.stderr
        closing = done.stdout.splitlines()[-1]
        assert f"list of {counts[0]} anomalous, {counts[1]} normal ({split}); [T, 10, 196]" in closing
        reader = records.reader(tmp_path / split)
        assert {row["id"] for row in reader.rows} == {id for id, row in labels.items() if row["split"] == split}
        for record in reader:
            raw = np.load(root / f"{record.id}.npy")
            assert record.visual.dtype == np.float16 and np.array_equal(record.visual, raw)
            row = labels[record.id]
            assert (record.label, record.split, record.synthetic) == (row["label"], split, 0)
            if row["label"]:
                assert record.num_frames == row["num_frames"]
                assert [list(interval) for interval in record.intervals] == row["intervals"]
            else:
                assert record.num_frames == 16 * len(raw) and record.intervals == []
    sets = bags.sets.open_sets(f"{tmp_path / 'train'},{tmp_path / 'test'}")
    assert sum(map(len, sets.training)) == 238 and len(sets.test) == 199


@pytest.mark.slow
def test_ucfg1_and_ucfg2_are_two_views_of_one_set(tmp_path, shared):
    folder = shared / "data" / "gvvad_samples" / "lists" / "GV"
    path = folder / "ucfg1-clip.list"
    stems = made_up(tmp_path / "clip", path, lambda number: (10, 3 + number % 4, 6))
    for stem in stems:
        text = np.full((4, 5), len(stem), np.float32)
        (tmp_path / "emb").mkdir(exist_ok=True)
        np.save(tmp_path / "emb" / f"{stem.removesuffix('_clip')}_emb.npy", text)
    out = tmp_path / "sets" / "ucfg1"
    done = run(
        "--dataset=ucf", f"--list={path}", f"--root={tmp_path / 'clip'}", f"--text={tmp_path / 'emb'}",
        "--encoder_name=clip-vit-b16", f"--out={out}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "810 + 297 generated anomalous, 800 + 299 generated normal" in done.stdout.splitlines()[-1]
    reader, texts = records.reader(out), records.reader(tmp_path / "sets" / "ucfg1-text")
    assert len(reader) == 2206 and reader.ids == texts.ids
    for number in (0, 809, 810, 1106, 1107, 1906, 1907, 2205):
        record = reader.by_id(stems[number].removesuffix("_clip"))
        assert record.visual.shape == (3 + number % 4, 10, 6) and (record.visual == np.float16(number)).all()
        assert (record.label, record.synthetic) == (int(number < 1107), int(not record.id.endswith("_x264")))
    for name, counts in (("ucfg1", (1107, 1099)), ("ucfg2", (926, 987))):
        selection = tmp_path / f"{name}.jsonl"
        done = run("--dataset=ucf", f"--list={folder / f'{name}-clip.list'}", f"--features={out}", f"--out={selection}")
        assert done.returncode == 0 and f"{sum(counts)} of 2206 videos kept" in done.stdout
        view = records.reader(out, where=records.read_selection(selection))
        assert tuple(sum(row["label"] == label for row in view.rows) for label in (1, 0)) == counts
        sets = bags.sets.open_sets(str(out), text=f"{out}-text", selection=str(selection))
        assert sum(map(len, sets.training)) == sum(counts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dataset", "shape", "crops"),
    [
        ("official/violence-i3d-test.list", "xd", lambda n: (3 + n % 9, 5, 8), 5),
        ("GV/ucf-clip-test.list", "ucf", lambda n: (10, 3 + n % 9, 8), 10),
        ("SVMAE/TAD-videoMae-test-9-5_9-1_finetune.list", "tad", lambda n: (10, 3 + n % 9, 8), 10),
        ("official/ped2-i3d-test.list", "ped2", lambda n: (3 + n % 9, 8), 1),
    ],
)
def test_real_lists_with_made_up_features(tmp_path, shared, name, dataset, shape, crops):
    path = shared / "data" / "gvvad_samples" / "lists" / name
    stems = made_up(tmp_path / "root", path, shape)
    done = run(f"--dataset={dataset}", f"--list={path}", f"--root={tmp_path / 'root'}", f"--out={tmp_path / 'set'}")
    assert done.returncode == 0, done.stderr
    reader = records.reader(tmp_path / "set")
    assert len(reader) == len(stems) and {row["split"] for row in reader.rows} == {"test"}
    for record in list(reader)[::17]:
        number = int(record.visual[0, 0, 0])
        assert record.visual.shape == (3 + number % 9, crops, 8) and (record.visual == np.float16(number)).all()
        assert record.id in stems[number]
        assert record.intervals is not None and bool(record.intervals) <= bool(record.label)


def test_sultanis_files_are_scored_and_looked_at(tmp_path, shared):
    root = shared / "data" / "sultani_c3d_samples"
    (tmp_path / "test.list").write_text("RoadAccidents022_x264.txt\r\nNormal_Videos_006_x264.txt")
    out = tmp_path / "set"
    done = run("--dataset=ucf", f"--list={tmp_path / 'test.list'}", f"--root={root}", f"--out={out}")
    assert done.returncode == 0 and "[T, 1, 4096] read as segments" in done.stdout
    doctor = [sys.executable, ROOT / "tools" / "doctor.py", f"--set={out}"]
    found = subprocess.run(doctor, capture_output=True, text=True)
    assert found.returncode == 0 and "lengths, labels and values of all videos agree" in found.stdout


def test_missing_and_bad_files_have_the_promised_statuses(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    names = [f"Abuse{i:03}_x264" for i in range(1, 6)]
    for name in names:
        np.save(root / f"{name}_i3d.npy", np.ones((3, 10, 4), np.float32))
    path = tmp_path / "my.list"
    path.write_text("\n".join(f"D:\\RTFM\\save\\{name}_i3d.npy" for name in [*names, "Arson001_x264", "Arson002_x264"]))
    flags = ("--dataset=ucf", f"--list={path}", f"--root={root}", f"--out={tmp_path / 'set'}")
    missing = run(*flags)
    assert missing.returncode == 2 and "Arson001_x264_i3d, Arson002_x264_i3d" in missing.stderr
    assert not (tmp_path / "set").exists()
    np.save(root / f"{names[0]}_i3d.npy", np.full((3, 10, 4), np.nan, np.float32))
    skipped = run(*flags, "--skip_missing")
    assert skipped.returncode == 1 and "4 videos imported, 3 failed (errors.jsonl)" in skipped.stdout
    failed = {row["id"] for row in records.read_jsonl(tmp_path / "set" / "errors.jsonl")}
    assert failed == {names[0], "Arson001_x264", "Arson002_x264"}
    assert all(any(line.startswith(f"{id}: ") for line in skipped.stderr.splitlines()) for id in failed)
    copy = root / "copy"
    copy.mkdir()
    np.save(copy / f"{names[1]}_i3d.npy", np.ones((3, 10, 4), np.float32))
    twice = run(*flags, "--skip_missing")
    assert twice.returncode == 2 and "two files may be meant" in twice.stderr
    other = run("--dataset=ucf", f"--list={path}", f"--root={copy}", f"--out={tmp_path / 'set'}", "--encoder_name=x")
    assert other.returncode == 2


@pytest.mark.slow
def test_killed_run_goes_on_to_the_identical_set(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    names = [f"Abuse{i:03}_x264" for i in range(1, 101)]
    for name in names:
        np.save(root / f"{name}.npy", np.random.default_rng(len(name)).normal(size=(40, 10, 128)).astype(np.float16))
    path = tmp_path / "my.list"
    path.write_text("\n".join(f"{name}.npy" for name in names))
    whole, out = tmp_path / "whole", tmp_path / "set"
    flags = ("--dataset=ucf", f"--list={path}", f"--root={root}", "--workers=1")
    assert run(*flags, f"--out={whole}").returncode == 0
    process = subprocess.Popen(command(*flags, f"--out={out}"), stderr=subprocess.DEVNULL)
    for _ in range(5000):
        if len(list((out / ".unfinished").glob("*.safetensors"))) > 10 or process.poll() is not None:
            break
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists(), "the run had ended before it was killed"
    with pytest.raises(FileNotFoundError, match="unfinished"):
        records.reader(out)
    done = run(*flags, f"--out={out}")
    assert done.returncode == 0 and "were there" in done.stdout
    assert digests(out) == digests(whole)
    assert run(*flags, f"--out={out}").returncode == 0 and digests(out) == digests(whole)
