"""Which generated clips are kept.

    python tools/filter.py --videos=SET --out=selection.jsonl [--config.filter.rule=rate]

Limits were fixed on rendered clips with planted defects, seeds 0 to 4, by the rule in docs/filtering.md, which has the
rates on other seeds. None, or inf on a command line: the number is written and not judged.
"""

from typing import Any

from ml_collections import config_dict

from configs import base


def get_config(arg: str | None = None) -> Any:
    """Takes no arguments."""
    base.arguments(arg)
    c: Any = config_dict.ConfigDict()
    c.filter = f = config_dict.ConfigDict()
    f.rule = "thresholds"  # thresholds | rate (the best share of each class)

    f.limits = limits = config_dict.ConfigDict()
    limits.frozen = 0.255  # longest unchanging part, share of the clip, at most
    limits.activity = 0.009  # share of the picture that changes from frame to frame, at least
    limits.jitter = 9.9  # median change of the camera's shift, pixels of a 320-pixel picture, at most
    limits.sharpness = 0.21  # Laplacian over contrast, at least
    limits.dark = 0.26  # share of black frames, at most
    limits.burnt = 0.256  # share of pixels above 250, at most
    limits.overlay_alone = 3.1  # lasting detail of a corner over that of the picture, at most
    limits.overlay_shared = 0.31  # likeness to a mark that other clips carry, at most
    limits.similarity = config_dict.placeholder(float)  # of pictures and description; depends on the model
    limits.margin = 0.0  # of similarity over the paired description's, at least
    limits.zero_shot = 0.5  # probability of its own class, at least
    limits.disagreement = 0.9  # |label - score| of a detector trained on real videos, at most

    f.duplicates = duplicates = config_dict.ConfigDict()  # cosines from which two clips are one
    duplicates.still = 0.94  # of backgrounds
    duplicates.moving = 0.84  # of what moves

    # Of rule=rate: shares of all clips of a class. GV-VAD's released lists keep 116 of 297 and 187 of 299.
    f.rates = rates = config_dict.ConfigDict()
    rates.anomalous = 116 / 297
    rates.normal = 187 / 299

    # Of rule=rate: what the order of the clips of a class weighs; 0: nothing.
    f.weights = weights = config_dict.ConfigDict()
    weights.similarity = 1.0
    weights.margin = 1.0
    weights.zero_shot = 1.0
    weights.disagreement = 1.0
    weights.overlay_alone = 0.5
    weights.overlay_shared = 0.5
    weights.jitter = 0.25
    weights.sharpness = 0.25
    weights.activity = 0.25
    weights.burnt = 0.25
    return c
