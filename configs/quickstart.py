"""The whole chain on a laptop: descriptions → drawn clips → filter → features and captions → LAP with λ = 0.5 → AUC.

    python -m gvvad_jax.main --config=configs/quickstart.py --workdir=runs/quickstart

Needs no data, key or GPU. The clips are drawn street scenes whose captions the renderer writes itself (docs/scenes.md):
the figure says that the chain works, not how good a detector is.
"""

from typing import Any

from configs import pipeline


def get_config(arg: str | None = None) -> Any:
    """configs/pipeline.py, small."""
    c = pipeline.get_config(arg)
    c.pipeline.pairs = c.pipeline.real = c.pipeline.test = 10
    c.pipeline.frames = 96
    c.pipeline.motion = ("differences", "flow")
    c.switches.root, c.switches.components, c.switches.normalise, c.switches.noise = True, 16, "standardise", 1.0
    c.data.segments = 8  # a clip has six snippets
    c.batch = 8  # pairs
    c.steps = 300
    c.eval.every = 100
    return c
