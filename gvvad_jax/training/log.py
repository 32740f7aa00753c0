"""What a run says while it trains: metrics.jsonl, one object a step, and the same for TensorBoard."""

import collections
import json
import math
import time
from pathlib import Path
from typing import Any

import jax

from gvvad_jax import records

WINDOW = 20  # steps that the rate is a mean over
TENSORBOARD_EVERY = 10  # steps; an event costs as much as a small step


class Log:
    """Writes on process 0 alone; a resumed run first cuts the file back to its checkpoint's step."""

    def __init__(self, folder: Path, step: int):
        """Open the files of a run that goes on after `step`."""
        self._file: Any = None
        if jax.process_index() == 0:
            import tensorboardX

            path = folder / "metrics.jsonl"
            kept = _rows_until(path, step)
            if path.exists():
                records.write_jsonl(path, kept)
            # A line a write: what a killed run has done up to its checkpoint is on disk.
            self._file = path.open("a", buffering=1)
            self._board = tensorboardX.SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        self.start_clock()

    def start_clock(self) -> None:
        """Leave the time since the last step (an evaluation, a checkpoint, a compilation) out of the rate."""
        self._times = collections.deque([time.perf_counter()], maxlen=WINDOW + 1)

    def step(self, number: int, values: dict[str, float]) -> None:
        """One finished step: loss, terms, lambda."""
        self._times.append(time.perf_counter())
        rate = (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)
        row = {"step": number, **values, "steps_per_second": round(rate, 3)}
        if self._file:
            self._file.write(json.dumps({k: v if math.isfinite(v) else None for k, v in row.items()}) + "\n")
            if number % TENSORBOARD_EVERY == 0:
                for name, value in row.items():
                    if name != "step":
                        self._board.add_scalar(f"train/{name}", value, number)

    def figures(self, number: int, values: dict[str, float | None]) -> None:
        """Figures of an evaluation at a step, for TensorBoard."""
        if self._file:
            for name, value in values.items():
                if value is not None:
                    self._board.add_scalar(name, value, number)

    def close(self) -> None:
        """Everything is on disk."""
        if self._file:
            self._file.close()
            self._board.close()


def _rows_until(path: Path, step: int) -> list[dict[str, Any]]:
    """The rows up to a step; a line that a killed run wrote half is past it."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            break
        if row["step"] <= step:
            rows.append(row)
    return rows
