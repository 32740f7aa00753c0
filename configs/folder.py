"""A folder of one's own videos, sorted into normal/ and anomalous/ (or with labels.csv; see README).

    python tools/extract.py --dataset=folder --root=DIR --out=SET
    python -m gvvad_jax.main --config=configs/folder.py --workdir=W --config.data.features=SET

A fixed camera and small things: extract with --crops=tiles and --motion=differences,flow, and take configs/ped2.py.
"""

from typing import Any

from configs import base


def get_config(arg: str | None = None) -> Any:
    """RTFM on standardised features: clips of any length, a few dozen or a few thousand of them."""
    c = base.get_config(arg)
    c.switches.normalise = "standardise"
    c.data.short = "mask"
    c.data.segments = 32
    c.batch = 8
    return c
