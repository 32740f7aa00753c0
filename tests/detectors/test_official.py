"""Released checkpoints: read strictly, without torch, and written back."""

import numpy as np
import pytest

from gvvad_jax import detectors
from gvvad_jax.detectors import official
from tests.detectors import cases
from tests.weights import written

CASES = [("lap", "concat"), ("lap", "add_up"), ("tevad", "add"), ("tevad", "product"), ("rtfm", None)]
by_name = pytest.mark.parametrize(("name", "fusion"), CASES)


def made(name, fusion, **more):
    switches = {} if fusion is None else {"fusion": fusion}
    return cases.detector(name, "gvvad", **switches | more)


def load(path, name, fusion):
    switches = {} if fusion is None else {"fusion": fusion}
    return detectors.load(name, path, cases.inputs(name), "gvvad", **switches)


@by_name
@pytest.mark.parametrize("write", [written.zipped, written.legacy])
def test_a_checkpoint_goes_in_and_comes_out_again(tmp_path, name, fusion, write):
    tensors = detectors.to_official(made(name, fusion))
    tensors["Aggregate.conv_1.2.num_batches_tracked"] = np.array(17)
    path = written.save(tmp_path / "model.pkl", {f"module.{n}": x for n, x in tensors.items()}, write)
    again = detectors.to_official(load(path, name, fusion))
    assert again.keys() == tensors.keys()
    for key, array in tensors.items():
        np.testing.assert_array_equal(again[key], array)
        assert again[key].dtype == array.dtype


@pytest.mark.parametrize(
    ("name", "fusion", "group", "tensors", "parameters"),
    [
        ("lap", "concat", "both", 88, 7_496_513),
        ("lap", "add", "both", 90, 7_693_889),
        ("lap", "product", "both", 90, 7_693_889),
        ("lap", "add_up", "both", 92, 9_858_881),
    ],
)
def test_published_sizes_at_768(name, fusion, group, tensors, parameters):
    arrays = detectors.to_official(detectors.create(name, detectors.Inputs(768, 768), "official", fusion=fusion))
    assert len(arrays) == tensors
    counted = [x for n, x in arrays.items() if not n.endswith(("running_mean", "running_var", "tracked"))]
    assert sum(x.size for x in counted) == parameters
    assert arrays["Aggregate_text.non_local.W.0.weight"].shape == (192, 96, 1)
    assert arrays["fc1.weight"].shape == (512, {"concat": 1536, "add_up": 1536}.get(fusion, 768))


def test_released_names_come_in_the_order_of_a_state_dict():
    names = list(detectors.to_official(made("lap", "add_up")))
    assert list(dict.fromkeys(name.split(".")[0] for name in names)) == [
        *("Aggregate", "Aggregate_text", "fc_vis", "fc_text", "fc1", "fc2", "fc3")
    ]
    layers = list(dict.fromkeys(name.removeprefix("Aggregate.").rpartition(".")[0] for name in names[:41]))
    assert layers == [
        *("conv_1.0", "conv_1.2", "conv_2.0", "conv_2.2", "conv_3.0", "conv_3.2", "conv_4.0", "conv_5.0", "conv_5.2"),
        *("non_local.g", "non_local.W.0", "non_local.W.1", "non_local.theta", "non_local.phi"),
    ]
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert [name.rpartition(".")[2] for name in names[:7]] == ["weight", "bias", *norm]


def test_layers_that_rtfm_mode_never_uses_are_dropped_and_lambda_is_kept_apart(tmp_path, caplog):
    detector = made("rtfm", None)
    unused = {n: x for n, x in detectors.to_official(made("lap", "concat")).items() if "_text" in n}
    fc0 = {"fc0.weight": np.ones((12, 12), np.float32), "fc0.bias": np.ones(12, np.float32)}
    tensors = {"VLR": np.array(0.25, np.float32)} | detectors.to_official(detector) | unused | fc0
    path = written.save(tmp_path / "model.pkl", tensors)
    with caplog.at_level("WARNING", "absl"):
        again = load(path, "rtfm", None)
    assert "43 tensors that a rtfm never uses are left out (Aggregate_text.*, fc0.*)" in caplog.text
    assert "λ = 0.25" in caplog.text
    assert detectors.to_official(again).keys() == detectors.to_official(detector).keys()
    assert detectors.released_weight(path) == 0.25
    assert detectors.released_weight(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("fc2.bias"), "lacks 1 tensors of this lap (fc2.bias)"),
        (lambda t: t.update(fc0=np.zeros(3, np.float32)), "has, unknown to it, 1 tensors of this lap (fc0)"),
        (lambda t: t.update({"fc3.bias": np.zeros(2, np.float32)}), "in another shape 1 tensors of this lap (fc3.bias"),
        (lambda t: t.update({"fc3.bias": np.full(1, np.nan, np.float32)}), "NaN or infinite values in 1 tensors"),
        (lambda t: t.update(VLR=np.zeros(2, np.float32)), "VLR has shape [2]"),
    ],
)
def test_what_does_not_fit_is_one_sentence_that_lists_the_difference(tmp_path, change, words):
    tensors = detectors.to_official(made("lap", "concat"))
    change(tensors)
    path = written.save(tmp_path / "model.pkl", tensors)
    with pytest.raises(ValueError) as error:
        load(path, "lap", "concat")
    assert words in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_detector_that_nobody_released_keeps_our_names(tmp_path):
    own = made_linear()
    arrays = detectors.to_official(own)
    assert set(arrays) == {"fc.kernel", "fc.bias"} and official.table_of(own) is None
    path = written.save(tmp_path / "model.pkl", arrays)
    with pytest.raises(ValueError, match="no program released a linear"):
        detectors.load("linear", path, detectors.Inputs(12))


def made_linear():
    return cases.detector("linear")
