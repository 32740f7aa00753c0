"""A folder's sampler: recorded runs, one clip by itself, and what it refuses."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from gvvad_jax.models import cogvideox

RUNS = ["ddim_batch2_dynamic", "dpm_batch2_dynamic", "ddim_no_guidance", "dpm_no_guidance", "ddim_odd_grid"]
RUNS += ["dpm_odd_grid_7steps", "ddim_one_frame"]
SMALL = dict(frames=9, height=32, width=48, steps=2)


@pytest.fixture
def folder(shared):
    return shared / "golden/cog2b_tiny"


@pytest.fixture(scope="module")
def pipelines():
    """Loaded once a folder: what each test compiles, the next may use."""
    kept = {}
    return lambda folder: kept.setdefault(folder, cogvideox.load(folder))


def recorded(folder, name):
    run = np.load(folder / f"runs/{name}.npz")
    meta = json.loads(str(run["meta"]))
    sizes = {key: meta[key] for key in ("frames", "height", "width", "steps", "guidance")}
    options = dict(
        negative_embeds=run["negative_embeds"] if "negative_embeds" in run else None,
        latents=run["latents_initial"],
        noise=run["noise"] if "noise" in run else None,
        dynamic_guidance="published" if meta["dynamic_guidance"] else "off",
        scheduler="ddim" if "ddim" in name else "dpm",
    )
    return run, sizes | options


@pytest.mark.parametrize("name", RUNS)
def test_a_whole_run_equals_the_reference(folder, pipelines, name):
    run, options = recorded(folder, name)
    pipeline = pipelines(folder)
    found = pipeline.sample(run["prompt_embeds"], **options, output="latents")
    np.testing.assert_allclose(found, run["latents_final"], rtol=0, atol=1e-4 * np.abs(run["latents_final"]).max())
    frames = pipeline.decode(found)
    assert np.abs(frames.astype(int) - run["frames_uint8"]).max() <= 1


@pytest.mark.parametrize("name", ["ddim_batch2", "dpm_batch2"])
def test_bfloat16_stays_near_the_run_in_single_precision(folder, name):
    run, options = recorded(folder, f"{name}_bf16")
    single, _ = recorded(folder, f"{name}_dynamic")
    pipeline = cogvideox.load(folder, "bfloat16")
    found = pipeline.sample(run["prompt_embeds"], **options, output="latents")
    wanted = single["latents_final"]
    assert np.linalg.norm(found - wanted) <= 0.05 * np.linalg.norm(wanted)
    error = np.square(pipeline.decode(found).astype(float) - single["frames_uint8"]).mean()
    assert 10 * np.log10(255**2 / error) >= 35


def test_prompts_are_encoded_without_a_mask(folder, pipelines):
    run, _ = recorded(folder, "ddim_batch2_dynamic")
    for ids, wanted in (("prompt_ids", "prompt_embeds"), ("negative_ids", "negative_embeds")):
        found = pipelines(folder).encode(run[ids])
        np.testing.assert_allclose(found, run[wanted], rtol=0, atol=1e-5 * np.abs(run[wanted]).max())


def test_one_program_a_step_gives_what_one_for_all_gives(folder, pipelines):
    run, options = recorded(folder, "dpm_batch2_dynamic")
    told = []
    found = pipelines(folder).sample(run["prompt_embeds"], **options, output="latents", stepped=True, told=told.append)
    np.testing.assert_allclose(found, run["latents_final"], rtol=0, atol=1e-5 * np.abs(run["latents_final"]).max())
    assert told == list(range(options["steps"]))


def test_a_clip_made_alone_is_the_clip_made_among_others(folder, pipelines):
    run, _ = recorded(folder, "ddim_batch2_dynamic")
    options = SMALL | dict(scheduler="dpm", guidance=1, output="latents")
    both = pipelines(folder).sample(run["prompt_embeds"], seed=[7, 8], **options)
    alone = pipelines(folder).sample(run["prompt_embeds"][1:], seed=8, **options)
    np.testing.assert_allclose(alone[0], both[1], atol=1e-5)
    again = pipelines(folder).sample(run["prompt_embeds"][1:], seed=9, **options)
    assert np.abs(again - alone).max() > 0.1
    of_one = pipelines(folder).sample(run["prompt_embeds"], seed=7, **options)
    np.testing.assert_allclose(of_one[0], both[0], atol=1e-5)
    assert np.abs(of_one[1] - of_one[0]).max() > 0.1


SPREAD = """
import sys
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
from jax.sharding import AxisType
from gvvad_jax.models import cogvideox
from gvvad_jax.models.cogvideox import vae
from gvvad_jax.models.cogvideox.layout import AXES, Layout

