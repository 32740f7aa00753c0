import json

import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax import detectors
from gvvad_jax.detectors import bundle
from tests.detectors import cases


@pytest.fixture
def saved(tmp_path):
    bundle.save(tmp_path / "bundle", cases.detector("linear"), {"encoder": "x"}, {"auc": 0.9, "data": "ped2"})
    return tmp_path / "bundle"


def test_the_folder_holds_weights_config_and_a_card(saved):
    assert sorted(p.name for p in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((saved / "config.json").read_text())
    assert config["detector"] == "linear" and config["smoothing"] == {"snippets": 5, "causal": False}
    assert config["threshold"] is None and config["provenance"] == {"auc": 0.9, "data": "ped2"}
    assert "| auc | 0.9 |" in (saved / "README.md").read_text()
    names = set(safetensors.numpy.load_file(saved / "model.safetensors"))
    assert {"fc.kernel", "transform.scale", "transform.rows"} <= names
    assert [p.name for p in saved.parent.iterdir()] == ["bundle"]  # no scratch left


def test_a_bundle_is_replaced_and_anything_else_is_left_alone(saved):
    bundle.save(saved, cases.detector("rtfm"))
    assert bundle.load(saved)[0].name == "rtfm"
    (saved.parent / "mine").mkdir()
    (saved.parent / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="exists and is no bundle"):
        bundle.save(saved.parent / "mine", cases.detector("rtfm"))
    assert (saved.parent / "mine" / "thesis.txt").exists()


def test_a_failed_write_leaves_the_old_bundle_whole(saved, monkeypatch):
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    monkeypatch.setattr(bundle, "_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bundle.save(saved, cases.detector("rtfm"))
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before
    assert [p.name for p in saved.parent.iterdir()] == ["bundle"]


def test_unfitted_inputs_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match="never fitted"):
        bundle.save(tmp_path / "b", detectors.create("linear", detectors.Inputs(12)))


def test_missing_unknown_and_misshapen_tensors_are_refused_by_name(saved):
    path = saved / "model.safetensors"
    whole = safetensors.numpy.load_file(path)

    def refused(tensors, words):
        safetensors.numpy.save_file(tensors, path)
        with pytest.raises(ValueError, match=words) as error:
            bundle.load(saved)
        assert "\n" not in str(error.value) and "model.safetensors" in str(error.value)

    refused({k: v for k, v in whole.items() if k != "fc.bias"}, r"1 tensors are missing \(fc.bias\)")
    refused(whole | {"extra": np.zeros(3, np.float32)}, r"1 are unknown \(extra\)")
    refused(whole | {"fc.bias": np.zeros(3, np.float32)}, r"fc.bias has shape \[3\], but this linear needs \[1\]")
    refused(whole | {"fc.bias": np.array([np.nan], np.float32)}, "fc.bias holds NaN")


def test_damaged_and_missing_files_are_named(saved):
    path = saved / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        bundle.load(saved)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        bundle.load(saved)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="is no bundle: it needs config.json and model.safetensors"):
        bundle.load(saved)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', "null"])
def test_a_config_that_is_none_is_refused(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json is no bundle's configuration"):
        bundle.load(saved)


@pytest.mark.parametrize(
    ("key", "value"),
    [("inputs", None), ("inputs", {"visual": "wide"}), ("inputs", {"visual": 3, "blocks": [{"name": "a"}]}),
     ("inputs", {"visual": 3, "blocks": 7}), ("switches", 5), ("switches", ["k"])],
)  # fmt: skip
def test_parts_of_a_config_that_make_no_sense_are_refused(saved, key, value):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ValueError, match="config.json is no bundle's configuration"):
        bundle.load(saved)


def test_another_schema_is_refused(saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"schema": 2}))
    with pytest.raises(ValueError, match="has schema 2, but this version reads 1"):
        bundle.load(saved)


def test_load_refuses_another_detector_another_width_and_released_files(saved, tmp_path):
    with pytest.raises(ValueError, match="holds a linear, not a rtfm"):
        detectors.load("rtfm", saved, detectors.Inputs(12))
    with pytest.raises(ValueError, match="trained on 12 feature columns, not 13"):
        detectors.load("linear", saved, detectors.Inputs(13))
    (tmp_path / "rtfm.pkl").write_bytes(b"x")
    with pytest.raises(ValueError, match="is no file of torch.save"):
        detectors.load("rtfm", tmp_path / "rtfm.pkl", detectors.Inputs(12))
