import json

import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.models.cogvideox import guidance


@pytest.fixture
def table(shared):
    return json.loads((shared / "golden/schedulers/dynamic_guidance.json").read_text())


@pytest.mark.parametrize("steps", [6, 10, 50])
def test_dynamic_scales_equal_the_reference(table, steps):
    wanted = table[str(steps)]
    timesteps = np.array(wanted["timesteps"])
    for dynamic in ("published", "ramp"):
        assert guidance.scales(6.0, steps, timesteps, dynamic).tolist() == wanted[dynamic]


def test_published_dynamic_guidance_goes_by_timestep_and_jumps():
    timesteps = np.arange(999, 0, -20)
    found = guidance.scales(6.0, 50, timesteps, "published")
    np.testing.assert_allclose(found[:4], [2.29, 2.54, 6.97, 6.42], atol=5e-3)
    ramp = guidance.scales(6.0, 50, timesteps, "ramp")
    assert ramp[0] == 1 and (np.diff(ramp) >= 0).all() and ramp[-1] < 7


def test_off_is_constant_and_another_word_is_refused():
    assert guidance.scales(6.0, 3, np.array([999, 666, 332])).tolist() == [6, 6, 6]
    with pytest.raises(ValueError, match="dynamic guidance 'on'; it is one of off, published, ramp"):
        guidance.scales(6.0, 1, np.array([999]), "on")


def test_answers_are_joined_in_single_precision():
    random = np.random.default_rng(0)
    u, c = (jnp.asarray(random.normal(size=(2, 3)), jnp.bfloat16) for _ in range(2))
    found = guidance.joined(u, c, 2.5)
    assert found.dtype == jnp.float32
    u, c = (np.asarray(x, np.float32) for x in (u, c))
    np.testing.assert_array_equal(found, u + np.float32(2.5) * (c - u))
    np.testing.assert_array_equal(guidance.joined(jnp.asarray(u), jnp.asarray(c), jnp.float32(0)), u)
