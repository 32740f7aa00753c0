"""A run as a user makes it: train, go on, be killed, be refused, evaluate elsewhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax import detectors, main
from gvvad_jax.training import checkpoints, loop
from tests.evaluation import cases
from tests.training import toys

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> Path:
    return toys.write_set(tmp_path_factory.mktemp("main") / "set")


@pytest.fixture(scope="module")
def trained(features, tmp_path_factory):
    """A finished run: its folder, config and summary."""
    folder = tmp_path_factory.mktemp("main") / "W"
    config = toys.config(features, data__validation=0.2)
    return folder, config, main.run(config, folder)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    return safetensors.numpy.load_file(folder / "bundle" / "model.safetensors")


def command(folder: Path, *arguments: str) -> list[str]:
    program = [sys.executable, "-m", "gvvad_jax.main", "--config=configs/base.py", f"--workdir={folder}"]
    return [*program, *arguments]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_run_leaves_what_it_promises(trained):
    folder, _, summary = trained
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "metrics.jsonl", "checkpoints", "bundle", "scores.npz", "report.html"} <= names
    assert {"summary.json", "roc.png", "curves"} <= names and any(n.startswith("events.out.tfevents") for n in names)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert [row["step"] for row in rows(folder)] == list(range(1, 13))
    for row in rows(folder):
        assert row.keys() == {"step", "loss", "classification", "lambda", "steps_per_second"}
        assert row["loss"] == pytest.approx(row["classification"])
    with np.load(folder / "scores.npz") as scores:
        assert len([name for name in scores if name.startswith("scores/")]) == 8


def test_the_summary_says_what_was_done(trained, features):
    _, _, summary = trained
    assert summary["schema"] == 1 and summary["dataset"] == summary["trained_on"] == "toy"
    assert (summary["detector"], summary["variant"], summary["seed"], summary["step"]) == ("linear", "plain", 0, 12)
    assert summary["ssls"] == {
        "mode": "per_sample",
        "weight": 0.5,
        "schedule": None,
        "reduction": "mean",
        "learnable": None,
        "final": None,
    }
    assert summary["counts"] == {
        "real_normal": 5,
        "real_anomalous": 5,
        "synthetic_normal": 2,
        "synthetic_anomalous": 2,
        "test": 8,
    }
    assert summary["rule"] == "last" and summary["metrics"].keys() == {"last", "validation", "best_on_test"}
    for figures in summary["metrics"].values():
        assert {"auc", "ap", "ap_trapezoid", "auc_anomalous", "far_normal", "per_class", "interval"} <= figures.keys()
    best = summary["metrics"]["best_on_test"]
    assert best["auc"] >= summary["metrics"]["last"]["auc"] and best["step"] in (4, 8, 12)
    assert {"frame_difference", "video_label", "time_position"} <= summary["baselines"].keys()
    assert list(summary["inputs"]) == [str(features)]


def test_the_bundle_scores_as_the_run_did(trained, features):
    from gvvad_jax import evaluation, records

    folder, _, _ = trained
    detector, described = detectors.bundle.load(folder / "bundle")
    assert described["extraction"] == {"name": "toy"} and described["provenance"]["step"] == 12
    reader = records.reader(features, where=lambda row: row["split"] == "test")
    with np.load(folder / "scores.npz") as scores:
        for id, found in evaluation.score_set(detector, reader).items():
            frames = evaluation.frame_scores(found.scores, len(scores[f"scores/{id}"]))
            np.testing.assert_allclose(scores[f"scores/{id}"], frames, atol=1e-6)


def test_a_second_call_changes_nothing_and_more_steps_go_on(trained, features, tmp_path):
    folder, config, summary = trained
    before, log = weights(folder), rows(folder)
    assert main.run(config, folder) == summary
    assert all(np.array_equal(x, before[name]) for name, x in weights(folder).items()) and rows(folder) == log
    short = toys.config(features, steps=8)
    main.run(short, tmp_path / "grown")
    short.steps = 12
    main.run(short, tmp_path / "grown")
    main.run(toys.config(features), tmp_path / "whole")
    grown, whole = weights(tmp_path / "grown"), weights(tmp_path / "whole")
    assert all(np.array_equal(x, whole[name]) for name, x in grown.items())
    assert [r["loss"] for r in rows(tmp_path / "grown")] == [r["loss"] for r in rows(tmp_path / "whole")]


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(features, tmp_path):
    changes = {
        "detector": "rtfm",
        "steps": 120,
        "batch": 4,
        "data__segments": 8,
        "checkpoint__every": 20,
        "eval__every": 40,
        "data__validation": 0.3,
        "optimizer__learning_rate": 1e-3,
    }
    arguments = [f"--config.{name.replace('__', '.')}={value}" for name, value in changes.items()]
    killed = subprocess.Popen(
        command(tmp_path / "killed", f"--config.data.features={features}", *arguments),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while (checkpoints.latest(tmp_path / "killed" / "checkpoints") or 0) < 40:
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    done = len((tmp_path / "killed" / "metrics.jsonl").read_text().splitlines())
    assert 40 <= done < 120
    config = toys.config(features, **changes)
    summary = main.run(config, tmp_path / "killed")
    assert main.run(config, tmp_path / "whole") == summary
    a, b = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(np.array_equal(a[name], b[name]) for name in b)
    losses = [[(row["step"], row["loss"]) for row in rows(tmp_path / name)] for name in ("killed", "whole")]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == list(range(1, 121))


@pytest.mark.slow
def test_sigterm_saves_and_ends_and_the_next_call_goes_on(features, tmp_path):
    arguments = [f"--config.data.features={features}", "--config.detector=linear", "--config.batch=4"]
    arguments += ["--config.steps=200000", "--config.checkpoint.every=0", "--config.eval.every=0"]
    process = subprocess.Popen(
        command(tmp_path / "W", *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = tmp_path / "W" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while not log.exists() or log.read_text().count("\n") < 20:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143 and "run the same command again to go on" in error
    step = checkpoints.latest(tmp_path / "W" / "checkpoints")
    assert step == rows(tmp_path / "W")[-1]["step"] >= 20


def test_a_nan_ends_the_run_and_keeps_the_last_good_checkpoint(features, tmp_path):
    config = toys.config(features, optimizer__learning_rate=1e38, checkpoint__every=1)
    with pytest.raises(
        loop.NotFinite, match=r"step \d+: .*videos of its batch: train-n.*checkpoint of step \d+ is kept"
    ):
        main.run(config, tmp_path / "W")
    assert checkpoints.latest(tmp_path / "W" / "checkpoints") == rows(tmp_path / "W")[-1]["step"] - 1
    assert not (tmp_path / "W" / "bundle").exists()


def test_another_config_on_the_same_folder_is_refused_by_its_keys(trained, features):
    folder, _, _ = trained
    changed = toys.config(features, data__validation=0.2, ssls__weight=0.1, steps=10)
    with pytest.raises(ValueError, match=r"another config: ssls.weight \(0.5 -> 0.1\), steps \(12 -> 10\)"):
        main.run(changed, folder)


def test_several_seeds_have_folders_and_a_joint_summary(features, tmp_path):
    joint = main.run(toys.config(features, seeds=2, seed=3, steps=4), tmp_path)
    single = [json.loads((tmp_path / f"seed-{seed}" / "summary.json").read_text()) for seed in (3, 4)]
    assert joint == json.loads((tmp_path / "summary.json").read_text()) and joint.keys() == single[0].keys()
    values = [summary["metrics"]["last"]["auc"] for summary in single]
    assert joint["metrics"]["last"]["auc"]["values"] == values and values[0] != values[1]
    assert joint["metrics"]["last"]["auc"]["mean"] == pytest.approx(np.mean(values))
    alone = main.run(toys.config(features, seed=4, steps=4), tmp_path / "alone")
    assert alone["metrics"] == single[1]["metrics"], "a seed of several is a run of its own"
    with pytest.raises(ValueError, match=r"seeds \(2 -> 1\)"):
        main.run(toys.config(features, seed=3, steps=4), tmp_path)
    with pytest.raises(FileNotFoundError, match=f"holds 2 runs; evaluate one of them: --workdir={tmp_path}/seed-3"):
        main.run(toys.config(features, mode="evaluate"), tmp_path)


def test_another_set_is_evaluated_beside_the_run(trained, features, tmp_path):
    folder, config, _ = trained
    other = toys.write_set(tmp_path / "other", seed=5, dataset="elsewhere")
    evaluated = toys.config(features, mode="evaluate", data__test=str(other))
    summary = main.run(evaluated, folder)
    assert (folder / "eval" / "elsewhere" / "summary.json").exists()
    assert summary["dataset"] == "elsewhere" and summary["trained_on"] == "toy" and summary["step"] == 12
    assert summary["metrics"]["last"]["auc"] is not None
    again = main.run(
        toys.config("", mode="evaluate", data__test=str(other), init=str(folder / "bundle")), tmp_path / "V"
    )
    assert again["metrics"] == summary["metrics"]
    with pytest.raises(FileNotFoundError, match="has no bundle to evaluate"):
        main.run(evaluated, tmp_path / "nothing")


def test_a_bundle_may_be_the_start_and_keeps_its_input_statistics(trained, features, tmp_path):
    folder, _, _ = trained
    main.run(toys.config(features, init=str(folder / "bundle"), steps=1, optimizer__learning_rate=0.0), tmp_path / "W")
    start, end = weights(folder), weights(tmp_path / "W")
    assert all(np.array_equal(x, end[name]) for name, x in start.items())


@pytest.mark.parametrize("rule", ["validation", "best_on_test"])
def test_the_headline_may_follow_another_rule(features, tmp_path, rule):
    config = toys.config(features, checkpoint__rule=rule, data__validation=0.3)
    summary = main.run(config, tmp_path)
    assert summary["rule"] == rule and summary["step"] == summary["metrics"][rule]["step"]
    _, described = detectors.bundle.load(tmp_path / "bundle")
    assert described["provenance"]["rule"] == rule and described["provenance"]["step"] == summary["step"]


def test_without_test_videos_there_is_a_bundle_and_no_metrics(tmp_path):
    features = toys.write_set(tmp_path / "set", test=False)
    summary = main.run(toys.config(features, steps=2), tmp_path / "W")
    assert set(summary["metrics"].values()) == {None} and (tmp_path / "W" / "bundle" / "config.json").exists()
    assert "no test videos: metrics are null" in summary["notes"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mode": "test"}, "mode is 'test'; choose one of train, evaluate"),
        ({"data__features": ""}, "data.features is empty"),
        ({"data__features": "/nowhere"}, "/nowhere does not exist"),
        ({"detector": "lap9"}, "detector 'lap9' does not exist"),
        ({"variant": "best"}, "linear has no variant 'best'"),
        ({"switches__margin": 5.0}, "linear plain has no switch 'margin'"),
        ({"losses__magnitude": 5.0}, "linear has no loss term 'magnitude'"),
        ({"checkpoint__rule": "validation"}, "set data.validation above 0"),
        ({"checkpoint__rule": "first"}, "checkpoint.rule is 'first'"),
        ({"ssls__mode": "paper"}, "SSLS mode 'paper'"),
        ({"ssls__mode": "official_batch_scalar", "data__sampler": "shuffled"}, "needs data.sampler=paired"),
        ({"ssls__schedule": "linear"}, "ssls.schedule is 'linear'"),
        ({"steps": 0}, "steps is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"eval__every": -1}, "eval.every is -1"),
        ({"optimizer__learning_rate": float("nan")}, "optimizer.learning_rate is nan"),
        ({"data__segments": 0}, "data.segments is 0"),
        ({"data__validation": 1.5}, "data.validation is 1.5"),
        ({"data__selection": "/nowhere.jsonl"}, "nowhere.jsonl"),
        ({"eval__tail": "round"}, "tail"),
        ({"detector": "rtfm", "data__sampler": "shuffled"}, "needs data.sampler=paired"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_writes_nothing(features, tmp_path, changes, sentence):
    config = toys.config(features, **changes)
    with pytest.raises((ValueError, OSError), match=sentence):
        main.run(config, tmp_path / "W")
    assert not (tmp_path / "W").exists()


def test_labels_and_lengths_that_do_not_fit_are_refused_before_training(features, tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(100))
    np.savez(tmp_path / "other.npz", unheard=np.zeros(100))
    frames = cases.features(tmp_path / "frames", crops=2, width=16, encoder={"name": "toy"}, num_frames=5000)
    bare = cases.features(tmp_path / "bare", crops=2, width=16, encoder={"name": "toy"}, intervals=None)
    for changes, sentence in (
        ({"eval__labels": str(tmp_path / "flat.npy")}, "give the list of its videos"),
        ({"eval__labels": str(tmp_path / "other.npz")}, r"none of its 1 names \(unheard\) is a video here"),
        ({"data__test": str(frames.path)}, "v00: .* snippet scores but 5,000 frames"),
        ({"data__test": str(bare.path), "checkpoint__rule": "best_on_test"}, "marked anomalous frames"),
    ):
        with pytest.raises(ValueError, match=sentence):
            main.run(toys.config(features, **changes), tmp_path / "W")
        assert not (tmp_path / "W").exists()


def test_a_set_that_changed_is_not_gone_on_with(tmp_path):
    main.run(toys.config(toys.write_set(tmp_path / "set"), steps=4), tmp_path / "W")
    before = (tmp_path / "W" / "summary.json").read_text()
    shutil.rmtree(tmp_path / "set")
    config = toys.config(toys.write_set(tmp_path / "set", seed=1), steps=8)
    with pytest.raises(ValueError, match=f"{tmp_path}/set changed since the run in {tmp_path}/W began"):
        main.run(config, tmp_path / "W")
    assert (tmp_path / "W" / "summary.json").read_text() == before


def test_the_command_refuses_in_one_line_with_status_2(features, tmp_path):
    for arguments, sentence in (
        (["--config.nope=1"], "the config has no key 'nope'"),
        (["--config.ssls.wieght=1"], "the config has no key 'wieght' (did you mean weight?)"),
        (["--config.data.features=/nowhere"], "/nowhere does not exist"),
        (["--config=configs/nope.py"], "error: --config=configs/nope.py: there is no file 'configs/nope.py'; "),
        (["--config=configs/ped2.py:det=rtfm"], "config argument 'det=rtfm' is not one of detector="),
        (["--config=README.md"], "SyntaxError: "),
    ):
        done = call(tmp_path / "W", *arguments)
        assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert len(done.stderr) < 300
        assert not (tmp_path / "W").exists()


@pytest.mark.slow
def test_the_command_trains_and_prints_the_figures_last(features, tmp_path):
    arguments = [
        f"--config.data.features={features}",
        "--config.detector=linear",
        "--config.batch=4",
        "--config.steps=8",
        "--config.data.segments=8",
    ]
    done = call(tmp_path / "W", *arguments)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "W" / "summary.json").read_text())["metrics"]["last"]
    last = done.stdout.splitlines()[-2:]
    assert last == [f"frame AUC {summary['auc']:.4f}", f"anomalous only {summary['auc_anomalous']:.4f}"]
    done = call(tmp_path / "V", *arguments, "--config.optimizer.learning_rate=1e38")
    assert done.returncode == 1 and "videos of its batch" in done.stderr
