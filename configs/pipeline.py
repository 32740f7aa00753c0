"""The whole chain for a data set: describe → generate → extract → caption → filter → train without and with the clips.

    python -m gvvad_jax.main --config=configs/pipeline.py --workdir=W --dry_run
    python -m gvvad_jax.main --config=configs/pipeline.py --workdir=W --config.pipeline.dataset=ped2 \\
        --config.pipeline.root=ped2 --config.detector=rtfm

`--dry_run` prints what is done and what the rest would cost. Run again, the chain goes on where it stopped.
"""

from typing import Any

from configs import base


def get_config(arg: str | None = None) -> Any:
    """LAP with λ = 0.5 as GV-VAD's paper; 300 pairs of descriptions. Takes no arguments."""
    base.arguments(arg)
    c = base.get_config()
    c.mode = "pipeline"
    c.detector = "lap"
    c.data.short = "mask"  # generated clips have few snippets
    return c
