"""λ in whole runs: learnt, gone on with, written down, refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax import detectors, main
from tests.training import toys


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> Path:
    return toys.write_set(tmp_path_factory.mktemp("ssls") / "set")


def lambdas(folder):
    return [json.loads(line)["lambda"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("learnable", "mode"), [("plain", "official_batch_scalar"), ("plain", "per_sample"), ("bounded", "per_sample")]
)
def test_a_run_with_a_learnt_lambda_goes_on_bit_for_bit(features, tmp_path, learnable, mode):
    config = toys.config(features, steps=8, ssls__learnable=learnable, ssls__mode=mode)
    main.run(config, tmp_path / "grown")
    config.steps = 12
    grown = main.run(config, tmp_path / "grown")
    whole = main.run(config, tmp_path / "whole")
    found = lambdas(tmp_path / "whole")
    assert lambdas(tmp_path / "grown") == found and len(found) == 12
    assert found[0] == pytest.approx(0.5) and len(set(found)) == 12
    assert grown["ssls"] == whole["ssls"] and whole["ssls"]["learnable"] == learnable
    # The last step's own move follows the λ that it logged.
    assert whole["ssls"]["final"] not in found and abs(whole["ssls"]["final"] - found[-1]) <= 0.0201
    files = [
        safetensors.numpy.load_file(tmp_path / name / "bundle" / "model.safetensors") for name in ("grown", "whole")
    ]
    assert files[0].keys() == files[1].keys() and all(np.array_equal(x, files[1][name]) for name, x in files[0].items())
    _, described = detectors.bundle.load(tmp_path / "whole" / "bundle")
    assert described["provenance"]["ssls"] == whole["ssls"]


def test_a_scheduled_lambda_is_logged_and_the_rest_is_written_down(features, tmp_path):
    config = toys.config(features, steps=10, ssls__schedule="cosine", ssls__weight=0.8, ssls__reduction="sum")
    summary = main.run(config, tmp_path)
    found = lambdas(tmp_path)
    assert found[0] == pytest.approx(0.8) and found[-1] == pytest.approx(0, abs=1e-6)
    assert (summary["ssls"]["schedule"], summary["ssls"]["reduction"]) == ("cosine", "sum")


def test_lambda_zero_trains(features, tmp_path):
    main.run(toys.config(features, steps=2, ssls__weight=0.0), tmp_path)
    assert lambdas(tmp_path) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ssls__weight": -0.5}, "ssls.weight is -0.5; give a constant λ of 0 or more"),
        ({"ssls__learnable": "plain", "ssls__mode": "off"}, "λ is in no loss and has no gradient"),
        ({"ssls__learnable": "bounded", "ssls__weight": 2.5}, "a bounded λ starts strictly between 0 and 2"),
        ({"ssls__learnable": "yes"}, "ssls.learnable is 'yes'; choose one of plain, bounded, or None"),
        ({"ssls__reduction": "total"}, "ssls.reduction is 'total'; choose one of mean, sum"),
        ({"detector": "rtfm", "variant": "official", "ssls__learnable": "plain"}, "with ssls.mode=off λ is in no loss"),
    ],
)
def test_what_lambda_cannot_be_is_one_sentence_and_writes_nothing(features, tmp_path, changes, sentence):
    config = toys.config(features, **{"data__segments": 32} | changes)
    with pytest.raises(ValueError, match=sentence):
        main.run(config, tmp_path / "W")
    assert not (tmp_path / "W").exists()
