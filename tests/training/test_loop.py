import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import pytest

from gvvad_jax import bags
from gvvad_jax.training import checkpoints, log, loop
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import state as states


class Stream(bags.Stream):
    """Batches that only say their number."""

    def __init__(self):
        pass

    def batches(self, start, stop):
        yield from range(start, stop)

    def ids(self, index):
        return [f"video-{index}-a", f"video-{index}-b"]


class Saved(checkpoints.Checkpoints):
    def __init__(self, events):
        self.events = events

    @property
    def latest(self):
        return max((step for what, step in self.events if what == "save"), default=None)

    def save(self, state):
        self.events.append(("save", int(state.step)))


class Log(log.Log):
    def __init__(self, events):
        self.events = events

    def step(self, number, values):
        self.events.append(("log", number))

    def start_clock(self):
        pass


@pytest.fixture
def go(monkeypatch):
    """Runs the loop with steps that only count; gives what happened, in order."""
    monkeypatch.setattr(bags, "place", lambda batch, mesh: batch)

    def run(events, metrics=None, *, start=0, steps=10, checkpoint_every=4, eval_every=5, at=lambda number: None):
        def step(state, batch, key):
            number = int(state.step) + 1
            assert batch == number - 1, "the position is the step"
            events.append(("dispatch", number))
            at(number)
            found = {"loss": 1.0, "classification": 1.0, "lambda": 0.5, "finite": True}
            return dataclasses.replace(state, step=jnp.int32(number)), found | (metrics or {}).get(number, {})

        return loop.train(
            step,
            states.State(jnp.int32(start), {}, {}, None, {}),
            Stream(),
            meshes.make(1),
            jax.random.key(0),
            steps=steps,
            checkpoints=Saved(events),
            checkpoint_every=checkpoint_every,
            evaluate=lambda state: events.append(("evaluate", int(state.step))),
            eval_every=eval_every,
            log=Log(events),
        )

    return run


def only(events, what):
    return [step for kind, step in events if kind == what]


def test_a_step_is_dispatched_before_the_last_ones_metrics_are_read(go):
    events = []
    go(events, steps=4, checkpoint_every=0, eval_every=0)
    assert events == [
        ("dispatch", 1),
        ("log", 1),
        ("dispatch", 2),
        ("dispatch", 3),
        ("log", 2),
        ("dispatch", 4),
        ("log", 3),
        ("log", 4),
        ("evaluate", 4),
        ("save", 4),
    ]


def test_pauses_come_at_their_intervals_and_at_the_end(go):
    events = []
    assert int(go(events).step) == 10
    assert only(events, "log") == list(range(1, 11))
    assert only(events, "save") == [4, 8, 10] and only(events, "evaluate") == [5, 10]


def test_a_resumed_loop_goes_on_at_the_states_own_step(go):
    events = []
    go(events, start=7)
    assert only(events, "dispatch") == [8, 9, 10]
    events = []
    assert int(go(events, start=10).step) == 10 and events == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"loss": float("nan"), "classification": float("nan")}, "step 6: classification is nan; "),
        ({"loss": float("inf")}, "step 6: loss is inf; "),
        ({"finite": False}, "step 6: a parameter is not finite; "),
    ],
)
def test_what_is_not_finite_ends_the_run_with_step_term_and_videos(go, wrong, sentence):
    events = []
    with pytest.raises(loop.NotFinite, match=sentence) as error:
        go(events, {6: wrong})
    assert "videos of its batch: video-5-a, video-5-b; the checkpoint of step 4 is kept" in str(error.value)
    assert only(events, "log")[-1] == 6 and only(events, "save") == [4]


def test_nothing_is_saved_or_evaluated_from_a_step_that_is_not_finite(go):
    events = []
    with pytest.raises(loop.NotFinite, match="no checkpoint was saved yet"):
        go(events, {4: {"finite": False}}, eval_every=4)
    assert only(events, "save") == only(events, "evaluate") == []


def test_sigterm_saves_and_ends_and_the_handler_is_put_back(go):
    before = signal.getsignal(signal.SIGTERM)
    events = []

    def at(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(loop.Stopped, match="stopped after step 3 of 10 as asked; run the same command again"):
        go(events, at=at)
    assert only(events, "save") == [3] and only(events, "log") == [1, 2, 3]
    assert signal.getsignal(signal.SIGTERM) is before
