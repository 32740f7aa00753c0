"""From numbers to a choice: limits on each measure, or the best share of each class that matches a rate.

A check whose number is None is `not checked`. Under `rate` a clip that is no video at all (frozen, black, burnt, too
still, a duplicate) is never kept; what else is kept, the best first, fills each class's share.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gvvad_jax.synthesis.filtering import agreement

RULES = ("thresholds", "rate")
PUBLISHED = {"anomalous": 116 / 297, "normal": 187 / 299}  # ucfg2 of ucfg1, the released lists
CLASSES = {1: "anomalous", 0: "normal"}


@dataclass(frozen=True)
class Check:
    """One number's meaning: whether more is better, whether failing makes it no video, and how a reason reads."""

    sentence: str
    higher_is_better: bool = False
    is_defect: bool = False


CHECKS = {
    "frozen": Check("{:.0%} of it is one unchanging picture", is_defect=True),
    "activity": Check("too still: {:.2%} of the picture changes", higher_is_better=True, is_defect=True),
    "jitter": Check("the camera jumps by {:.1f} pixels a frame"),
    "sharpness": Check("blurred: sharpness {:.2f}", higher_is_better=True),
    "dark": Check("{:.0%} of its frames are black", is_defect=True),
    "burnt": Check("{:.0%} of the picture is burnt out", is_defect=True),
    "overlay_alone": Check("a corner holds {:.1f} times the lasting detail of the rest: a mark"),
    "overlay_shared": Check("a corner mark that other clips carry, too: likeness {:.2f}"),
    "similarity": Check("its pictures do not fit its description: similarity {:.3f}", higher_is_better=True),
    "margin": Check("its pictures fit the paired description better: margin {:.3f}", higher_is_better=True),
    "zero_shot": Check("looks like the other class: probability {:.2f} of its own", higher_is_better=True),
    "disagreement": Check("a detector disagrees with its label by {:.2f}"),
}


@dataclass(frozen=True)
class Rule:
    """How clips are chosen; a check without a limit, or with None or no finite number for one, is not judged."""

    name: str = "thresholds"
    limits: Mapping[str, float | int | None] = field(default_factory=dict)
    rates: Mapping[str, float | int] = field(default_factory=lambda: dict(PUBLISHED))
    weights: Mapping[str, float | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise ValueError(f"filter.rule is {self.name!r}; choose one of {', '.join(RULES)}.")
        for what, names, known in (
            ("limits", self.limits, CHECKS),
            ("weights", self.weights, CHECKS),
            ("rates", self.rates, PUBLISHED),
        ):
            if unknown := sorted(set(names) - set(known)):
                raise ValueError(f"filter.{what} names {unknown[0]!r}; it knows {', '.join(known)}.")
        for name, rate in self.rates.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"filter.rates.{name} is {rate}; it is a share from 0 to 1.")

    def limit(self, name: str) -> float | None:
        """A check's limit; None: it has none. A command line cannot say None, so `inf` and `nan` mean it, too."""
        limit = self.limits.get(name)
        return None if limit is None or not math.isfinite(limit) else float(limit)

    def wanted(self, label: int, num_clips: int) -> int | None:
        """How many clips of a class the rate asks for; None: no rate."""
        rate = self.rates.get(CLASSES[label]) if self.name == "rate" else None
        return None if rate is None else round(rate * num_clips)

    def fails(self, name: str, value: float | None) -> bool | None:
        """Whether a number is past its limit; None: not checked."""
        limit = self.limit(name)
        if limit is None or value is None:
            return None
        return value < limit if CHECKS[name].higher_is_better else value > limit


def choose(
    facts: Sequence[Mapping[str, Any]],
    measures: Sequence[Mapping[str, float | None] | None],
    duplicates: Mapping[int, Sequence[tuple[int, float]]],
    rule: Rule,
    errors: Mapping[int, str] | None = None,
) -> list[dict[str, Any]]:
    """A selection's rows, in set order: id, keep, reasons, checks, measures and what they are of.

    `duplicates` maps a clip's number to the earlier ones it repeats. A clip is dropped as a duplicate only of a clip
    that is not itself dropped for something else, so that of several the first sound one stays. `errors` are the clips
    that gave no numbers.
    """
    rows, sound = [], set()
    for number, (fact, own) in enumerate(zip(facts, measures, strict=True)):
        own = own or {}
        row: dict[str, Any] = {"id": fact["id"], "keep": False, "reasons": [], "label": fact["label"]}
        row |= {"category": fact["category"], "pair_id": fact["pair_id"], "text": fact["text"]}
        row |= {"rule": rule.name, "checks": {}, "measures": dict(own), "duplicate_of": None}
        if errors and number in errors:
            row["reasons"].append(errors[number])
        failed = []
        for name, check in CHECKS.items():
            value = own.get(name)
            fails = rule.fails(name, value)
            row["checks"][name] = {None: "not checked", True: "failed", False: "passed"}[fails]
            if fails:
                row["reasons"].append(f"{check.sentence.format(value)} (limit {rule.limit(name):g})")
                failed.append(name)
        row["wrong_event"] = _together([row["checks"][name] for name in agreement.EVENT])
        blocking = [name for name in failed if rule.name == "thresholds" or CHECKS[name].is_defect]
        if own and not blocking:
            earlier = [(first, like) for first, like in duplicates.get(number, ()) if first in sound]
            if earlier:
                first, like = min(earlier)
                row["duplicate_of"] = facts[first]["id"]
                row["reasons"].append(f"the same clip as {facts[first]['id']} (likeness {like:.2f})")
            else:
                sound.add(number)
        row["keep"] = number in sound
        rows.append(row)
    if rule.name == "rate":
        _match(rows, rule)
    return rows


def _together(states: Sequence[str]) -> str:
    if "failed" in states:
        return "failed"
    return "passed" if "passed" in states else "not checked"


def _match(rows: list[dict[str, Any]], rule: Rule) -> None:
    """Keeps the best of each class, as many as the rate asks of all its clips; a class without a rate keeps all."""
    for label in CLASSES:
        of_class = [row for row in rows if row["label"] == label]
        wanted = rule.wanted(label, len(of_class))
        if wanted is None:
            continue
        sound = [row for row in of_class if row["keep"]]
        for row, quality in zip(sound, _quality(sound, rule), strict=True):
            row["quality"] = quality
        ranked = sorted(sound, key=lambda row: -row["quality"])  # stable: of equals the first in set order
        for place, row in enumerate(ranked, 1):
            row["keep"] = place <= wanted
            if not row["keep"]:
                row["reasons"].append(f"place {place} of its class, of which the best {wanted} are kept")


def _quality(rows: Sequence[Mapping[str, Any]], rule: Rule) -> list[float]:
    """The weighted mean over measures of a clip's rank in its class (0 worst, 1 best), less 1 for each failed check."""
    total, weights = np.zeros(len(rows)), np.zeros(len(rows))
    for name, weight in rule.weights.items():
        values = [row["measures"].get(name) for row in rows]
        known = np.array([value is not None for value in values], bool)
        if not known.any():
            continue
        own = np.array([value for value in values if value is not None], float)
        own = own if CHECKS[name].higher_is_better else -own
        worse, equal = (own[:, None] > own).sum(1), (own[:, None] == own).sum(1)
        total[known] += weight * (worse + 0.5 * equal) / len(own)
        weights[known] += weight
    failed = np.array([list(row["checks"].values()).count("failed") for row in rows], float)
    return (np.divide(total, weights, out=np.zeros(len(rows)), where=weights > 0) - failed).tolist()
