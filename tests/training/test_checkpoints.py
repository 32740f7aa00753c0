import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax import detectors
from gvvad_jax.training import checkpoints
from gvvad_jax.training import mesh as meshes
from gvvad_jax.training import state as states


@pytest.fixture
def state():
    # Arrays without elements (the unused input statistics) must come through too.
    detector = detectors.create("rtfm", detectors.Inputs(8))
    _, state = states.create(detector, synthetic_weight=0.5, learning_rate=1e-3, weight_decay=5e-3)
    return meshes.replicate(state, meshes.make(1))


def at(state, step):
    return dataclasses.replace(state, step=jnp.int32(step), params={name: x + step for name, x in state.params.items()})


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_a_restored_state_is_the_saved_one_bit_for_bit(state, tmp_path):
    assert checkpoints.latest(tmp_path / "none") is None
    saved = checkpoints.Checkpoints(tmp_path / "c")
    for step in (3, 6, 9):
        saved.save(at(state, step))
        saved.save(at(state, step))
    saved.close()
    again = checkpoints.Checkpoints(tmp_path / "c")
    assert again.latest == checkpoints.latest(tmp_path / "c") == 9
    assert same(again.restore(state, meshes.make(1)), at(state, 9))
    assert sorted(p.name for p in (tmp_path / "c").iterdir() if p.name.isdigit()) == ["6", "9"]


def test_a_half_written_checkpoint_does_not_count(state, tmp_path):
    saved = checkpoints.Checkpoints(tmp_path)
    saved.save(at(state, 2))
    saved.close()
    (tmp_path / "4.orbax-checkpoint-tmp").mkdir()
    assert checkpoints.latest(tmp_path) == 2 == checkpoints.Checkpoints(tmp_path).latest


def test_the_state_may_be_taken_over_while_it_is_being_saved(state, tmp_path):
    saved = checkpoints.Checkpoints(tmp_path)
    move = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    want = jax.tree.map(np.array, at(state, 1))
    now = jax.tree.map(lambda x: x.copy(), at(state, 1))
    saved.save(now)
    for _ in range(3):
        now = move(now)
    saved.close()
    assert same(jax.tree.map(np.array, checkpoints.Checkpoints(tmp_path).restore(state, meshes.make(1))), want)


def test_the_earliest_of_equally_good_steps_is_kept_across_restarts(state, tmp_path):
    path = tmp_path / "checkpoints" / "validation.safetensors"
    best = checkpoints.Best(path)
    assert best.arrays is None and not best.offer(None, state) and not path.exists()
    assert best.offer(0.5, at(state, 1)) and not best.offer(0.5, at(state, 2)) and not best.offer(0.4, at(state, 3))
    best = checkpoints.Best(path)
    assert (best.value, best.step) == (0.5, 1) and not best.offer(0.5, at(state, 4))
    params, rest = best.weights(state)
    assert same((params, rest), jax.tree.map(np.array, (at(state, 1).params, state.rest)))
    assert best.offer(0.6, at(state, 5)) and checkpoints.Best(path).step == 5
