"""What slices would need. Compiling for TPUs wants libtpu; without it all but its absence is skipped."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gvvad_jax import planning
from gvvad_jax.models.cogvideox import config
from gvvad_jax.planning import chips, cogvideox, programs, report

PLAN = Path(__file__).parents[2] / "tools/plan.py"
has_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")


def plan(*flags):
    environment = os.environ | {"XLA_FLAGS": ""}
    return subprocess.run(
        [sys.executable, str(PLAN), *flags], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("name", ["2b", "5b", "1_5_5b"])
def test_published_forms_are_those_planned_for(shared, name):
    published = json.loads((shared / f"golden/real_shapes/cogvideox_{name}_transformer.json").read_text())
    ours = cogvideox.FORMS[name.replace("1_5", "1.5").replace("_", "-")].transformer
    assert ours == config.Config.of(published["config"], name)


def test_a_topology_that_is_none_is_one_sentence():
    found = plan("--topology=v9:2x2")
    assert found.returncode == 2 and "no topology is called 'v9:2x2'" in found.stderr
    assert "Traceback" not in found.stderr


def test_what_cannot_be_planned_is_refused():
    native = (None, None, None)
    with pytest.raises(ValueError, match="no topology is called 'v5e'"):
        planning.generate("5b", "v5e", native, 50, True)
    with pytest.raises(ValueError, match="no model of this stage is called '7b'"):
        planning.generate("7b", "v5e:1x1", native, 50, True)
    with pytest.raises(ValueError, match="a clip of 48 frames"):
        planning.generate("5b", "v5e:1x1", (48, None, None), 50, True)
    with pytest.raises(ValueError, match="no model of this stage is called 'vgg'"):
        planning.extract("vgg", "v5e:1x1", 256)


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="libtpu is installed")
def test_without_libtpu_it_says_what_to_install():
    found = plan("--stage=extract", "--model=clip-base32")
    assert found.returncode == 2 and "pip install libtpu" in found.stderr


@has_libtpu
@pytest.mark.slow
@pytest.mark.parametrize("topology", ["v5e:2x2", "v5p:2x2x1", "v6e:2x2"])
def test_clip_compiles_for_slices(topology):
    found = plan("--stage=extract", "--model=clip-base32", f"--topology={topology}", "--batch=64")
    assert found.returncode == 0, found.stderr
    assert "every program fits" in found.stdout


def test_a_program_that_does_not_fit_is_marked():
    shared = dict(calls=1, steps=1, arguments=0.0, temporaries=0.0, operations=1e12, moved=1e9)
    small = programs.Result(name="small", peak=chips.GIB, collectives=Counter({"all-gather": 2}), **shared)
    large = programs.Result(name="large", peak=20 * chips.GIB, fits=False, **shared)
    text = report.table([small, large], chips.CHIPS["v5e"])
    assert "20.00 !" in text and "small: 2 all-gather" in text
    assert report.total([small, large], chips.CHIPS["v5e"]) == pytest.approx(2 * 1e12 / 197e12)
