"""Timesteps and chains beside diffusers' own schedulers (extra `parity`)."""

import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from gvvad_jax.models.cogvideox import schedulers  # noqa: E402

V = dict(prediction_type="v_prediction", rescale_betas_zero_snr=True)


@pytest.mark.parametrize("spacing", schedulers.KNOWN["timestep_spacing"])
def test_timesteps_of_every_count_agree(spacing):
    config = V | {"timestep_spacing": spacing}
    theirs = diffusers.CogVideoXDDIMScheduler(**config)
    for steps in range(1, 1001):
        theirs.set_timesteps(steps)
        ours = schedulers.spaced(schedulers.DEFAULTS | config, steps)[0]
        # theirs may have one more, of -1
        np.testing.assert_array_equal(ours, theirs.timesteps.numpy()[:steps], err_msg=str(steps))


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 40])
def test_dpm_agrees_bit_for_bit_with_the_draw_that_is_used(steps):
    config = V | {"timestep_spacing": "trailing", "snr_shift_scale": 3.0}
    theirs, plan = diffusers.CogVideoXDPMScheduler(**config), schedulers.plan(config, steps, "dpm")
    theirs.set_timesteps(steps)
    times, random = theirs.timesteps, np.random.default_rng(steps)
    reference, before = torch.from_numpy(random.normal(size=(2, 3, 4)).astype(np.float32)), None
    x = jnp.asarray(reference.numpy())
    clean = jnp.zeros_like(x)
    for i, time in enumerate(times):
        output = random.normal(size=x.shape).astype(np.float32)
        generator = torch.Generator().manual_seed(i)
        draws = [torch.randn(x.shape, generator=generator) for _ in range(2)]
        is_first_order = i == 0 or int(time) < 1000 // steps
        reference, before = theirs.step(
            torch.from_numpy(output),
            before,
            time,
            times[i - 1] if i else None,
            reference,
            generator=torch.Generator().manual_seed(i),
            return_dict=False,
        )
        row = schedulers.Coefficients(**{name: column[i] for name, column in vars(plan.coefficients).items()})
        noise = jnp.asarray(draws[0 if is_first_order else 1].numpy())
        x, clean = schedulers.step(row, x, jnp.asarray(output), clean, noise)
        np.testing.assert_array_equal(x, reference.numpy(), err_msg=f"step {i}")
