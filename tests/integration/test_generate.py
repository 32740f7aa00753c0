"""tools/generate.py as a user runs it, from descriptions to a set that extraction reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from gvvad_jax import records
from tests.synthesis.generators import clips

ROOT = Path(__file__).parents[2]


def run(tool, *flags):
    command = [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests", timeout=100)


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
