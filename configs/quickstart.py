"""The whole way on a laptop: draw clips, extract features, train with generated clips at λ = 0.5, evaluate.

    python -m gvvad_jax.main --config=configs/quickstart.py --workdir=runs/quickstart

Needs no data, key or GPU. The clips are drawn street scenes (docs/scenes.md): the figure says that the chain works, not
how good a detector is.
"""

from ml_collections import config_dict

from configs import ped2


def get_config(arg: str | None = None) -> config_dict.ConfigDict:
    """The Ped2 detector on clips that the pipeline draws."""
    c = ped2.get_config(arg)
    c.mode = "pipeline"
    c.steps = 300
    c.switches.smooth = 1  # a clip has six snippets
    c.pipeline.crops = "tiles"
    c.pipeline.tiles = (3, 2)
    c.pipeline.motion = ("differences", "flow")
    return c
