"""A run's config as a file: saved in W, compared when W is used again, and one for each seed."""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gvvad_jax import records
from gvvad_jax.evaluation import summary as results

NAME = "config.json"
SETS = "sets.json"  # beside the checkpoints: digests of the sets that they were trained on
FREE = {"mode"}  # may differ on the same W
SETTINGS = {"schema", "versions"}  # of summary.json: no results, the same for every seed


def require_same(config: Any, folder: Path) -> None:
    """Refuse to go on in a folder whose run had another config; `steps` alone may grow."""
    before = read(folder)
    if before is None:
        return
    old, new = _flat(before), _flat(_plain(config))
    # A key that this version added counts as unchanged at its first use.
    changed = sorted(k for k in old.keys() & new.keys() if old[k] != new[k] and k not in FREE)
    if "steps" in changed and new["steps"] > old["steps"]:
        changed.remove("steps")
    if changed:
        what = ", ".join(f"{key} ({json.dumps(old[key])} -> {json.dumps(new[key])})" for key in changed)
        raise ValueError(
            f"{folder} holds a run with another config: {what}; take another --workdir, or the old values "
            "(steps alone may grow)."
        )


def require_same_sets(digests: Mapping[str, str], folder: Path) -> None:
    """Refuse to go on where a set has other contents than when the run began: its figures would name the wrong ones."""
    before = read(folder, SETS)
    if before is None or sorted(before.values()) == sorted(digests.values()):
        return
    changed = [path for path, digest in digests.items() if digest not in before.values()] or list(digests)
    raise ValueError(
        f"{', '.join(changed)} changed since the run in {folder.parent} began; take another --workdir, or "
        "--config.mode=evaluate to score it with what was trained."
    )


def write_sets(digests: Mapping[str, str], folder: Path) -> None:
    """Save what `require_same_sets` reads, making the folder."""
    _write(digests, folder / SETS)


def read(folder: Path, name: str = NAME) -> dict[str, Any] | None:
    """The config that the run in a folder had; None where there is no run."""
    path = folder / name
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); take another --workdir.") from None


def write(config: Any, folder: Path) -> None:
    """Save the config, making the folder."""
    _write(_plain(config), folder / NAME)


def of_seed(config: Any, seed: int) -> Any:
    """The config of one of several runs."""
    own = copy.deepcopy(config)
    own.seed, own.seeds = seed, 1
    return own


def over_seeds(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summaries of several runs as one with the same keys, each number {mean, std, values} (std: of the sample)."""
    together = {
        key: _joined([s.get(key) for s in summaries]) for key in summaries[0] if key not in SETTINGS | {"notes"}
    }
    notes = list(dict.fromkeys(note for s in summaries for note in s["notes"]))
    return {key: summaries[0][key] for key in summaries[0] if key in SETTINGS} | together | {"notes": notes}


def of_run(value: Any, number: int) -> Any:
    """What run `number` gave of a figure that `over_seeds` joined; a single run's as it is."""
    if isinstance(value, Mapping):
        return value["values"][number]
    return value[number] if isinstance(value, list) else value


def lines(summary: Mapping[str, Any]) -> list[str]:
    """What the command prints last; of several seeds the means, after the headline's figures of each."""
    if not isinstance(summary["seed"], Mapping):
        return results.lines(summary)
    headline, each = summary["metrics"][summary["rule"]], []
    for name, key in (("frame AUC", "auc"), ("anomalous only", "auc_anomalous")):
        figure = headline.get(key) if isinstance(headline, Mapping) else None
        if isinstance(figure, Mapping):
            values = ", ".join(f"{value:.4f}" for value in figure["values"])
            each.append(f"{name} of seeds {summary['seed']['values']}: {values} (std {figure['std']:.4f})")
    means = {name: _means(figures) for name, figures in summary["metrics"].items()}
    last = results.lines({**summary, "metrics": means})
    named = ("headline: ", *results.RULE_NAMES.values())
    return [*each, *(line.replace(": ", ": mean, ", 1) if line.startswith(named) else line for line in last)]


def _means(figures: Any) -> dict[str, float | None] | None:
    """The means of what is printed; None for a figure that some seed lacks."""
    if not isinstance(figures, Mapping):
        return None
    joined = {key: figures.get(key) for key in ("auc", "auc_anomalous")}
    return {key: value["mean"] if isinstance(value, Mapping) else None for key, value in joined.items()}


def _joined(values: list[Any]) -> Any:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if numbers and len(numbers) == len(values):
        spread = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0
        return {"mean": float(np.mean(numbers)), "std": spread, "values": numbers}
    if all(isinstance(v, Mapping) for v in values):
        return {key: _joined([v.get(key) for v in values]) for key in values[0]}
    if all(isinstance(v, list | tuple) and len(v) == len(values[0]) for v in values):
        return [_joined(list(item)) for item in zip(*values, strict=True)]
    # Words, or a figure that some seed lacks.
    return values[0] if all(v == values[0] for v in values) else values


def _write(value: Mapping[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with records.atomic_write(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def _plain(config: Any) -> dict[str, Any]:
    """Nested dictionaries of what JSON has."""
    given = config.to_dict() if hasattr(config, "to_dict") else config
    return json.loads(json.dumps(given))


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat
