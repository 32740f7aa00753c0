import dataclasses
import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.losses import ssls
from gvvad_jax.training import scaling
from gvvad_jax.training import state as states
from gvvad_jax.training import step as steps
from tests.training import toys

PAIRS = 4
LEARNT_MODES = ("per_sample", "official_batch_scalar")


@flax.struct.dataclass
class Outputs:
    scores: jax.Array


class Squares(nnx.Module):
    """One number a video, and every kind of row: of one video, of a pair, wholly synthetic pairs, a weighted mean."""

    def __init__(self):
        self.slope = nnx.Param(jnp.array([0.7, -0.4]))

    def coefficients(self):
        return {}

    def __call__(self, visual, text, mask, text_mask=None, *, key=None, statistics="running"):
        return Outputs(scores=visual.mean((2, 3))[..., :2] @ self.slope[...])

    def terms(self, outputs, batch, number, coefficients=None):
        numbers = ssls.flat_numbers(batch.label.shape)
        single = jnp.square(outputs.scores - batch.label - 2)
        pairs = jnp.square(outputs.scores[0] - outputs.scores[1] + 3)
        found = {
            "classification": ssls.Term(single, numbers[..., None], single.size),
            "magnitude": ssls.Term(pairs, jnp.moveaxis(numbers, 0, -1), pairs.size),
        }
        if batch.weight is not None:
            mean = jnp.sum(batch.weight * outputs.scores) / jnp.sum(batch.weight)
            found["multi_prompt"] = ssls.Term(jnp.square(mean - 1)[None], None, 1)
        return found


def batch(seed=0, synthetic=((0, 1, 0, 1), (0, 0, 1, 1))):
    visual = np.random.default_rng(seed).normal(size=(2, PAIRS, 1, 3, 4)).astype(np.float32)
    return dataclasses.replace(toys.batch(PAIRS, 1, 3, 4), visual=visual, synthetic=np.asarray(synthetic, np.int32))


def made(learnable=None, weight=0.5, learning_rate=1e-3, weight_decay=5e-3):
    return states.create(
        Squares(),
        synthetic_weight=weight,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        lambda_parameter=scaling.initial(learnable, weight) if learnable else None,
    )


@functools.cache
def program(mode, learnable=None, reduction="mean", schedule=None, total=1):
    structure, _ = made(learnable)
    return jax.jit(steps.pure(structure, mode, schedule, total, reduction=reduction, learnable=learnable))


def run(state, mode, learnable, count, **changes):
    """λ of each of `count` steps, and the state after them."""
    step, found = program(mode, learnable, **changes), []
    for number in range(count):
        state, metrics = step(state, batch(number), jax.random.key(0))
        found.append(float(metrics["lambda"]))
    return np.array(found), state


@pytest.mark.parametrize("reduction", ssls.REDUCTIONS)
@pytest.mark.parametrize("learnable", scaling.FORMS)
@pytest.mark.parametrize("mode", LEARNT_MODES)
@pytest.mark.parametrize("weight", [0.5, 1.4])
def test_the_gradient_of_lambda_is_the_slope_of_the_loss(mode, learnable, reduction, weight):
    step = program(mode, learnable, reduction)
    _, state = made(learnable, weight, weight_decay=0.0)

    def loss(offset):
        moved = state.params | {states.LAMBDA: state.params[states.LAMBDA] + offset}
        return float(step(dataclasses.replace(state, params=moved), batch(), jax.random.key(0))[1]["loss"])

    after, _ = step(state, batch(), jax.random.key(0))
    gradient = float(after.moments.mu[states.LAMBDA]) / 0.1  # Adam's first mean of gradients
    # Central difference of float32 losses: rounding 1e-6 over the distance, curvature with its square.
    assert gradient == pytest.approx((loss(0.02) - loss(-0.02)) / 0.04, rel=2e-3)
    assert gradient != 0


def test_joint_rows_and_set_means_stay_finite_where_a_learnt_lambda_passes_zero():
    step = program("per_sample", "plain")
    for weight in (1e-3, 0.0, -0.3):
        _, state = made("plain", weight)
        after, metrics = step(state, batch(), jax.random.key(0))
        assert float(metrics["lambda"]) == pytest.approx(weight) and bool(metrics["finite"])
        assert np.isfinite(float(metrics["loss"]))
        # Pairs (0, 4), (1, 5), (2, 6), (3, 7): the wholly synthetic one follows λ, the half synthetic ones a root.
        scores = np.asarray(batch().visual).mean((2, 3))[..., :2] @ np.array([0.7, -0.4])
        rows = np.square(scores[0] - scores[1] + 3)
        half = np.sqrt(max(weight, 1e-3))
        want = (rows[0] + half * rows[1] + half * rows[2] + weight * rows[3]) / 4
        assert float(metrics["magnitude"]) == pytest.approx(want, rel=1e-5)
        assert all(np.isfinite(x).all() for x in after.moments.mu.values())


@pytest.mark.parametrize(("schedule", "number"), [(None, 0), ("cosine", 99)])
@pytest.mark.parametrize("mode", LEARNT_MODES)
def test_lambda_zero_as_a_constant_or_a_schedules_value_gives_finite_gradients(mode, schedule, number):
    _, state = made(weight=0.0 if schedule is None else 0.5)
    state = dataclasses.replace(state, step=jnp.int32(number))
    after, metrics = program(mode, schedule=schedule, total=100)(state, batch(), jax.random.key(0))
    assert float(metrics["lambda"]) == pytest.approx(0, abs=1e-7) and bool(metrics["finite"])
    assert all(np.isfinite(x).all() for x in after.moments.mu.values())