run = np.load(sys.argv[1] + "/runs/dpm_batch2_dynamic.npz")
options = dict(latents=run["latents_initial"], noise=run["noise"], frames=9, height=64, width=96, steps=6)
options |= dict(negative_embeds=run["negative_embeds"], scheduler="dpm", output="latents")
single = cogvideox.load(sys.argv[1])
alone = single.sample(run["prompt_embeds"], **options)
programs = 1
for shape in ((2, 4), (1, 8)):
    layout = Layout(jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * 2))
    pipeline = cogvideox.load(sys.argv[1], layout=layout)
    spread = pipeline.sample(run["prompt_embeds"], **options)
    assert len(pipeline._body._there[1]["qkv_kernel"][...].sharding.device_set) == 8
    assert np.abs(spread - alone).max() <= 1e-5 * np.abs(alone).max(), np.abs(spread - alone).max()
    seven = np.concatenate([alone, alone, alone[:, :1]], 1)[:1]
    frames, wanted = pipeline.decode(seven), single.decode(seven)
    assert np.abs(frames.astype(int) - wanted).max() <= 1, np.abs(frames.astype(int) - wanted).max()
    assert len(pipeline.vae.decoder.params["conv_in"]["kernel"][...].sharding.device_set) == 8
    programs += 1
    assert vae._next._cache_size() == programs, "two later pieces were compiled apart"
"""


@pytest.mark.slow
def test_eight_devices_give_what_one_gives(folder):
    """Guidance over 2 and tokens over 4, then tokens over 8; weights over all of them."""
    done = subprocess.run([sys.executable, "-c", SPREAD, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(frames=12), "a clip of 12 frames; 8·n \\+ 1 can be made, such as 9 or 17"),
        (dict(height=40), "a height of 40 pixels; it has to be a multiple of 16"),
        (dict(guidance=6.0), "guidance 6 needs negative_embeds"),
        (dict(scheduler="dpm"), "adds noise: give noise or a seed"),
        (dict(scheduler="euler"), "scheduler 'euler'"),
        (dict(latents=None), "neither latents nor a seed"),
        (dict(latents=np.zeros((1, 2, 4, 8, 12), np.float32)), "latents of shape"),
        (dict(tiled=True), "tiles of 32 that overlap by 0.1667 do not join"),
        (dict(output="video"), "output='video'; it is one of uint8, latents"),
        (dict(dynamic_guidance="on"), "dynamic guidance 'on'"),
        (dict(image=np.zeros((1, 8, 8, 3), np.uint8)), "makes video of text alone"),
    ],
)
def test_what_does_not_fit_is_refused(folder, pipelines, options, sentence):
    given = SMALL | dict(latents=np.zeros((1, 3, 4, 4, 6), np.float32), guidance=1.0) | options
    with pytest.raises(ValueError, match=sentence):
        pipelines(folder).sample(np.zeros((1, 226, 32), np.float32), **given)


def test_prompts_of_another_length_are_refused(folder, pipelines):
    with pytest.raises(ValueError, match=r"prompt_embeds of shape \(1, 77, 32\), but \(1, 226, 32\) is needed"):
        pipelines(folder).sample(np.zeros((1, 77, 32), np.float32), seed=0, guidance=1)


def test_a_missing_part_or_shard_is_said_when_the_folder_is_opened(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs", "*.npz"))
    shard = tmp_path / "transformer/diffusion_pytorch_model-00002-of-00003.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="00002-of-00003.safetensors is damaged"):
        cogvideox.load(tmp_path)
    shard.unlink()
    with pytest.raises(OSError, match="lacks diffusion_pytorch_model-00002-of-00003.safetensors"):
        cogvideox.load(tmp_path)
    shutil.rmtree(tmp_path / "vae")
    with pytest.raises(OSError, match="holds no folder vae"):
        cogvideox.load(tmp_path)
