"""summary.json: what a run or an evaluation found, and the lines a program prints of it."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA = 1
RULES = ("last", "validation", "best_on_test")
RULE_NAMES = {
    "last": "last checkpoint",
    "validation": "best on held-out training videos",
    "best_on_test": "best on the test set itself (as published tables often are; optimistic)",
    "given": "scores as given",
    "annotation": "scores as given, under this package's annotation",
}
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


def build(
    *,
    dataset: str,
    metrics: Mapping[str, Mapping[str, Any] | None],
    baselines: Mapping[str, Any] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    rule: str = "last",
    trained_on: str | None = None,
    detector: str | None = None,
    variant: str | None = None,
    switches: Mapping[str, Any] | None = None,
    ssls: Mapping[str, Any] | str | None = None,
    seed: int | None = None,
    step: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    labels: Mapping[str, Any] | None = None,
    tail: str = "exact",
    **more: Any,
) -> dict[str, Any]:
    """The object of summary.json; `metrics` has an entry a rule (None: not available), `more` is added as it stands.

    `labels` names a published ground truth: file, list, padding.
    """
    if rule not in metrics:
        raise ValueError(f"rule={rule!r} has no entry in metrics, which has {', '.join(metrics)}.")
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "trained_on": trained_on,
        "detector": detector,
        "variant": variant,
        "switches": dict(switches or {}),
        "ssls": ssls,
        "seed": seed,
        "step": step,
        "rule": rule,
        "metrics": dict(metrics),
        "baselines": dict(baselines or {}),
        "counts": dict(counts or {}),
        "tail": tail,
        "labels": None if labels is None else dict(labels),
        "inputs": dict(inputs or {}),
        "versions": versions(),
        "commit": commit(),
        "device": device(),
        **more,
        "notes": list(dict.fromkeys(notes)),
    }


def versions() -> dict[str, str]:
    """Versions of Python, this package and what it computes with."""
    found = {"python": platform.python_version()}
    for package in ("gvvad-jax", *PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit this package is run from, `+` where files differ from it; None outside a clone."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(root), *args], capture_output=True, text=True, timeout=20, check=True
            ).stdout
            for args in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.strip() + ("+" if changed.strip() else "")


def device() -> str:
    """The accelerators in words."""
    import jax

    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}), {platform.machine()}"


def lines(summary: Mapping[str, Any]) -> list[str]:
    """What a program prints last: the headline figures, after the other rules with their names."""
    metrics, rule = summary["metrics"], summary["rule"]
    others = [f"{RULE_NAMES[name]}: {_pair(metrics[name])}" for name in metrics if name != rule and metrics[name]]
    headline = metrics.get(rule)
    if not headline:
        return [*others, "no frame metrics: no test video with frame labels"]
    if headline["auc"] is None:
        return [*others, "no frame AUC: it needs test videos with normal and with marked anomalous frames (labels.csv)"]
    return [
        *others,
        f"headline: {RULE_NAMES.get(rule, rule)}",
        f"frame AUC {show(headline['auc'])}",
        f"anomalous only {show(headline['auc_anomalous'])}",
    ]


def show(value: float | None) -> str:
    """Four digits, or a dash where a figure is not defined."""
    return "-" if value is None else f"{value:.4f}"


def _pair(figures: Mapping[str, Any]) -> str:
    """Not worded as the headline is, so that whoever searches a log for `frame AUC` finds one figure."""
    return f"{show(figures.get('auc'))} over all videos, {show(figures.get('auc_anomalous'))} over anomalous ones"
