import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax import detectors
from gvvad_jax.training import state as states


@pytest.fixture
def detector():
    return detectors.create("rtfm", detectors.Inputs(8), normalise="standardise")


def test_names_and_arrays_are_those_of_the_bundle(detector):
    _, params, rest = states.split(detector)
    want = detectors.bundle.arrays(detector)
    assert (params | rest).keys() == want.keys() and not params.keys() & rest.keys()
    assert all(np.array_equal(array, want[name]) for name, array in (params | rest).items())
    assert "network.fc1.kernel" in params and "network.transform.shift" in rest


def test_a_rebuilt_detector_scores_the_same_and_writes_its_own_statistics(detector):
    detector.fit_inputs([np.random.default_rng(0).normal(size=(20, 8))])
    structure, params, rest = states.split(detector)
    again = structure.detector(params, rest)
    visual = np.random.default_rng(1).normal(size=(2, 3, 6, 8)).astype(np.float32)
    assert np.array_equal(detectors.scores(again, visual), detectors.scores(detector, visual))
    before = {name: np.array(x) for name, x in rest.items()}
    again(jnp.asarray(visual)[None], None, jnp.ones((1, 2, 6), bool), statistics="batch")
    moved = states.split(again)[2]
    assert any(not np.array_equal(moved[name], before[name]) for name in before)
    assert all(np.array_equal(states.split(detector)[2][name], before[name]) for name in before)
    states.update(detector, moved)
    assert all(np.array_equal(states.split(detector)[2][name], moved[name]) for name in before)


def test_every_number_that_a_sweep_may_vary_is_a_leaf(detector):
    _, state = states.create(detector, synthetic_weight=0.5, learning_rate=1e-3, weight_decay=5e-3)
    assert {name: float(x) for name, x in state.numbers.items()} == pytest.approx(
        {
            "synthetic_weight": 0.5,
            "learning_rate": 1e-3,
            "weight_decay": 5e-3,
            "losses.classification": 1.0,
            "losses.magnitude": 1e-4,
        }
    )
    assert states.coefficients(state.numbers).keys() == {"classification", "magnitude"}
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(state))
