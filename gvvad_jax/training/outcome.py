"""What a trained run comes to: every rule's figures, the bundle of the headline's weights, and summary.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from gvvad_jax import detectors, evaluation
from gvvad_jax.evaluation import output, summary
from gvvad_jax.training import rules
from gvvad_jax.training import state as states


def finish(
    folder: Path,
    judge: rules.Rules,
    state: states.State,
    *,
    rule: str,
    seed: int,
    extraction: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Evaluate each rule's weights, write bundle, curves and pages of `rule`, and give the summary.

    `facts`: the fields of summary.json that the config and the data say.
    """
    figures: dict[str, Any] = {}
    headline: Any = None
    for name, chosen in judge.chosen(state).items():
        figures[name] = None
        if chosen is not None:
            step, detector = chosen
            videos, notes = judge.test_videos(detector)
            found = evaluation.full_metrics(videos, seed)
            figures[name] = None if found is None else {**found, "step": step}
            if name == rule:
                headline = step, detector, videos, notes
    if headline is None:
        raise ValueError(f"checkpoint.rule={rule} found nothing to choose by: the videos it uses are of one class.")
    step, detector, videos, notes = headline
    reader, tail = judge.sets.test, judge.alignment["tail"]
    built = summary.build(
        **dict(facts)
        | {
            "metrics": figures,
            "baselines": evaluation.untrained_baselines(reader, videos, tail) if reader is not None else {},
            "notes": [*judge.sets.notes, *facts.get("notes", ()), *notes],
            "rule": rule,
            "seed": seed,
            "step": step,
            "inputs": judge.sets.digests,
            "tail": tail,
            "labels": labels(judge.alignment),
        }
    )
    built = output.plain(built)
    if jax.process_index() == 0:
        said = ("trained_on", "ssls", "seed", "step", "rule", "counts", "inputs", "commit")
        provenance = {key: built[key] for key in said}
        detectors.bundle.save(folder / "bundle", detector, dict(extraction), provenance)
        evaluation.write(folder, videos, figures[rule], built)
    return built


def labels(alignment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The published ground truth that summary.json names; None where the records' intervals count."""
    if not alignment["labels"]:
        return None
    return {"file": alignment["labels"], "list": alignment["label_list"], "padding": alignment["label_padding"]}
