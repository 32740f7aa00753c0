"""The step and the whole run on other numbers of devices and processes, each in programs of their own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training import toys

ROOT = Path(__file__).parents[2]
SUMMARY = Path(__file__).with_name("step_summary.json")


def start(*arguments: str) -> subprocess.Popen:
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen, status: int = 0) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err[-3000:]
    return out


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(folder: Path, features: Path, *more: str, steps: int = 10) -> subprocess.Popen:
    return start(
        *("-m", "gvvad_jax.main", "--config=configs/base.py", f"--workdir={folder}"),
        *(f"--config.data.features={features}", "--config.batch=8", "--config.data.segments=8"),
        *(f"--config.steps={steps}", "--config.checkpoint.every=5", "--config.eval.every=0"),
        *("--config.switches.normalise=standardise", "--config.data.short=mask"),
        *more,
    )


def pair(folder: Path, features: Path, steps: int = 10) -> list[subprocess.Popen]:
    port = free_port()
    return [
        run(
            folder,
            features,
            "--devices=4",
            f"--coordinator=127.0.0.1:{port}",
            "--num_processes=2",
            f"--process_id={process}",
            steps=steps,
        )
        for process in range(2)
    ]


def losses(folder: Path) -> np.ndarray:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return np.array([[row[k] for k in ("loss", "classification", "magnitude")] for row in rows])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """W of one device (15 steps), of 8 devices and of 2 processes with 4 devices each (10 steps)."""
    folder = tmp_path_factory.mktemp("devices")
    features = toys.write_set(folder / "set")
    end(run(folder / "one", features, steps=15))
    printed = end(run(folder / "eight", features, "--devices=8"))
    first, second = (end(process) for process in pair(folder / "pair", features))
    assert "frame AUC 0." in printed.splitlines()[-2] and "anomalous only 0." in printed.splitlines()[-1]
    assert first.splitlines()[-2:] == printed.splitlines()[-2:] and "AUC" not in second, "process 0 alone prints"
    return folder


@pytest.mark.slow
def test_one_device_eight_and_two_processes_of_four_learn_the_same(runs):
    want = losses(runs / "one")[:10]
    for other in ("eight", "pair"):
        np.testing.assert_allclose(losses(runs / other), want, rtol=1e-5)
        assert (runs / other / "bundle" / "model.safetensors").exists()
        summary = json.loads((runs / other / "summary.json").read_text())
        assert "8 x cpu" in summary["device"] and "laid over 8 devices" in summary["notes"]


@pytest.mark.slow
def test_a_run_goes_on_with_other_devices_and_processes(runs):
    end(run(runs / "pair", runs / "set", "--devices=2", steps=15))
    np.testing.assert_allclose(losses(runs / "pair"), losses(runs / "one"), rtol=1e-5)


@pytest.mark.slow
def test_the_step_is_the_stored_program():
    stored = json.loads(SUMMARY.read_text())
    if stored["jax"] != jax.__version__:
        pytest.skip(f"the stored summary is of jax {stored['jax']}, this is {jax.__version__}")
    found = json.loads(end(start("-m", "tests.training.summarise_step")))
    assert found == stored, "run tests/training/summarise_step.py again if the step is meant to change"
