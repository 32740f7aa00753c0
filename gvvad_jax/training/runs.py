"""A run from its config: data, detector, state, loop, figures, bundle, in the order they happen."""

import dataclasses
import functools
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvvad_jax import bags, detectors, evaluation
from gvvad_jax.evaluation import output, summary
from gvvad_jax.features import prompts as banks
from gvvad_jax.training import checkpoints, loop, mesh, outcome, rules, scaling, settings, state, step
from gvvad_jax.training import log as logs
from gvvad_jax.training import texts as text_checks

NOT_NEGATIVE = "seed optimizer.learning_rate optimizer.weight_decay eval.every checkpoint.every".split()


def train_seeds(config: Any, folder: Path, more: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """`config.seeds` runs: one in W itself, several in W/seed-K with a summary over them in W.

    `more`: for each run, what else its summary and page hold.
    """
    check(config)
    settings.require_same(config, folder)
    more = more or [{}] * config.seeds
    if config.seeds == 1:
        return train(config, folder, more=more[0])
    found = []
    for seed, own_more in zip(range(config.seed, config.seed + config.seeds), more, strict=True):
        own = settings.of_seed(config, seed)
        settings.require_same(own, folder / f"seed-{seed}")
        found.append(train(own, folder / f"seed-{seed}", together=(config, folder), more=own_more))
    joined = settings.over_seeds(found)
    if jax.process_index() == 0:
        output.write_summary(folder / "summary.json", joined)
    return joined


def check(config: Any) -> None:
    """Refuse what a config alone shows to be wrong, before data are opened or made."""
    if config.seeds < 1:
        raise ValueError(f"seeds is {config.seeds}; give how many runs to make, 1 or more.")
    for name in NOT_NEGATIVE:
        value = functools.reduce(operator.getitem, name.split("."), config)
        if not value >= 0:  # NaN is refused, too
            raise ValueError(f"{name} is {value}; give 0 or more.")
    if config.steps < 1:
        raise ValueError(f"steps is {config.steps}; give 1 or more.")
    if config.data.segments is not None and config.data.segments < 1:
        raise ValueError(f"data.segments is {config.data.segments}; give 1 or more, or None for the detector's own.")
    if config.checkpoint.rule not in rules.RULES:
        raise ValueError(f"checkpoint.rule is {config.checkpoint.rule!r}; choose one of {', '.join(rules.RULES)}.")
    rules.alignment(config.eval)
    _changes(config, config.variant or detectors.variants(config.detector)[0])


def train(
    config: Any, folder: Path, together: tuple[Any, Path] | None = None, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One run of one seed, from wherever it stopped.

    `together`: config and folder of all seeds. `more`: what else its summary and page hold.
    """
    # Data: real ∪ synthetic, and this process's block of each batch.
    variant = config.variant or detectors.variants(config.detector)[0]
    reads_text = detectors.reads_text(config.detector)
    sets = bags.open_sets(
        config.data.features,
        text=config.data.text if reads_text else None,
        selection=config.data.selection,
        test=config.data.test,
        validation=config.data.validation,
        data_seed=config.data_seed,
    )
    text_notes = text_checks.check(config, sets) if reads_text else []
    alignment = rules.alignment(config.eval)
    _check(config.checkpoint.rule, sets, alignment)
    settings.require_same_sets(sets.digests, folder / "checkpoints")
    devices = mesh.make(config.batch)
    is_32 = variant == "official" and config.detector in ("rtfm", "tevad")
    segments = config.data.segments or (32 if is_32 else 64)
    stream = bags.training_stream(
        sets.training,
        segments=segments,
        batch=config.batch,
        sampler=config.data.sampler,
        short=config.data.short,
        synthetic=config.data.synthetic,
        synthetic_share=config.data.synthetic_share,
        fraction=config.data.fraction,
        data_seed=config.data_seed,
        text=sets.texts,
        text_source=config.data.text_source,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        drop_last=config.data.drop_last,
    )

    # Detector and state. Starting weights: W's checkpoint, else config.init, else fresh ones from the seed.
    kept = checkpoints.latest(folder / "checkpoints")
    detector = _detector(config, variant, stream)
    if kept is not None and kept > config.steps:
        raise ValueError(f"{folder} is at step {kept}, past steps={config.steps}; steps may only grow.")
    mode = detectors.check_training(detector, segments, config.data.short, config.ssls.mode)
    learnable = config.ssls.learnable or None
    start, origin = config.ssls.weight, "ssls.weight"  # of λ
    if learnable and config.init:
        released = detectors.released_weight(config.init)
        if released is not None:
            start, origin = released, f"the λ (VLR) that {config.init} carries"
    scaling.check(
        mode=mode,
        weight=start,
        reduction=config.ssls.reduction,
        schedule=config.ssls.schedule,
        learnable=learnable,
        origin=origin,
    )
    if kept is None and not (config.init and detector.transform.is_fitted):
        detector.fit_inputs(stream.normal_rows())
    structure, now = state.create(
        detector,
        synthetic_weight=start,
        learning_rate=config.optimizer.learning_rate,
        weight_decay=config.optimizer.weight_decay,
        lambda_parameter=scaling.initial(learnable, start) if learnable else None,
    )
    now = mesh.replicate(now, devices)
    one_step = step.compiled(
        structure,
        devices,
        mode,
        config.ssls.schedule,
        config.steps,
        reduction=config.ssls.reduction,
        learnable=learnable,
    )
    key = mesh.key(config.seed, devices)
    # Traced beforehand, so that what a detector refuses (a sampler, say) is refused before anything is written.
    one_step.trace(now, bags.shapes(stream[0], config.batch, devices), key)

    # From here on W is written.
    if jax.process_index() == 0:
        for own, place in [together, (config, folder)] if together else [(config, folder)]:
            settings.write(own, place)
        settings.write_sets(sets.digests, folder / "checkpoints")
    saved, log = checkpoints.Checkpoints(folder / "checkpoints"), None
    try:
        if kept is not None:
            now = saved.restore(now, devices)
        log = logs.Log(folder, int(now.step))
        judge = rules.Rules(structure, sets, folder / "checkpoints", alignment=alignment, log=log)
        now = loop.train(
            one_step,
            now,
            stream,
            devices,
            key,
            steps=config.steps,
            checkpoints=saved,
            checkpoint_every=config.checkpoint.every,
            evaluate=judge,
            eval_every=config.eval.every,
            log=log,
        )
    finally:
        saved.close()
        if log:
            log.close()

    # Figures under every rule, the bundle, the pages.
    training = sorted({row["dataset"] for reader in sets.training for row in reader.rows})
    tested = [] if sets.test is None else sorted({row["dataset"] for row in sets.test.rows})
    facts = {
        "dataset": ",".join(tested or training),
        "trained_on": ",".join(training),
        "detector": config.detector,
        "variant": variant,
        "switches": dataclasses.asdict(detector.switches),
        "ssls": {
            "mode": mode,
            "weight": config.ssls.weight,
            "schedule": config.ssls.schedule,
            "reduction": config.ssls.reduction,
            "learnable": learnable,
            "final": float(scaling.current(now.params, now.numbers, learnable)) if learnable else None,
        },
        "counts": stream.counts() | {"test": 0 if sets.test is None else len(sets.test)},
        "notes": [*text_notes, mesh.description(devices.size, config.batch)],
    } | dict(more or {})
    return outcome.finish(
        folder,
        judge,
        now,
        rule=config.checkpoint.rule,
        seed=config.seed,
        extraction={
            **stream.first.encoder,
            **({"sentence_encoder": sets.texts.identity} if sets.texts is not None else {}),
        },
        facts=facts,
    )


def evaluate(config: Any, folder: Path) -> dict[str, Any]:
    """Score a set with the bundle of W (or config.init) and write W/eval/<dataset>/."""
    path = folder / "bundle"
    if not path.exists():
        if not config.init:
            seeds = sorted(path.parent for path in folder.glob("seed-*/bundle"))
            if seeds:
                raise FileNotFoundError(
                    f"{folder} holds {len(seeds)} runs; evaluate one of them: --workdir={seeds[0]}."
                )
            raise FileNotFoundError(
                f"{folder} has no bundle to evaluate; train there first, or name a bundle or released checkpoint by "
                "init."
            )
        path = Path(config.init)
    sets = bags.open_test(config.data.test, config.data.features, config.data.text)
    reader = sets.test
    assert reader is not None
    if path.is_file():
        detector, described = _released(config, path, sets), {"extraction": {}, "provenance": {}}
    else:
        detector, described = detectors.bundle.load(path)
    bags.require_encoder(reader, detector.inputs.visual, described["extraction"], str(path))
    texts = sets.texts if detectors.reads_text(detector.name) else None
    if detectors.reads_text(detector.name):
        bags.require_texts(texts, [reader], detector.name)
        text_checks.require_same(config.data.text, texts, detector, described["extraction"], str(path))
    alignment = rules.alignment(config.eval)
    scores = evaluation.score_set(detector, reader, texts=texts)
    videos, notes = evaluation.test_videos(reader, scores, **alignment)
    provenance = described["provenance"]
    figures = evaluation.full_metrics(videos, config.seed)
    rule = provenance.get("rule", "last")
    dataset = ",".join(sorted({row["dataset"] for row in reader.rows}))
    built = summary.build(
        dataset=dataset,
        trained_on=provenance.get("trained_on"),
        detector=detector.name,
        variant=detector.variant,
        switches=dataclasses.asdict(detector.switches),
        seed=provenance.get("seed"),
        step=provenance.get("step"),
        rule=rule,
        metrics={name: figures if name == rule else None for name in rules.RULES},
        baselines=evaluation.untrained_baselines(reader, videos, config.eval.tail),
        counts=provenance.get("counts", {}) | {"test": len(reader)},
        tail=config.eval.tail,
        labels=outcome.labels(alignment),
        inputs=sets.digests,
        notes=[*sets.notes, *notes],
        bundle=str(path),
    )
    built = output.plain(built)
    if jax.process_index() == 0:
        evaluation.write(folder / "eval" / dataset, videos, figures, built)
    return built


def _check(rule: str, sets: bags.Sets, alignment: Mapping[str, Any]) -> None:
    """Refuse what would fail only at the first evaluation, or after training."""
    if rule == "validation" and not sets.validation:
        raise ValueError("checkpoint.rule=validation needs held-out videos; set data.validation above 0.")
    if rule == "validation" and not {0, 1} <= {row["label"] for reader in sets.validation for row in reader.rows}:
        raise ValueError("checkpoint.rule=validation needs held-out videos of both classes; choose another rule.")
    if rule == "best_on_test" and sets.test is None:
        raise ValueError("checkpoint.rule=best_on_test needs test videos; name a set by data.test.")
    if sets.test is None:
        return
    blank = {row["id"]: evaluation.VideoScores(np.zeros(row["num_snippets"], np.float32)) for row in sets.test.rows}
    videos, _ = evaluation.test_videos(sets.test, blank, **alignment)
    marked = [int(label) for video in videos if video.labels is not None for label in np.unique(video.labels)]
    if rule == "best_on_test" and not {0, 1} <= set(marked):
        raise ValueError(
            "checkpoint.rule=best_on_test needs test videos with normal and with marked anomalous frames; "
            "choose another rule."
        )


def _changes(config: Any, variant: str) -> dict[str, Any]:
    """The config's switches and coefficients that differ from the variant's own."""
    own = detectors.switches(config.detector, variant)
    losses = {name: value for name, value in config.losses.items() if value is not None}
    for name in losses:
        if name not in own:
            raise ValueError(f"{config.detector} has no loss term {name!r}; leave losses.{name} at None.")
    return {name: value for name, value in config.switches.items() if value is not None} | losses


def _detector(config: Any, variant: str, stream: bags.Stream) -> Any:
    """The detector for the stream's features, fresh or from config.init."""
    changes = _changes(config, variant)
    prompts = banks.read_bank(config.data.prompts).vectors if config.data.prompts else None
    inputs = detectors.Inputs(stream.width, stream.text_width, prompts, stream.first.blocks)
    if config.init:
        return detectors.load(config.detector, config.init, inputs, variant, **changes)
    return detectors.create(config.detector, inputs, variant, seed=config.seed, **changes)


def _released(config: Any, path: Path, sets: bags.Sets) -> Any:
    """The config's detector with the weights of a released checkpoint, for the test set's widths."""
    assert sets.test is not None
    variant = config.variant or detectors.variants(config.detector)[0]
    inputs = detectors.Inputs(sets.test.manifest["width"], sets.texts.width if sets.texts else None)
    return detectors.load(config.detector, path, inputs, variant, **_changes(config, variant))
