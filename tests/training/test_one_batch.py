import numpy as np
import pytest

from gvvad_jax import detectors, training


@pytest.fixture
def visual():
    return np.random.default_rng(0).normal(size=(4, 2, 6, 8)).astype(np.float32)


def rtfm():
    return detectors.create("rtfm", detectors.Inputs(8))


def test_terms_sum_to_the_loss_and_every_parameter_has_a_gradient(visual):
    detector = rtfm()
    result = training.loss_and_gradients(detector, visual, synthetic=[0, 1, 0, 1])
    assert sum(result.terms.values()) == pytest.approx(result.loss, rel=1e-6)
    arrays = detectors.to_official(detector)
    assert all(result.gradients[name].shape == arrays[name].shape for name in result.gradients)
    assert arrays.keys() - result.gradients.keys() == {n for n in arrays if n.endswith(("mean", "var", "tracked"))}


def test_gradients_are_those_of_finite_differences(visual):
    detector = rtfm()
    options = {"synthetic": [0, 1, 0, 1], "synthetic_weight": 0.25, "statistics": "frozen"}
    result = training.loss_and_gradients(detector, visual, **options)
    kernel = detector.network.fc2.kernel
    start, gradient = np.array(kernel[...]), result.gradients["fc2.weight"].T
    # Along the gradient, far enough for float32 to see and too near for another segment to be chosen.
    size = np.linalg.norm(gradient)
    values = []
    for sign in (1, -1):
        kernel[...] = start + sign * 1e-3 / size**2 * gradient
        values.append(training.loss_and_gradients(detector, visual, **options).loss)
    assert values[0] - values[1] == pytest.approx(2e-3, rel=1e-2)


def test_batch_statistics_are_updated_in_place_and_frozen_ones_are_not(visual):
    detector = rtfm()
    before = detectors.bundle.arrays(detector)
    frozen = training.loss_and_gradients(detector, visual, statistics="frozen")
    assert all(np.array_equal(x, before[name]) for name, x in detectors.bundle.arrays(detector).items())
    learnt = training.loss_and_gradients(detector, visual, statistics="batch")
    after = detectors.bundle.arrays(detector)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved and all(name.endswith((".mean", ".var", ".batches")) for name in moved)
    assert frozen.loss != learnt.loss


def test_modes_differ_as_the_paper_and_the_program_do(visual):
    losses = {
        mode: training.loss_and_gradients(
            rtfm(), visual, synthetic=[0, 1, 0, 1], ssls=mode, synthetic_weight=0.5, statistics="frozen"
        ).loss
        for mode in ("per_sample", "official_batch_scalar", "off")
    }
    assert losses["official_batch_scalar"] == pytest.approx(0.75 * losses["off"], rel=1e-6)
    assert losses["per_sample"] not in (losses["off"], losses["official_batch_scalar"])


def test_adam_goes_on_from_its_state_and_leaves_parameters_without_gradients(visual):
    detector = rtfm()
    gradients = training.loss_and_gradients(detector, visual).gradients
    start = detectors.to_official(detector)
    some = {"fc1.weight": gradients["fc1.weight"]}
    once, state = training.adam_step(detector, some, learning_rate=0.1, weight_decay=0.0)
    twice, state = training.adam_step(once, some, learning_rate=0.1, weight_decay=0.0, state=state)
    assert int(state.count) == 2
    for name, array in detectors.to_official(twice).items():
        assert np.array_equal(array, start[name]) == (name != "fc1.weight"), name
    assert np.array_equal(detectors.to_official(detector)["fc1.weight"], start["fc1.weight"])
    chosen = np.abs(some["fc1.weight"]) > 1e-4
    moved = start["fc1.weight"] - detectors.to_official(twice)["fc1.weight"]
    np.testing.assert_allclose(moved[chosen], 0.2 * np.sign(some["fc1.weight"][chosen]), rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"visual": np.zeros((3, 1, 4, 8), np.float32)}, "visual holds 3 videos"),
        ({"visual": np.zeros((4, 1, 4, 7), np.float32)}, "7 columns wide, but this rtfm was made for 8"),
        ({"synthetic": [0, 1]}, r"synthetic holds \[0, 1\]"),
        ({"synthetic": [0, 1, 2, 0]}, "give a 0 or 1"),
        ({"ssls": "both"}, "SSLS mode 'both'"),
        ({"synthetic_weight": -0.5}, "synthetic_weight is -0.5"),
        ({"statistics": "running"}, "statistics is 'running'"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(visual, change, sentence):
    arguments = {"visual": visual} | change
    with pytest.raises(Exception, match=sentence if "statistics" not in change else "statistics"):
        training.loss_and_gradients(rtfm(), **arguments)


def test_a_gradient_of_no_parameter_is_refused():
    with pytest.raises(ValueError, match=r"1 released names belong to no part of this rtfm \(fc9.weight\)"):
        training.adam_step(rtfm(), {"fc9.weight": np.zeros(3)})


def test_a_gradient_of_another_shape_is_refused_and_not_broadcast():
    gradient = {"fc1.weight": np.zeros((512, 1), np.float32)}
    with pytest.raises(ValueError, match=r"fc1.kernel \[1, 512\] for \[8, 512\]"):
        training.adam_step(rtfm(), gradient)
