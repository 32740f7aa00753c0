"""tools/generate.py as a user runs it, from descriptions to a set that extraction reads."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gvvad_jax import records
from tests.models.cogvideox import random_folder
from tests.synthesis.generators import clips

ROOT = Path(__file__).parents[2]


def command(tool, *flags):
    return [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, flags)]


def run(tool, *flags):
    return subprocess.run(command(tool, *flags), capture_output=True, text=True, cwd=ROOT / "tests", timeout=100)


def digests(path):
    files = [*path.glob("*.array_record"), path / "index.jsonl", path / "manifest.json"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_descriptions_and_a_folder_of_clips_become_a_set(tmp_path):
    assert run("describe", f"--out={tmp_path / 'd.jsonl'}", "--count=2").returncode == 0
    ids = [d.id for d in records.read_descriptions(tmp_path / "d.jsonl")]
    root = clips.mp4s(tmp_path / "clips", *ids[:3])
    flags = (
        "--generator=folder",
        f"--descriptions={tmp_path / 'd.jsonl'}",
        f"--root={root}",
        f"--out={tmp_path / 's'}",
    )
    done = run("generate", *flags)
    assert done.returncode == 1 and f"3 clips made, 1 failed (errors.jsonl): {tmp_path / 's'}" in done.stdout
    assert f"{ids[3]}: no clip" in done.stderr
    clips.mp4s(root, ids[3])
    done = run("generate", *flags)
    assert done.returncode == 0 and "1 clips made, 3 were there" in done.stdout
    found = records.reader(tmp_path / "s")
    assert [row["label"] for row in found.rows] == [1, 0, 1, 0] and {row["synthetic"] for row in found.rows} == {1}


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--out=OUT"], "--descriptions is missing"),
        (["--descriptions=D"], "--out is missing"),
        (["--descriptions=D", "--out=OUT", "--generator=folder"], "needs --root"),
        (["--descriptions=D", "--out=OUT", "--generator=dream"], "no generator 'dream'"),
        (["--descriptions=D", "--out=OUT", "--generator=cogvideox"], "needs --weights"),
        (["--descriptions=D", "--out=OUT", "--steps=3"], "--steps does not go with --generator=scenes"),
        (["--descriptions=absent.jsonl", "--out=OUT", "--generator=folder", "--root=."], "absent.jsonl"),
        (["--descriptions=D", "--out=OUT", "D"], "is no flag"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, flags, sentence):
    clips.descriptions(tmp_path / "d.jsonl", "a1")
    places = {"=D": f"={tmp_path / 'd.jsonl'}", "=OUT": f"={tmp_path / 's'}"}
    for name, place in places.items():
        flags = [flag.replace(name, place) for flag in flags]
    done = run("generate", *flags)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_help_shows_a_runnable_example_first():
    done = run("generate", "--help")
    assert done.returncode == 0 and "python tools/generate.py --descriptions=" in done.stdout


def test_a_full_disk_is_one_sentence_and_leaves_no_half_clip(tmp_path):
    """A limit on the size of files stands for the disk."""
    clips.descriptions(tmp_path / "d.jsonl", "n1")
    own = command("generate", f"--descriptions={tmp_path / 'd.jsonl'}", "--frames=20", f"--out={tmp_path / 's'}")
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "-", *own]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=100)
    error = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and error.startswith("error: ") and "'n1' cannot be written (File too large)" in error
    assert [path.name for path in (tmp_path / "s").rglob("*")] == [".unfinished", "options.json"]
    done = subprocess.run(own, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "1 clips made" in done.stdout


@pytest.mark.slow
def test_two_processes_make_the_set_of_one(tmp_path):
    ids = ["a1", "a2", "n1", "n2"]
    clips.descriptions(tmp_path / "d.jsonl", *ids)
    root = clips.mp4s(tmp_path / "clips", "a1", "a2", "n1")
    flags = ("--generator=folder", f"--descriptions={tmp_path / 'd.jsonl'}", f"--root={root}")
    assert run("generate", *flags, f"--out={tmp_path / 'whole'}").returncode == 1
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        names = (f"--coordinator=127.0.0.1:{listener.getsockname()[1]}", "--num_processes=2")
    out, files = tmp_path / "set", tmp_path / "files"
    both = [
        subprocess.Popen(
            command("generate", *flags, f"--out={out}", f"--mp4={files}", *names, f"--process_id={k}"),
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    assert "3 clips made, 1 failed" in said[0] and "1 clips made, 1 failed" in said[1]
    assert digests(out) == digests(tmp_path / "whole") and not (out / ".unfinished").exists()
    assert sorted(path.stem for path in files.iterdir()) == ids[:3]
    assert [row["id"] for row in records.read_jsonl(out / "errors.jsonl")] == ["n2"]


@pytest.mark.slow
def test_a_killed_sampler_goes_on_to_the_identical_set(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    weights = random_folder.make(tmp_path / "weights")
    clips.descriptions(tmp_path / "d.jsonl", *(f"a{number}" for number in range(6)))
    flags = ("--generator=cogvideox", f"--descriptions={tmp_path / 'd.jsonl'}", f"--weights={weights}", "--steps=40")
    whole, out = tmp_path / "whole", tmp_path / "set"
    done = run("generate", *flags, f"--out={whole}", "--stepped")
    assert done.returncode == 0 and f"6 clips made: {whole}" in done.stdout and "6/6" in done.stderr
    process = subprocess.Popen(command("generate", *flags, f"--out={out}", "--stepped"), stderr=subprocess.DEVNULL)
    for _ in range(5000):
        if list((out / ".unfinished").glob("*.safetensors")) or process.poll() is not None:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists(), "the run had ended before it was killed"
    done = run("generate", *flags, f"--out={out}", "--stepped")
    assert done.returncode == 0 and "were there" in done.stdout
    assert digests(out) == digests(whole) and (out / "preview-00005.png").exists()
