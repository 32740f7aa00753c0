"""A run's programs: the denoising loop is traced and compiled once, whatever kind of arrays comes."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.models import cogvideox
from gvvad_jax.models.cogvideox import denoise
from tests.models.cogvideox import random_folder

SIZES = dict(frames=9, height=32, width=48, output="latents")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    path = tmp_path_factory.mktemp("2B") / "folder"
    # Widths of its own: no other test's program may serve here.
    return cogvideox.load(random_folder.make(path, max_text_seq_length=7))


@pytest.fixture
def compiled():
    """Programs of the whole loop and of one step since the test began."""
    counts = {name: getattr(denoise, name)._cache_size() for name in ("scanned", "_stepped")}
    return lambda: [getattr(denoise, name)._cache_size() - count for name, count in counts.items()]


def text():
    return np.random.default_rng(0).normal(size=(1, 7, random_folder.TEXT)).astype(np.float32)


def test_runs_of_one_size_are_one_program(pipeline, compiled):
    latents = np.ones((1, 3, 4, 4, 6), np.float32)
    options = SIZES | dict(steps=3, negative_embeds=text())
    pipeline.sample(text(), seed=0, **options)
    assert compiled() == [1, 0]
    for guidance, dynamic in ((2, "off"), (6.5, "published"), (3.0, "ramp")):
        pipeline.sample(text(), seed=[int(guidance)], guidance=guidance, dynamic_guidance=dynamic, **options)
    for kind in (np.asarray, jnp.asarray, lambda x: x.astype(np.float64), lambda x: jnp.asarray(x, jnp.bfloat16)):
        changed = dict(negative_embeds=kind(text()), latents=kind(latents))
        pipeline.sample(kind(text()), **(options | changed))
    assert compiled() == [1, 0]
    pipeline.sample(text(), seed=0, **(options | dict(steps=4)))
    assert compiled() == [2, 0]  # of another length


@pytest.mark.parametrize("scheduler", ["ddim", "dpm"])
def test_steps_one_by_one_are_one_program_of_any_number(pipeline, compiled, scheduler):
    for steps in (2, 5):
        pipeline.sample(text(), seed=steps, guidance=1, scheduler=scheduler, stepped=True, steps=steps, **SIZES)
    pipeline.sample(
        text(), seed=0, latents=np.ones((1, 3, 4, 4, 6)), guidance=0, scheduler=scheduler, stepped=True, **SIZES
    )
    assert compiled() == [0, 1]


def test_noise_given_is_one_program_of_any_kind(pipeline, compiled):
    noise = np.ones((2, 1, 3, 4, 4, 6))
    for kind in (np.asarray, jnp.asarray):
        pipeline.sample(text(), seed=0, noise=kind(noise), scheduler="dpm", guidance=1, steps=2, **SIZES)
    assert compiled() == [1, 0]


SPREAD = """
import sys
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
from jax.sharding import AxisType
from gvvad_jax.models import cogvideox
from gvvad_jax.models.cogvideox import denoise
from gvvad_jax.models.cogvideox.layout import AXES, Layout

text = np.ones((1, 6, 16), np.float32)
pipeline = cogvideox.load(sys.argv[1], layout=Layout(jax.make_mesh((2, 2), AXES, axis_types=(AxisType.Auto,) * 2)))
for stepped in (False, True):
    for seed in (0, 1):
        pipeline.sample(
            text, text, seed=seed, frames=9, height=32, width=32, steps=3, scheduler="dpm", output="latents",
            stepped=stepped,
        )
try:
    pipeline.sample(text, seed=0, guidance=1)
except ValueError as error:
    assert "1 rows (videos times guidance's branches) over a mesh of 2 parts along cfg" in str(error)
else:
    raise AssertionError("one row was laid over two parts")
assert (denoise.scanned._cache_size(), denoise._stepped._cache_size()) == (1, 1), denoise._stepped._cache_size()
"""


def test_steps_over_devices_are_one_program_too_of_rows_that_divide(tmp_path):
    """The second step finds latents lie as the first did."""
    folder = random_folder.make(tmp_path / "folder", max_text_seq_length=6)
    done = subprocess.run([sys.executable, "-c", SPREAD, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
