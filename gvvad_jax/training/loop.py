"""The loop: dispatch a step, read the previous one's metrics, pause for evaluation and checkpoints.

The order of its lines matters: nothing is saved or evaluated before the metrics of the very step are known to be
finite, and the device has the next step before the host reads the last one's numbers.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from gvvad_jax import bags
from gvvad_jax.training import checkpoints as checkpoint_files
from gvvad_jax.training import log as logs
from gvvad_jax.training import state as states


class NotFinite(FloatingPointError):
    """A loss term or a parameter became NaN or infinite; the message says where, and what is kept."""


class Stopped(Exception):  # noqa: N818
    """The run was asked to end (SIGTERM), has saved its state and can go on."""


class Termination:
    """Whether SIGTERM has come, agreed on by all processes."""

    def __init__(self) -> None:
        """Listen; without several processes, by our own handler (jax's needs jax.distributed)."""
        self.asked = False
        if jax.process_count() == 1:
            try:
                self._former = signal.signal(signal.SIGTERM, self._handle)
            except ValueError:  # not the main thread: whoever called us handles signals
                self._former = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def at(self, step: int) -> bool:
        """Whether to end after this step; the same answer in every process."""
        if jax.process_count() == 1:
            return self.asked
        from jax.experimental import multihost_utils

        return multihost_utils.reached_preemption_sync_point(step)

    def close(self) -> None:
        """Stop listening."""
        if jax.process_count() == 1 and self._former is not None:
            signal.signal(signal.SIGTERM, self._former)


def train(
    step: Callable[..., Any],
    state: states.State,
    stream: bags.Stream,
    mesh: Mesh,
    key: Any,
    *,
    steps: int,
    checkpoints: checkpoint_files.Checkpoints,
    checkpoint_every: int,
    evaluate: Callable[[states.State], None],
    eval_every: int,
    log: logs.Log,
) -> states.State:
    """Steps from the state's own number to `steps`; `evaluate` is called every `eval_every` steps and after the last.

    0 for either interval: only after the last step. Raises NotFinite or Stopped.
    """
    termination = Termination()
    waiting: tuple[int, Any] | None = None
    start = int(state.step)
    batches = stream.batches(start, steps)
    try:
        for number, batch in enumerate(batches, start + 1):
            state, metrics = step(state, bags.place(batch, mesh), key)
            if waiting:
                _read(*waiting, stream, log, checkpoints)
            waiting = number, metrics

            ending = number == steps or termination.at(number)
            saving = ending or _due(number, checkpoint_every)
            evaluating = number == steps or _due(number, eval_every)
            # The first step is waited for: its time is the compilation's.
            if saving or evaluating or number == start + 1:
                _read(*waiting, stream, log, checkpoints)
                waiting = None
                if evaluating:
                    evaluate(state)
                if saving:
                    checkpoints.save(state)
                log.start_clock()
            if ending and number < steps:
                raise Stopped(f"stopped after step {number} of {steps} as asked; run the same command again to go on")
    finally:
        termination.close()
    return state


def _due(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def _read(number: int, metrics: Any, stream: bags.Stream, log: logs.Log, checkpoints: Any) -> None:
    """Wait for a step's metrics, write them down, and refuse to go on from what is not finite."""
    values = {name: float(value) for name, value in jax.device_get(metrics).items()}
    finite = bool(values.pop("finite"))
    log.step(number, values)
    wrong = [name for name, value in values.items() if not np.isfinite(value)]
    if finite and not wrong:
        return
    terms = [name for name in wrong if name not in ("loss", "lambda")] or wrong
    what = f"{', '.join(f'{name} is {values[name]}' for name in terms)}" if wrong else "a parameter is not finite"
    kept = checkpoints.latest
    logging.error("step %d: %s", number, what)
    raise NotFinite(
        f"step {number}: {what}; videos of its batch: {', '.join(stream.ids(number - 1))}; "
        f"{'no checkpoint was saved yet' if kept is None else f'the checkpoint of step {kept} is kept'}"
    )
