"""tools/filter.py as a user runs it: a set in, a selection and its page out, a mistake in one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax import records
from gvvad_jax.video import encode

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "tools/filter.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three moving clips of each class and a black one."""
    folder, random = tmp_path_factory.mktemp("videos"), np.random.default_rng(0)
    with records.writer(folder / "set", "video", 1) as writer:
        for number in range(7):
            frames = np.repeat(random.integers(60, 200, (1, 15, 20, 3)), 16, 0)
            for t in range(16):
                frames[t, 4:9, t : t + 3] = 250 - 200 * (number % 2)
            frames = frames.astype(np.uint8).repeat(16, 1).repeat(16, 2) * (number < 6)
            writer.add(
                records.Video(
                    id=f"clip{number}",
                    label=number % 2,
                    synthetic=1,
                    split="train",
                    num_frames=16,
                    height=240,
                    width=320,
                    video=encode.mp4(frames),
                )
            )
    return folder / "set"


def test_a_set_becomes_a_selection_and_a_page(videos, tmp_path):
    out = tmp_path / "new" / "selection.jsonl"
    done = run(
        f"--videos={videos}", "--config.filter.rates.anomalous=0.34", "--config.filter.rule=rate", f"--out={out}"
    )
    assert done.returncode == 0, done.stderr
    assert "anomalous: 1 of 3 kept (33%)" in done.stdout and "wrong event: not checked" in done.stdout
    rows = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert not rows["clip6"]["keep"] and any("black" in reason for reason in rows["clip6"]["reasons"])
    assert len(records.reader(videos).select(records.read_selection(out))) == sum(r["keep"] for r in rows.values())
    assert out.with_suffix(".html").read_text().count("data:image/jpeg") == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--config.filter.rule=best"], "thresholds, rate"),
        (["--config.filter.limits.blur=1"], "no key"),
        (["--videos=nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(videos, tmp_path, changes, words):
    done = run(f"--videos={videos}", f"--out={tmp_path / 's.jsonl'}", *changes)
    assert done.returncode == 2 and done.stderr.startswith("error:") and words in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())
