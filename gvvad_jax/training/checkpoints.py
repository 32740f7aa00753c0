"""What a killed run needs to go on: orbax checkpoints of the state, and each rule's best weights so far.

The state's step is the data position, so nothing of the loader is saved. Nobody outside training opens these files;
what a run is for is its bundle.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
import safetensors
import safetensors.numpy

from gvvad_jax import records
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import state as states

KEPT = 2


def latest(folder: Path) -> int | None:
    """The last step saved whole in a folder that may not exist; a half-written one has another name."""
    return max((int(path.name) for path in folder.glob("*") if path.name.isdigit()), default=None)


class Checkpoints:
    """The checkpoints of one run, saved while training goes on; the last two are kept."""

    def __init__(self, folder: Path):
        """Open a folder, made when it is not there; every process does."""
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=True)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    @property
    def latest(self) -> int | None:
        """The last step that was saved whole; one that a killed run left half written does not count."""
        return self._manager.latest_step()

    def save(self, state: states.State) -> None:
        """Save the state under its step, once."""
        step = int(state.step)
        if step != self.latest:
            # A copy: the next step takes over the state's own memory while this is still being written.
            copy = jax.tree.map(lambda x: x.copy(), state)
            self._manager.save(step, args=ocp.args.StandardSave(_tree(copy)), force=True)

    def restore(self, state: states.State, mesh: Any) -> states.State:
        """The last saved state, on every device of the mesh; `state` gives names and shapes."""
        everywhere = meshes.replicated(mesh)
        target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), _tree(state))
        tree = self._manager.restore(self.latest, args=ocp.args.StandardRestore(target))
        moments = optax.ScaleByAdamState(tree["count"], tree["mean"], tree["square"])
        return states.State(tree["step"], tree["params"], state.rest | tree["rest"], moments, tree["numbers"])

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()


def _tree(state: states.State) -> dict[str, Any]:
    """The state under names that do not depend on optax; orbax cannot keep arrays without elements."""
    moments = state.moments
    return {
        "step": state.step,
        "params": state.params,
        "rest": {name: x for name, x in state.rest.items() if x.size},
        "count": moments.count,
        "mean": moments.mu,
        "square": moments.nu,
        "numbers": state.numbers,
    }


class Best:
    """The weights of the step that a rule found best, in memory and in one file that a resumed run reads.

    The file may be ahead of the checkpoint that a killed run goes on from. Repeating the same steps gives the same
    values, and none of them is greater, so it stays.
    """

    def __init__(self, path: Path):
        """Read what an earlier run left."""
        self.path, self.value, self.step = path, -np.inf, 0
        self.arrays: dict[str, np.ndarray] | None = None
        if path.exists():
            self.arrays = safetensors.numpy.load_file(path)
            with safetensors.safe_open(path, "np") as file:
                kept = json.loads(file.metadata()["kept"])
            self.value, self.step = kept["value"], kept["step"]

    def offer(self, value: float | None, state: states.State) -> bool:
        """Keep these weights if the rule's value is above all before; the earliest of equals stays."""
        if value is None or not value > self.value:
            return False
        self.value, self.step = float(value), int(state.step)
        self.arrays = {name: np.array(x) for name, x in (state.params | state.rest).items()}
        if jax.process_index() == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            kept = json.dumps({"value": self.value, "step": self.step})
            with records.atomic_write(self.path) as file:
                file.write(safetensors.numpy.save(self.arrays, metadata={"kept": kept}))
        return True

    def weights(self, state: states.State) -> tuple[states.Arrays, states.Arrays]:
        """Trained and other arrays of the best step; `state` says which is which."""
        assert self.arrays is not None
        params = {name: self.arrays[name] for name in state.params}
        return params, {name: self.arrays[name] for name in state.rest}
