import json

import pytest

from gvvad_jax.training import log as logs


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_cuts_the_file_back_to_its_checkpoint(tmp_path):
    log = logs.Log(tmp_path, 0)
    for number in range(1, 8):
        log.step(number, {"loss": number / 2})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')
    log = logs.Log(tmp_path, 5)
    log.step(6, {"loss": 30.0})
    log.close()
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in rows(tmp_path)][4:] == [2.5, 30.0]


def test_a_run_that_starts_anew_keeps_nothing(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    logs.Log(tmp_path, 0).close()
    assert rows(tmp_path) == []


def test_the_rate_is_a_mean_and_leaves_pauses_out(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(logs.time, "perf_counter", lambda: now[0])
    log = logs.Log(tmp_path, 0)
    for number in range(1, 5):
        now[0] += 0.5
        log.step(number, {"loss": 1.0})
    now[0] += 100
    log.start_clock()
    now[0] += 0.25
    log.step(5, {"loss": float("nan")})
    log.close()
    assert [row["steps_per_second"] for row in rows(tmp_path)] == pytest.approx([2, 2, 2, 2, 4])
    assert rows(tmp_path)[-1]["loss"] is None


def test_tensorboard_gets_the_same_names(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "TENSORBOARD_EVERY", 1)
    log = logs.Log(tmp_path, 0)
    log.step(1, {"loss": 0.5, "classification": 0.5})
    log.figures(1, {"eval/auc_test": 0.75, "eval/video_auc_validation": None})
    log.close()
    (event,) = tmp_path.glob("events.out.tfevents.*")
    data = event.read_bytes()
    assert b"train/classification" in data and b"eval/auc_test" in data and b"video_auc" not in data
