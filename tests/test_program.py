"""A user's mistake is one sentence and status 2, help is status 0, failures are lines and status 1."""

import json
import subprocess
import sys

import pytest

from gvvad_jax import program

PROGRAM = '''
"""Says hello.

    python hello.py --name=you
"""
from absl import flags
from gvvad_jax import program
NAME = flags.DEFINE_string("name", "", "who")
COUNT = flags.DEFINE_integer("count", 1, "how often")
def main(argv):
    if NAME.value == "nobody":
        raise ValueError("nobody is not a name; pass --name=SOMEBODY")
    if NAME.value == "file":
        raise FileNotFoundError("no such file: x.mp4")
    print("hello", NAME.value)
program.run(main)
'''


def start(tmp_path, *flags):
    (tmp_path / "hello.py").write_text(PROGRAM)
    return subprocess.run([sys.executable, str(tmp_path / "hello.py"), *flags], capture_output=True, text=True)


def test_a_bad_flag_or_value_is_one_sentence_and_status_two(tmp_path):
    for flags in (["--nmae=you"], ["--count=many"], ["--name=nobody"], ["--name=file"]):
        done = start(tmp_path, *flags)
        assert done.returncode == 2, (flags, done.stderr)
        assert done.stderr.startswith("error: ") and len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr and done.stdout == ""


def test_help_shows_the_example_and_is_status_zero(tmp_path):
    done = start(tmp_path, "--help")
    assert done.returncode == 0
    assert "python hello.py --name=you" in done.stdout and "--count" in done.stdout


def test_a_good_call_runs(tmp_path):
    done = start(tmp_path, "--name=you")
    assert (done.returncode, done.stdout) == (0, "hello you\n")


def test_failures_are_one_line_each_on_stderr_and_in_the_file(tmp_path, capsys):
    errors = program.Errors(tmp_path / "out" / "errors.jsonl")
    assert errors.status == 0
    errors.add("a.mp4", ValueError("a.mp4: broken\n at frame 3"))
    errors.add("b.mp4", "b.mp4: empty")
    assert errors.status == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "errors.jsonl").read_text().splitlines()]
    assert (
        rows
        == errors.read()
        == [
            {"id": "a.mp4", "error": "a.mp4: broken at frame 3"},
            {"id": "b.mp4", "error": "b.mp4: empty"},
        ]
    )
    errors.add("c.mp4", "too short")
    assert capsys.readouterr().err.splitlines() == ["a.mp4: broken at frame 3", "b.mp4: empty", "c.mp4: too short"]
    errors.clear()
    assert errors.read() == []


def test_a_line_that_a_full_disk_cut_is_named(tmp_path):
    errors = program.Errors(tmp_path / "errors.jsonl")
    errors.path.write_text('{"id": "a\u2028b.mp4", "error": "broken"}\n', encoding="utf-8")
    assert errors.read() == [{"id": "a\u2028b.mp4", "error": "broken"}]
    for line in ('{"id": "b.m', "7", '{"id": "b.mp4"}'):
        errors.path.write_text(f'{{"id": "a.mp4", "error": "broken"}}\n{line}\n')
        with pytest.raises(ValueError, match=r"errors\.jsonl, line 2: not an id and its error; remove the line"):
            errors.read()


def test_progress_says_frames_a_second_and_the_devices_share(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(program.time, "perf_counter", lambda: now[0])
    with program.Progress("extract", videos=2) as progress:
        with progress.device():
            now[0] = 7.0
        now[0] = 8.0
        progress.add(80)
        assert str(progress) == "10 frames/s, device 88 %"
        progress.end()
    assert "1/2" in capsys.readouterr().err
    with program.Progress("extract", videos=2, frames=100) as progress:
        now[0] = 18.0
        progress.add(80)
        assert str(progress) == "", "the bar itself counts frames, and no device was named"
    assert "80/100" in capsys.readouterr().err
    with program.Progress("score", videos=2, prints=True) as progress:
        progress.end()
    assert capsys.readouterr().err == "", "what the program prints is progress enough where nobody watches"
