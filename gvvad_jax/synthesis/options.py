"""What a generator of clips may be told, by tools/generate.py's flags or the chain's settings."""

import dataclasses
from pathlib import Path

GENERAL = ("shards", "mp4")  # of the set, whatever makes its clips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """A generator refuses what it does not know. None: the generator's own."""

    root: Path | None = None
    weights: str | Path | None = None  # a folder or a hub name
    frames: int | None = None  # of a clip
    height: int | None = None
    width: int | None = None
    steps: int | None = None
    guidance: float | int | None = None
    dynamic_guidance: str | None = None
    scheduler: str | None = None
    negative: str | None = None  # what guidance leads away from; None: the empty prompt
    dtype: str | None = None
    stepped: bool = False
    tiled: bool = False
    seed: int = 0
    shards: int = 8
    mp4: Path | None = None  # a folder where each clip is a file, too

    def require_only(self, generator: str, *known: str) -> None:
        """ValueError for an option that is given but not `known`."""
        for field in dataclasses.fields(self):
            given = getattr(self, field.name) != field.default
            if given and field.name not in (*known, *GENERAL):
                raise ValueError(f"--{field.name} does not go with --generator={generator}; leave it out.")
