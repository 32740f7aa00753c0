"""docs/records.md's own programs, run as they stand there."""

import re
import subprocess
import sys

import numpy as np

from gvvad_jax import records
from tests.records import samples


def blocks() -> list[str]:
    page = (samples.ROOT / "docs" / "records.md").read_text()
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


def test_the_documentation_makes_a_set_that_we_read(tmp_path):
    make, read = (code for code in blocks() if "gvvad_jax" not in code)
    last = "\nassert record['id'] == 'fight' and arrays['visual'].shape == (9, 1, 512)"
    for code in (make, read + last):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    r = records.reader(tmp_path / "my_set")
    assert records.check(r.path) == []
    assert [(x.id, x.label, x.dataset, x.intervals, x.blocks) for x in r] == [
        ("fight", 1, "mine", None, ()),
        ("walk", 0, "mine", None, ()),
    ]
    assert r[0].visual.dtype == np.float16 and (r[0].visual == 1).all()


def test_our_writer_adds_to_a_set_of_another_program(tmp_path):
    make = next(code for code in blocks() if "gvvad_jax" not in code)
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True, timeout=120)
    with records.writer(tmp_path / "my_set", "feature", shards=1) as w:
        assert w.done == ["fight", "walk"]
        w.add(samples.feature("new", crops=1, width=512))
    assert records.reader(tmp_path / "my_set").ids == ["fight", "new", "walk"] and not records.check(
        tmp_path / "my_set"
    )