def test_plain_lambda_only_falls_in_the_released_mode_and_passes_zero():
    found, state = run(made("plain", 0.1, learning_rate=0.01)[1], "official_batch_scalar", "plain", 40)
    assert found[0] == pytest.approx(0.1) and (np.diff(found) < 0).all() and found[-1] < -0.1
    # Adam moves it by the learning rate a step at most.
    assert (np.diff(found) > -0.0101).all()
    assert float(scaling.current(state.params, state.numbers, "plain")) < found[-1]


def test_bounded_lambda_stays_between_zero_and_two():
    for weight in (0.1, 1.9):
        found, _ = run(made("bounded", weight, learning_rate=0.5)[1], "official_batch_scalar", "bounded", 60)
        assert found[0] == pytest.approx(weight, rel=1e-6) and (found > 0).all() and (found < 2).all()


def test_decay_moves_the_plain_parameter_and_not_the_bounded_one():
    real = batch(synthetic=np.zeros((2, PAIRS)))
    for learnable, moves in (("plain", True), ("bounded", False)):
        _, state = made(learnable, 0.7)
        after, _ = program("official_batch_scalar", learnable)(state, real, jax.random.key(0))
        assert (float(after.params[states.LAMBDA]) != float(state.params[states.LAMBDA])) == moves


def test_a_sum_is_the_number_of_videos_times_the_mean():
    _, state = made()
    mean = program("per_sample")(state, batch(), jax.random.key(0))[1]
    total = program("per_sample", None, "sum")(state, batch(), jax.random.key(0))[1]
    for name in ("loss", "classification", "magnitude", "multi_prompt"):
        assert float(total[name]) == pytest.approx(2 * PAIRS * float(mean[name]), rel=1e-6)


def test_a_schedule_multiplies_a_learnt_lambda():
    step = program("per_sample", "plain", schedule="official_step", total=1000)
    _, state = made("plain", 0.5)
    metrics = step(dataclasses.replace(state, step=jnp.int32(199)), batch(), jax.random.key(0))[1]
    assert float(metrics["lambda"]) == pytest.approx(0.05, rel=1e-5)


def test_the_detector_knows_nothing_of_a_learnt_lambda():
    structure, state = made("bounded")
    assert states.LAMBDA in state.params and states.LAMBDA in state.moments.mu
    assert "synthetic_weight" not in state.numbers
    assert states.split(structure.detector(state.params, state.rest))[1].keys() == {"slope"}


@pytest.mark.parametrize(
    ("schedule", "number", "factor"),
    [
        (None, 5, 1.0),
        ("official_cosine", 450, 0.5),
        ("official_cosine", 900, 0.0),
        ("official_cosine", 1000, 0.5 * (1 + np.cos(np.pi / 0.9))),
        ("official_step", 199, 1.0),
        ("official_step", 200, 0.1),
        ("official_step", 400, 0.01),
    ],
)
def test_official_schedules_of_lambda_are_the_released_ones(schedule, number, factor):
    got = float(scaling.factor(schedule, jnp.int32(number), 1000))
    assert got == pytest.approx(factor, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("number", [1, 50, 100, 101, 325, 550, 775, 1000])
def test_cosine_warms_up_over_a_tenth_and_ends_at_zero(number):
    want = number / 100 if number <= 100 else 0.5 * (1 + np.cos(np.pi * (number - 100) / 900))
    assert float(scaling.factor("cosine", jnp.int32(number), 1000)) == pytest.approx(want, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("total", [1, 2, 9, 10])
def test_cosine_of_a_few_steps_ends_at_zero(total):
    assert float(scaling.factor("cosine", jnp.int32(total), total)) == pytest.approx(0, abs=1e-6)


PLAIN = {"mode": "per_sample", "weight": 0.5, "reduction": "mean", "schedule": None, "learnable": None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weight": -0.1}, "ssls.weight is -0.1; give a constant λ of 0 or more"),
        ({"weight": float("nan")}, "ssls.weight is nan"),
        ({"weight": float("inf"), "learnable": "plain"}, "ssls.weight is inf; give a finite number"),
        ({"learnable": "free"}, "ssls.learnable is 'free'; choose one of plain, bounded, or None"),
        ({"learnable": "plain", "mode": "off"}, "with ssls.mode=off λ is in no loss and has no gradient"),
        ({"learnable": "bounded", "weight": 2.0}, "a bounded λ starts strictly between 0 and 2"),
        ({"learnable": "bounded", "weight": -0.1, "origin": "the λ of a.pkl"}, "the λ of a.pkl is -0.1, but a bounded"),
        ({"learnable": "bounded", "weight": 0.0}, "a bounded λ starts strictly between 0 and 2"),
        ({"reduction": "max"}, "ssls.reduction is 'max'; choose one of mean, sum"),
        ({"schedule": "step"}, "ssls.schedule is 'step'; choose one of cosine, official_cosine, official_step, or N"),
    ],
)
def test_what_lambda_cannot_be_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        scaling.check(**PLAIN | changes)


@pytest.mark.parametrize(
    "changes", [{}, {"weight": 0.0}, {"mode": "off"}, {"learnable": "plain", "weight": -0.2}, {"learnable": "bounded"}]
)
def test_what_lambda_can_be_passes(changes):
    scaling.check(**PLAIN | changes)
