"""The chain refuses what it cannot do before anything is written, skips what is done, and trains without and with."""

import json

import pytest

from configs import quickstart
from gvvad_jax import pipeline, records
from tests.training import toys


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda c: c.data.update(features="set"), "makes its own features"),
        (lambda c: c.pipeline.update(generator="dreams"), "has scenes alone"),
        (lambda c: c.pipeline.update(real=0), "give 1 or more"),
        (lambda c: c.pipeline.update(crops="nine"), "nine"),
        (lambda c: c.pipeline.update(tiles=("5x3",)), "give columns and rows"),
        (lambda c: c.update(detector="lap9"), "detector 'lap9' does not exist"),
        (lambda c: c.checkpoint.update(rule="first"), "checkpoint.rule is 'first'"),
        (lambda c: c.eval.update(tail="round"), "tail='round'"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_written(tmp_path, change, sentence):
    config = quickstart.get_config()
    change(config)
    with pytest.raises(ValueError, match=sentence):
        pipeline.run(config, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_stage_whose_manifest_is_there_is_not_made_again(tmp_path, capsys):
    made = []
    stages = [pipeline.Stage(name, tmp_path / name, lambda out: made.append(out.name) or "made") for name in "ab"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "manifest.json").write_text("{}")
    pipeline.make(stages)
    assert made == ["b"]
    (tmp_path / "a" / "errors.jsonl").write_text("{}")  # a video failed, and the run ended there
    assert not stages[0].is_done
    assert capsys.readouterr().out.splitlines()[:2] == [f"done   a: {tmp_path}/a", f"to do  b: {tmp_path}/b"]


def test_sets_that_a_killed_chain_left_are_not_taken_for_those_of_other_settings(tmp_path, monkeypatch):
    def killed(chain):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "make", killed)
    config = quickstart.get_config()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(config, tmp_path / "w")
    config.pipeline.real = 4
    with pytest.raises(ValueError, match=r"pipeline.real \(10 -> 4\)"):
        pipeline.run(config, tmp_path / "w")


def made(chain):
    """What the stages would leave: real and generated training videos apart, test videos with the real ones."""
    whole = records.reader(toys.write_set(chain[0].out))
    for stage, synthetic in ((chain[1], 0), (chain[3], 1)):
        with records.writer(stage.out, kind="feature", shards=1) as writer:
            for record in whole:
                if record.synthetic == synthetic:
                    writer.add(record)


@pytest.mark.parametrize("seeds", [1, 2])
def test_summary_and_page_show_what_training_without_generated_clips_gives(tmp_path, monkeypatch, capsys, seeds):
    monkeypatch.setattr(pipeline, "make", made)
    found = pipeline.run(toys.config("", mode="pipeline", steps=4, seeds=seeds), tmp_path)
    alone = json.loads((tmp_path / "real_only" / "summary.json").read_text())
    wanted = {key: alone["metrics"]["last"][key] for key in ("auc", "auc_anomalous")}
    assert "real_only" not in alone and "synthetic" not in str(list(alone["inputs"]))
    assert found["real_only"] == json.loads((tmp_path / "summary.json").read_text())["real_only"] == wanted
    for seed in range(seeds):
        place = tmp_path / f"seed-{seed}" if seeds > 1 else tmp_path
        own = json.loads((place / "summary.json").read_text())
        other = tmp_path / "real_only" / place.relative_to(tmp_path) / "summary.json"
        assert own["real_only"]["auc"] == json.loads(other.read_text())["metrics"]["last"]["auc"]
        page = (place / "report.html").read_text()
        assert "without generated clips" in page and f"{own['real_only']['auc']:.4f}" in page
    mean = wanted["auc"] if seeds == 1 else wanted["auc"]["mean"]
    assert f"real only: {mean:.4f} over all videos" in capsys.readouterr().out
