"""A detector that reads text, from its sets to its bundle and back; what does not fit is refused before W exists."""

import json

import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax import bags, detectors, main, records
from gvvad_jax.training import texts
from tests.training import toys
from tests.weights import written


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    features = toys.write_set(folder / "set")
    return features, toys.write_text(folder / "set-text", features), toys.write_bank(folder / "bank.npz")


def config(sets, **changes):
    features, text, bank = map(str, sets)
    own = {"detector": "lap", "data__text": text, "data__prompts": bank, "steps": 2, "eval__every": 0, "batch": 2}
    return toys.config(features, **own | changes)


def notes(config):
    """What is said of a config's text, without training."""
    return texts.check(config, bags.open_sets(config.data.features, text=config.data.text))


@pytest.fixture(scope="module")
def trained(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("text") / "W"
    return folder, main.run(config(sets), folder)


def test_lap_trains_on_real_and_generated_videos_and_says_which_variant(trained, sets):
    folder, summary = trained
    assert (summary["detector"], summary["variant"], summary["ssls"]["mode"]) == ("lap", "paper", "per_sample")
    assert summary["switches"]["multi_prompt_by"] == "set_means"
    assert summary["metrics"]["last"]["auc"] is not None
    assert "prompts" in safetensors.numpy.load_file(folder / "bundle" / "model.safetensors")
    described = json.loads((folder / "bundle" / "config.json").read_text())
    named = records.reader(sets[1]).manifest["sentence_encoder"]
    assert described["extraction"]["sentence_encoder"] == named and named["name"]


def test_its_bundle_scores_another_set_with_text(trained, sets, tmp_path):
    folder, summary = trained
    other = toys.write_set(tmp_path / "other", seed=5, dataset="elsewhere")
    text = toys.write_text(tmp_path / "other-text", other, more=-1)
    changes = {"mode": "evaluate", "data__test": str(other), "data__text": str(text)}
    found = main.run(config(sets, **changes), folder)
    assert (found["dataset"], found["trained_on"], found["detector"]) == ("elsewhere", "toy", "lap")
    with pytest.raises(ValueError, match="lap reads text, but data.text is empty"):
        main.run(config(sets, **changes | {"data__text": ""}), folder)
    for more, words in (
        ({"encoder": "another"}, "was made with another, but .*bundle was trained on text of toy"),
        ({"width": 7}, "is 7 columns wide, but .*bundle was trained on text of 6"),
    ):
        text = toys.write_text(tmp_path / "-".join(more), other, **more)
        with pytest.raises(ValueError, match=words):
            main.run(config(sets, **changes | {"data__text": str(text)}), folder)


def test_a_bundle_brings_its_bank_to_text_of_the_same_sentence_encoder(trained, sets, tmp_path):
    changes = {"init": str(trained[0] / "bundle"), "data__prompts": ""}
    assert not notes(config(sets, **changes))
    text = toys.write_text(tmp_path / "text", sets[0], encoder="another")
    with pytest.raises(ValueError, match="the prompts of .*bundle were made with toy, but .*text was made with anoth"):
        main.run(config(sets, **changes, data__text=str(text)), tmp_path / "W")


def test_lap_without_its_prompt_losses_needs_no_bank(sets):
    assert not notes(config(sets, losses__pseudo_anomaly=0.0, losses__multi_prompt=0.0, data__prompts=""))


def test_a_released_checkpoint_is_evaluated_by_its_config_alone(sets, tmp_path):
    made = detectors.create("lap", detectors.Inputs(toys.WIDTH, toys.TEXT), "official", seed=3)
    path = written.save(tmp_path / "lap.pkl", detectors.to_official(made))
    changes = {"mode": "evaluate", "variant": "official", "init": str(path), "data__prompts": ""}
    found = main.run(config(sets, **changes), tmp_path / "W")
    assert found["variant"] == "official" and found["bundle"] == str(path)
    reader, text = records.reader(sets[0]), records.reader(sets[1])
    with np.load(tmp_path / "W" / "eval" / "toy" / "scores.npz") as scores:
        id = next(row["id"] for row in reader.rows if row["split"] == "test")
        record = reader.by_id(id)
        alone = detectors.scores(made, np.swapaxes(record.visual, 0, 1)[None], text.by_id(id).vectors[None])[0]
        np.testing.assert_allclose(scores[f"scores/{id}"][: 16 * len(alone) : 16], alone, atol=1e-6)


def test_a_learnable_lambda_starts_where_the_checkpoint_left_it_and_a_nameless_bank_is_noted(sets, tmp_path):
    bank = toys.write_bank(tmp_path / "bank.npz", encoder="")
    made = detectors.create("lap", detectors.Inputs(toys.WIDTH, toys.TEXT), "official", seed=3)
    tensors = {"VLR": np.array(0.25, np.float32)} | detectors.to_official(made)
    path = written.save(tmp_path / "lap.pkl", tensors)
    changes = {"variant": "official", "init": str(path), "ssls__learnable": "plain", "data__segments": 32, "steps": 1}
    changes |= {"data__prompts": str(bank), "checkpoint__every": 0}
    found = main.run(config(sets, **changes), tmp_path / "W")
    # One step of Adam at rate 0.02, downwards: the loss of synthetic videos and the decay both push there.
    assert found["ssls"]["final"] == pytest.approx(0.25 - 0.02, abs=1e-4)
    assert f"{bank} does not name its sentence encoder" in found["notes"]
    path = written.save(tmp_path / "fallen.pkl", tensors | {"VLR": np.array(-0.5, np.float32)})
    with pytest.raises(ValueError, match=r"the λ \(VLR\) that .*fallen.pkl carries is -0.5, but a bounded λ starts"):
        main.run(config(sets, **changes | {"init": str(path), "ssls__learnable": "bounded"}), tmp_path / "V")


def lacking(sets, folder):
    return {"data__text": str(toys.write_text(folder / "t", sets[0], without=("train-nr0", "test-ar1")))}


def cut(sets, folder):
    return {"data__text": str(toys.write_text(folder / "t", sets[0], more=-4))}


def wide(sets, folder):
    return {"data__prompts": str(toys.write_bank(folder / "b.npz", width=7))}


def other_encoder(sets, folder):
    return {"data__prompts": str(toys.write_bank(folder / "b.npz", encoder="another"))}


def other_pooling(sets, folder):
    return {"data__prompts": str(toys.write_bank(folder / "b.npz", pooling="cls"))}


def other_weights(sets, folder):
    return {"data__prompts": str(toys.write_bank(folder / "b.npz", pooling="pooler", weights_sha256="2" * 64))}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda *_: {"data__text": ""}, "lap reads text, but data.text is empty"),
        (lacking, r"2 of 24 videos have no text in data.text \(train-nr0, test-ar1\); lap reads it: caption them"),
        (cut, "fewer than one sentence vector for two snippets"),
        (wide, "the prompt bank is 7 columns wide, but the text 6"),
        (other_encoder, "were made with another, but .* was made with toy; embed both with one sentence encoder"),
        (other_pooling, "were made with toy of pooling cls, but .* was made with toy of pooling pooler; embed both"),
        (other_weights, "were made with toy of weights_sha256 22.*, but .* with toy of weights_sha256 11"),
        (lambda *_: {"data__prompts": ""}, "lap trains with a prompt bank, but data.prompts is empty"),
        (lambda *_: {"data__text_source": "title"}, "data.text_source is 'title'"),
        (lambda *_: {"data__text_source": "description"}, "no vectors of its description"),
        (
            lambda *_: {"variant": "gvvad", "ssls__mode": "per_sample", "data__segments": 32},
            "no row has a λ of its own",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence_before_w_exists(sets, tmp_path, change, words):
    with pytest.raises(ValueError, match=words) as error:
        main.run(config(sets, **change(sets, tmp_path)), tmp_path / "W")
    assert "\n" not in str(error.value) and not (tmp_path / "W").exists()
