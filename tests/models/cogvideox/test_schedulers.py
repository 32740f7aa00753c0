import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.models.cogvideox import guidance, schedulers

DOUBLE = ["2b_50", "5b_50", "2b_10", "5b_7", "2b_30", "5b_1", "2b_2", "linspace_9", "leading1_8", "eps_leading_12"]
DOUBLE += ["sample_trailing_5", "noset1_6"]
SINGLE = ["linear_11", "cosine_13"]  # their schedules are float32, with another library's last bits
PUBLISHED = dict(prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True)
jitted = jax.jit(schedulers.step)


@pytest.fixture(params=schedulers.CLASSES)
def kind(request):
    return request.param


@pytest.fixture
def chain(shared, kind):
    def read(case):
        wanted = np.load(shared / f"golden/schedulers/{kind}_{case}.npz")
        made = schedulers.plan(json.loads(str(wanted["config"])), int(wanted["steps"]), kind)
        return made, wanted

    return read


def rows(plan):
    columns = vars(plan.coefficients)
    return [schedulers.Coefficients(**{k: v[i] for k, v in columns.items()}) for i in range(len(plan.timesteps))]


def run(plan, wanted, step=schedulers.step):
    x = jnp.asarray(wanted["sample_initial"])
    clean = jnp.zeros_like(x)
    for i, row in enumerate(rows(plan)):
        noise = jnp.asarray(wanted["noise"][i]) if plan.uses_noise else None
        x, clean = step(row, x, jnp.asarray(wanted["model_output"][i]), clean, noise)
        yield x, clean


@pytest.mark.parametrize("case", DOUBLE)
def test_eager_chains_are_bit_equal_to_the_reference(chain, case):
    plan, wanted = chain(case)
    assert plan.timesteps.tolist() == wanted["timesteps"].tolist()
    for i, (x, clean) in enumerate(run(plan, wanted)):
        np.testing.assert_array_equal(clean, wanted["pred_original_sample"][i], err_msg=f"x0 of step {i}")
        np.testing.assert_array_equal(x, wanted["prev_sample"][i], err_msg=f"step {i}")


@pytest.mark.parametrize("case", DOUBLE + SINGLE)
def test_compiled_chains_equal_the_reference(chain, case):
    plan, wanted = chain(case)
    largest = np.abs(wanted["prev_sample"]).max()
    for i, (x, _) in enumerate(run(plan, wanted, jitted)):
        np.testing.assert_allclose(x, wanted["prev_sample"][i], rtol=0, atol=1e-6 * largest, err_msg=f"step {i}")


@pytest.mark.parametrize("case", SINGLE)
def test_single_precision_schedules_equal_the_reference(chain, case):
    plan, wanted = chain(case)
    assert plan.timesteps.tolist() == wanted["timesteps"].tolist()
    for i, (x, _) in enumerate(run(plan, wanted)):
        reference = wanted["prev_sample"][i]
        np.testing.assert_allclose(x, reference, rtol=0, atol=6e-7 * np.abs(reference).max(), err_msg=f"step {i}")


def test_a_config_of_the_folder_is_refused_by_its_name(shared, tmp_path):
    config = json.loads((shared / "golden/cog2b_tiny/scheduler/scheduler_config.json").read_text())
    (tmp_path / "scheduler_config.json").write_text(json.dumps(config | {"timestep_spacing": "even"}))
    with pytest.raises(ValueError, match="scheduler_config.json: timestep_spacing is 'even', but not one of trailing"):
        schedulers.load(tmp_path)


