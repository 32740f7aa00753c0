"""How many lines the published lists have, and which of them are anomalous and generated.

Counted in the lists of GV-VAD, LAP, TEVAD, RTFM, UR-DMU and PEL4VAD; most training lists have all
anomalous lines first.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Published:
    """A published list: its lines, the anomalous ones, whether these come first, and generated ones of each class."""

    lines: int
    anomalous: int
    ordered: bool = True
    synthetic: tuple[int, int] = (0, 0)  # anomalous, normal


LISTS = {
    "ucf": (
        Published(2206, 1107, synthetic=(297, 299)),  # GV-VAD, ucfg1
        Published(1913, 926, synthetic=(116, 187)),  # GV-VAD, ucfg2
        Published(1610, 810),
        Published(1608, 810),  # LAP's large list lacks Normal_Videos307 and 308
        Published(16100, 8100),  # UR-DMU, PEL4VAD: a line a crop
        Published(290, 140, ordered=False),  # test; LAP has another order
        Published(2900, 1400, ordered=False),
    ),
    "xd": (
        Published(3951, 1904),
        Published(3954, 1905, ordered=False),
        Published(19770, 9525),  # UR-DMU: a line a crop
        Published(800, 500, ordered=False),
        Published(4000, 2500, ordered=False),
    ),
    "shanghaitech": (
        Published(238, 63),
        Published(2380, 630, ordered=False),  # PEL4VAD: a line a crop, with a label
        Published(199, 44, ordered=False),
        Published(1990, 440, ordered=False),
        Published(437, 107, ordered=False),  # both parts in one list
    ),
    "tad": (Published(400, 190), Published(100, 60, ordered=False)),
    "ped2": (Published(10, 6), Published(18, 6, ordered=False)),
}


def find(dataset: str, lines: Sequence[Any]) -> Published | None:
    """The published list of a data set with so many lines.

    Official splits (Anomaly_Train.txt, SH_Train.txt) name videos in another order: the anomalous come first in lists of
    feature files alone, and where there is no column of labels, for that is what programs rely on there.
    """
    known = next((known for known in LISTS.get(dataset, ()) if known.lines == len(lines)), None)
    if known is None or all(line.path.lower().endswith(".npy") and not line.column for line in lines):
        return known
    return dataclasses.replace(known, ordered=False)


def check(
    path: Path, dataset: str, published: Published, lines: Sequence[Any], labels: Sequence[tuple[int, int, int]]
) -> None:
    """Refuses a list of a published length whose lines are others; `labels`: (label, label by name, synthetic)."""
    known = f"{path}: {published.lines:,} lines, as a published list of {dataset}"
    help = "restore the published list, or add or take a line if it is your own"
    if published.ordered:
        for position, (line, (_, said, _)) in enumerate(zip(lines, labels, strict=True)):
            first = int(position < published.anomalous)
            if said not in (-1, first):
                raise ValueError(
                    f"{known}, where the first {published.anomalous:,} are anomalous, but line {line.number}, "
                    f"{line.stem}, is {'anomalous' if said else 'normal'}; {help}."
                )
    anomalous = sum(label == 1 for label, _, _ in labels)
    if anomalous != published.anomalous and all(label >= 0 for label, _, _ in labels):
        raise ValueError(f"{known} with {published.anomalous:,} anomalous ones, but {anomalous:,} are here; {help}.")
    synthetic = tuple(sum(label == y and s == 1 for label, _, s in labels) for y in (1, 0))
    if published.synthetic != (0, 0) and synthetic != published.synthetic:
        raise ValueError(
            f"{known} with {published.synthetic[0]} + {published.synthetic[1]} generated videos (anomalous + normal), "
            f"but {synthetic[0]} + {synthetic[1]} are here; the path of such a video contains GeneratedVideos or "
            f"description; {help}."
        )
