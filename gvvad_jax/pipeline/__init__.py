"""The chain in one command: describe → generate → extract → caption → filter → train without and with generated videos.

Real and generated videos are separate sets, so that the same detector can be trained on the real ones alone. Every set
is done or not by its manifest: run again, the chain goes on where it stopped.
"""

import copy
from pathlib import Path
from typing import Any

import jax

from gvvad_jax import detectors, records
from gvvad_jax.pipeline import stages
from gvvad_jax.pipeline.stages import Plan, Stage
from gvvad_jax.training import runs, settings

__all__ = ["Plan", "Stage", "plan", "run", "show"]


def plan(config: Any, folder: Path) -> Plan:
    """What a run would make, in order; refuses what cannot be, before anything is written."""
    runs.check(config)
    made = stages.plan(config, folder.resolve())  # the same run, from whichever folder it is started
    for part, place in ((_training(config, made), folder), (_real_only(config, made), folder / "real_only")):
        settings.require_same(part, place)
    # W's own config is written when training starts; sets that a killed chain left are of these settings, too.
    settings.require_same(_origin(config), folder / "sets")
    return made


def show(made: Plan) -> list[str]:
    """The plan as lines: what is done, and what each stage that is not would cost."""
    lines = [
        f"{'done ' if stage.is_done else 'to do'}  {stage.name}: {stage.cost}: {stage.out}" for stage in made.stages
    ]
    return [*lines, f"to do  train without and with generated videos: {made.training_cost}: {made.folder}"]


def run(config: Any, folder: Path) -> dict[str, Any]:
    """Makes the sets in W/sets/, trains in W/real_only on the real videos alone and in W on real ∪ generated ones.

    In this order, so that summary and page of W hold the figures of both ("real_only": {"auc", "auc_anomalous"}).
    """
    made = plan(config, folder)
    folder, notes = made.folder, []
    made.check()
    if jax.process_index() == 0:
        settings.write(_origin(config), folder / "sets")
        print("\n".join(show(made)))
        notes = stages.make(made.stages)
        stages.write_test_clips(made)
    _wait()
    alone = runs.train_seeds(_real_only(config, made), folder / "real_only")
    headline = alone["metrics"][alone["rule"]] or {}
    figures = {key: headline.get(key) for key in ("auc", "auc_anomalous")}
    each = [{key: settings.of_run(value, k) for key, value in figures.items()} for k in range(config.seeds)]
    more = [{"real_only": less, "chain": _counts(made, notes)} for less in each]
    found = runs.train_seeds(_training(config, made), folder, more)
    if jax.process_index() == 0:
        if command := stages.score_command(made, config.seed if config.seeds > 1 else None):
            print(f"score a clip as you would your own:\n  {command}")
        print(_line(figures))
    return found


def _origin(config: Any) -> dict[str, Any]:
    return {
        "pipeline": config.pipeline.to_dict(),
        "filter": config.filter.to_dict(),
        "data_seed": config.data_seed,
        "text": detectors.reads_text(config.detector),
    }


def _training(config: Any, made: Plan) -> Any:
    """The config of training on real ∪ generated videos."""
    own = _real_only(config, made)
    own.data.features = f"{made.real.features},{made.generated.features}"
    if made.real.text:
        own.data.text = ",".join(filter(None, (made.real.text, made.generated.text)))
    if config.pipeline.filter:
        own.data.selection = str(made.selection)
    return own


def _real_only(config: Any, made: Plan) -> Any:
    own = copy.deepcopy(config)
    own.mode = "train"
    own.data.features, own.data.text, own.data.prompts = made.real.features, made.real.text, made.prompts
    own.data.selection = ""
    return own


def _counts(made: Plan, notes: list[str]) -> dict[str, Any]:
    """How many clips were described, made and kept, by class; what went wrong on the way."""
    found: dict[str, Any] = {"described": len(records.read_descriptions(made.descriptions)), "notes": notes}
    if made.selection.exists():
        rows = records.read_selection(made.selection).rows
        for label, name in enumerate(("normal", "anomalous")):
            own = [row["keep"] for row in rows if row.get("label") == label]
            found[f"filtered_{name}"], found[f"kept_{name}"] = len(own), sum(own)
    return found


def _wait() -> None:
    """Until process 0 has made the sets; the others only read them."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("sets are made")


def _line(figures: dict[str, Any]) -> str:
    """One line; of several seeds the mean."""
    every, anomalous = (value["mean"] if isinstance(value, dict) else value for value in figures.values())
    if every is None or anomalous is None:
        return "real only: no frame metrics"
    return f"real only: {every:.4f} over all videos, {anomalous:.4f} over anomalous ones"