def test_steps_are_scanned_over(chain):
    plan, wanted = chain("2b_10")
    x = jnp.asarray(wanted["sample_initial"])
    noise = jnp.asarray(wanted["noise"]) if plan.uses_noise else jnp.zeros_like(wanted["model_output"])

    def body(carry, each):
        row, output, drawn = each
        return schedulers.step(row, carry[0], output, carry[1], drawn), None

    (x, clean), _ = jax.lax.scan(body, (x, jnp.zeros_like(x)), (plan.coefficients, wanted["model_output"], noise))
    np.testing.assert_allclose(x, wanted["prev_sample"][-1], rtol=0, atol=1e-6 * np.abs(wanted["prev_sample"]).max())
    np.testing.assert_allclose(clean, wanted["pred_original_sample"][-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", DOUBLE + SINGLE)
def test_every_coefficient_is_finite_and_alphas_equal_the_reference(chain, case):
    plan, wanted = chain(case)
    config = schedulers.DEFAULTS | json.loads(str(wanted["config"]))
    alphas = schedulers.cumulative(config)
    assert alphas.dtype == wanted["alphas_cumprod"].dtype
    np.testing.assert_allclose(alphas, wanted["alphas_cumprod"], rtol=0, atol=2e-7 if case in SINGLE else 1e-15)
    for name, column in vars(plan.coefficients).items():
        assert column.dtype == np.float32 and np.isfinite(column).all(), name


@pytest.mark.parametrize("steps", [6, 7, 11, 13])
def test_steps_that_do_not_divide_1000_never_reach_an_alpha_of_one(kind, steps):
    plan = schedulers.plan(PUBLISHED, steps, kind)
    stride = 1000 // steps
    assert plan.timesteps[-1] - stride >= 0
    last = rows(plan)[-1]
    # What a step to ᾱ = 1 has: no part of x, the clean latents as they are, no noise.
    assert last.a > 0 and last.b < 1 and (last.n > 0) == (kind == "dpm")
    assert (last.o > 0) == (kind == "dpm")  # and DPM's is of second order
    for whole in (10, 50, 30):
        end = rows(schedulers.plan(PUBLISHED, whole, kind))[-1]
        assert (end.a, end.b, end.n, end.o) == (0, 1, 0, 0)


def test_noise_drawn_twice_on_second_order_steps_is_used_once(shared):
    recorded = np.load(shared / "golden/cog2b_tiny/runs/dpm_batch2_dynamic.npz")
    plan = schedulers.plan(schedulers.load(shared / "golden/cog2b_tiny/scheduler")[0], 6, "dpm")
    # Of six steps all but the first are of second order; the reference draws twice there and drops the first draw.
    assert recorded["noise_draws_step"].tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len(recorded["noise"]) == 6 and (plan.coefficients.n > 0).all()
    x = jnp.asarray(recorded["latents_initial"])
    clean = jnp.zeros_like(x)
    for i, row in enumerate(rows(plan)):
        output = guidance.joined(
            *jnp.split(jnp.asarray(recorded["model_output"][i]), 2), float(recorded["guidance"][i])
        )
        x, clean = schedulers.step(row, x, output, clean, jnp.asarray(recorded["noise"][i]))
        np.testing.assert_array_equal(x, recorded["latents"][i], err_msg=f"step {i}")


def test_one_step_of_dpm_and_ddim_use_no_noise(kind):
    assert not schedulers.plan(PUBLISHED, 1, kind).uses_noise
    assert schedulers.plan(PUBLISHED, 2, kind).uses_noise == (kind == "dpm")


def test_latents_of_bfloat16_round_as_the_reference(shared, kind):
    recorded = np.load(shared / f"golden/cog2b_tiny/runs/{kind}_batch2_bf16.npz")
    plan = schedulers.plan(schedulers.load(shared / "golden/cog2b_tiny/scheduler")[0], 6, kind)
    scales = guidance.scales(json.loads(str(recorded["meta"]))["guidance"], 6, plan.timesteps, "published")
    np.testing.assert_array_equal(scales, recorded["guidance"])
    x = jnp.asarray(recorded["latents_initial"], jnp.bfloat16)
    clean = jnp.zeros(x.shape)
    for i, row in enumerate(rows(plan)):
        output = guidance.joined(*jnp.split(jnp.asarray(recorded["model_output"][i]), 2), float(scales[i]))
        x, clean = schedulers.step(row, x, output, clean, jnp.asarray(recorded["noise"][i]) if kind == "dpm" else None)
        assert x.dtype == jnp.bfloat16 and clean.dtype == jnp.float32
        np.testing.assert_array_equal(x.astype(jnp.float32), recorded["latents"][i], err_msg=f"step {i}")


def test_a_run_has_as_many_timesteps_as_were_asked_for(kind):
    # NumPy's arange gives 62 of them, the last -1, as the published sampler's then is.
    plan = schedulers.plan(PUBLISHED, 61, kind)
    assert len(plan.timesteps) == 61 and plan.timesteps.min() >= 0


@pytest.mark.parametrize(
    ("change", "steps", "sentence"),
    [
        ({"prediction_type": "flow"}, 5, "prediction_type is 'flow', but not one of v_prediction, epsilon, sample"),
        ({"timestep_spacing": "even"}, 5, "timestep_spacing is 'even'"),
        ({"beta_schedule": "exponential"}, 5, "beta_schedule is 'exponential'"),
        ({"trained_betas": [0.1]}, 5, "trained_betas is"),
        ({"use_karras_sigmas": True}, 5, "the scheduler: use_karras_sigmas is nothing that this version knows"),
        ({"prediction_type": "epsilon"}, 5, "prediction_type is epsilon, but it starts at pure noise"),
        ({"timestep_spacing": "leading", "steps_offset": 1}, 1000, "steps_offset=1 moves 1000 steps off the 1000"),
        ({"snr_shift_scale": "a"}, 5, "the scheduler: snr_shift_scale is 'a', which no sampler can go by"),
        ({"num_train_timesteps": 0}, 5, "num_train_timesteps is 0, which no sampler can go by"),
        ({}, 0, "0 sampling steps, but this network was trained on 1000; choose 1 to 1000"),
        ({}, 1001, "1001 sampling steps"),
    ],
)
def test_what_no_sampler_does_is_refused(kind, change, steps, sentence):
    with pytest.raises(ValueError, match=sentence):
        schedulers.plan(PUBLISHED | change, steps, kind)


def test_another_kind_and_class_are_refused(tmp_path):
    with pytest.raises(ValueError, match="scheduler 'euler'; it is one of ddim, dpm"):
        schedulers.plan(PUBLISHED, 5, "euler")
    (tmp_path / "scheduler_config.json").write_text(json.dumps({"_class_name": "EulerDiscreteScheduler"}))
    with pytest.raises(ValueError, match="of class 'EulerDiscreteScheduler', but a scheduler of CogVideoX"):
        schedulers.load(tmp_path)
