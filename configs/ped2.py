"""UCSD Ped2, weakly supervised split: 10 training videos, 18 test videos.

    python tools/extract.py --dataset=ped2 --root=DIR --crops=tiles --tiles=5x3 --motion=differences,flow --out=SET
    python -m gvvad_jax.main --config=configs/ped2.py --workdir=W --config.data.features=SET --config.seeds=3

Choices were made for any fixed camera seen through tiles and on the training videos; docs/ped2.md says how, and lists
every look at the test split.
"""

from typing import Any

from configs import base


def get_config(arg: str | None = None) -> Any:
    """`:detector=linear|rtfm|tevad|lap,variant=…,features=SET`.

    linear (the default): few weights for few videos; the others see the same reduced tiles.
    """
    given = base.arguments(arg, detector="linear", variant="", features="")
    c = base.get_config()
    c.detector, c.variant, c.data.features = given["detector"], given["variant"] or None, given["features"]
    if c.detector != "linear":  # what linear does by default
        c.switches.root, c.switches.components, c.switches.normalise, c.switches.noise = True, 16, "standardise", 1.0
        c.switches.crop_aggregation, c.switches.smooth = "max", 5
    c.data.short = "mask"  # Ped2's videos have 7 to 11 snippets
    c.data.segments = 16
    c.batch = 12  # pairs: each of the 4 normal videos three times and of the 6 anomalous ones twice
    c.steps = 1000
    c.eval.every = 100
    return c
