"""Endless shuffled streams over real and synthetic videos: which video stands where (GV-VAD, Eq. 4-5).

V_n = V_rn ∪ V_vn and V_a = V_ra ∪ V_va are each drawn uniformly without replacement. A stream is permutations end to
end, and batch i its positions [i B, (i + 1) B): a pure function of i, so that the step alone is the position.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

SAMPLERS = ("paired", "shuffled", "normal_only")
SYNTHETIC = ("both", "anomalous", "normal")
FRACTION, MIXING, NORMAL, ANOMALOUS, ANY = 1, 2, 10, 11, 12  # what a random stream is for, beside data_seed


class Order:
    """The rows of one class, every pass a fresh permutation.

    NumPy's permutations, not grain's shuffle: that one seeds pass e with seed + e, so that streams of neighbouring
    seeds repeat each other, and it gave the identity for 17 of 4,000 seeds at n = 10 (0.001 expected).
    """

    def __init__(self, rows: Sequence[int], seed: Sequence[int], batch: int, drop_last: bool = False):
        """`drop_last`: a pass that does not fill its last batch of `batch` leaves the rest of its permutation out."""
        self.rows, self.seed, self.batch = np.asarray(rows, np.int64), tuple(seed), batch
        self.length = len(rows) // batch * batch if drop_last else len(rows)
        self._passes: dict[int, np.ndarray] = {}

    def __getitem__(self, index: int) -> Int[np.ndarray, " batch"]:
        """The rows of batch `index`."""
        first = index * self.batch
        drawn = [self._pass((first + i) // self.length)[(first + i) % self.length] for i in range(self.batch)]
        return np.array(drawn, np.int64)

    def _pass(self, number: int) -> np.ndarray:
        """Permutation `number`; the last few are kept (any thread may fill them in, all with the same values)."""
        drawn = self._passes.get(number)
        if drawn is None:
            drawn = np.random.default_rng([*self.seed, number]).permutation(self.rows)
            self._passes = dict(list(self._passes.items())[-3:]) | {number: drawn}
        return drawn


@dataclasses.dataclass(frozen=True)
class Mixed:
    """A fixed number of synthetic videos in every batch, at random places of it."""

    real: Order
    synthetic: Order
    seed: tuple[int, ...]

    def __getitem__(self, index: int) -> Int[np.ndarray, " batch"]:
        """The rows of batch `index`."""
        rows = np.concatenate([self.real[index], self.synthetic[index]])
        # Else the first normal and anomalous videos, which terms of pairs join, would be real together.
        return np.random.default_rng([*self.seed, index]).permutation(rows)


def kept(
    rows: Sequence[dict[str, Any]], *, synthetic: str = "both", fraction: float = 1.0, data_seed: int = 0
) -> list[int]:
    """The training rows that take part, in order.

    `synthetic`: the classes whose generated videos are used. `fraction`: int(f n) of each class's real videos, drawn
    by `data_seed` (a smaller fraction is part of a larger one); all generated ones stay.
    """
    _one_of("data.synthetic", synthetic, SYNTHETIC)
    if not 0 < fraction <= 1:
        raise ValueError(f"data.fraction is {fraction}; give a share of the real videos above 0 and up to 1.")
    if data_seed < 0:
        raise ValueError(f"data_seed is {data_seed}; give 0 or more.")
    unknown = [row["id"] for row in rows if row["label"] not in (0, 1)]
    if unknown:
        names = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise ValueError(f"{len(unknown)} of {len(rows)} training videos have no label ({names}); label or drop them.")
    chosen = []
    for label, name in ((0, "normal"), (1, "anomalous")):
        real = [i for i, row in enumerate(rows) if row["label"] == label and not row["synthetic"]]
        count = int(fraction * len(real))
        if real and not count:
            raise ValueError(f"data.fraction={fraction} leaves none of {len(real)} real {name} videos; raise it.")
        drawn = np.random.default_rng([data_seed, FRACTION, label]).permutation(len(real))[:count]
        chosen += [real[i] for i in drawn]
        if synthetic in ("both", name):
            chosen += [i for i, row in enumerate(rows) if row["label"] == label and row["synthetic"]]
    return sorted(chosen)


def groups(
    rows: Sequence[dict[str, Any]],
    chosen: Sequence[int],
    batch: int,
    *,
    sampler: str = "paired",
    synthetic_share: float | None = None,
    data_seed: int = 0,
    drop_last: bool = False,
) -> list[Order | Mixed]:
    """One order a group of the batch: normal and anomalous (`paired`), all together (`shuffled`), or `normal_only`."""
    _one_of("data.sampler", sampler, SAMPLERS)
    if batch < 1:
        raise ValueError(f"batch is {batch}; give at least 1 video a group.")
    if synthetic_share is not None and not 0 <= synthetic_share <= 1:
        raise ValueError(f"data.synthetic_share is {synthetic_share}; give a share of the batch from 0 to 1, or None.")
    if synthetic_share and not any(rows[i]["synthetic"] for i in chosen):
        raise ValueError(f"data.synthetic_share is {synthetic_share}, but no training video is synthetic; add a set.")
    members = {
        "paired": [((0,), NORMAL, "normal"), ((1,), ANOMALOUS, "anomalous")],
        "shuffled": [((0, 1), ANY, "training")],
        "normal_only": [((0,), NORMAL, "normal")],
    }
    made = []
    for labels, tag, name in members[sampler]:
        own = [i for i in chosen if rows[i]["label"] in labels]
        generated = [i for i in own if rows[i]["synthetic"]]
        real = [i for i in own if not rows[i]["synthetic"]]
        if not own:
            raise ValueError(f"data.sampler={sampler} needs {name} videos, but none are among the training videos.")
        # A class without generated videos (data.synthetic=anomalous, say) keeps its real ones in every place.
        count = round(synthetic_share * batch) if synthetic_share is not None and generated else None
        if count is not None and count in (0, batch) and synthetic_share not in (0, 1):
            raise ValueError(
                f"data.synthetic_share={synthetic_share} of {batch} {name} videos rounds to {count}, which leaves "
                f"{'the real' if count else 'the synthetic'} ones out; change it, or the batch."
            )
        if count is None:
            made.append(_order(own, (data_seed, tag), batch, drop_last, name))
        elif count == 0 or count == batch:
            made.append(_order(generated if count else real, (data_seed, tag), batch, drop_last, name))
        else:
            made.append(
                Mixed(
                    _order(real, (data_seed, tag, 0), batch - count, drop_last, f"real {name}"),
                    _order(generated, (data_seed, tag, 1), count, drop_last, f"synthetic {name}"),
                    (data_seed, tag, MIXING),
                )
            )
    return made


def _order(rows: Sequence[int], seed: tuple[int, ...], batch: int, drop_last: bool, name: str) -> Order:
    if not rows or (drop_last and len(rows) < batch):
        raise ValueError(
            f"a batch takes {batch} {name} videos, but there are {len(rows)}; "
            f"{'make the batch smaller or set data.drop_last to False' if rows else 'change data.synthetic_share'}."
        )
    return Order(rows, seed, batch, drop_last)


def _one_of(key: str, value: str, legal: Sequence[str]) -> None:
    if value not in legal:
        raise ValueError(f"{key} is {value!r}; choose one of {', '.join(legal)}.")
