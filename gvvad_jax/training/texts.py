"""Whether a run's text is what its detector needs: there for every video, of the bank's width and sentence encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from gvvad_jax import bags, detectors
from gvvad_jax.features import prompts


def check(config: Any, sets: bags.Sets) -> list[str]:
    """Refuse text and prompts that do not fit; gives notes for summary.json, logged as warnings too."""
    readers = [*sets.training, *sets.validation, *([sets.test] if sets.test is not None else [])]
    notes = []
    if config.data.text_source == "description":
        # A generated clip's text is then found through its record, when it is read.
        real = [reader.select(lambda row: not row["synthetic"]) for reader in sets.training]
        readers = [*real, *readers[len(sets.training) :]]
        notes.append(
            "data.text_source=description: the text of generated training clips is the sentence that made them, "
            "which tells their label"
        )
    bags.require_texts(sets.texts, [reader for reader in readers if len(reader)], config.detector)
    assert sets.texts is not None
    own = detectors.switches(config.detector, config.variant or None)
    given = {name: value for name, value in config.losses.items() if value is not None}
    needs_bank = any((own | given).get(name) for name in ("pseudo_anomaly", "multi_prompt"))
    if needs_bank and not config.data.prompts and not config.init:
        raise ValueError(
            f"{config.detector} trains with a prompt bank, but data.prompts is empty; make one with "
            "tools/prompt_bank.py (--config.data.prompts=bank.npz)."
        )
    if needs_bank and (config.data.prompts or Path(config.init).is_dir()):
        path, encoder = _bank(config)
        encoders = {path: encoder, config.data.text: sets.texts.identity}
        if differing := _differing(encoder, sets.texts.identity):
            raise ValueError(
                f"the prompts of {path} were made with {differing[0]}, but {config.data.text} was made with "
                f"{differing[1]}; embed both with one sentence encoder."
            )
        notes += [f"{path} does not name its sentence encoder" for path, own in encoders.items() if not own.get("name")]
    for note in notes:
        logging.warning("%s", note)
    return notes


def require_same(path: str, texts: Any, detector: Any, extraction: Mapping[str, Any], bundle: str) -> None:
    """Refuse text (of `path`) of another width or sentence encoder than a detector was trained with."""
    if texts.width != detector.inputs.text:
        raise ValueError(
            f"{path} is {texts.width} columns wide, but {bundle} was trained on text of {detector.inputs.text}; embed "
            "the sentences with the encoder it was trained on."
        )
    if differing := _differing(texts.identity, _encoder(extraction)):
        raise ValueError(
            f"{path} was made with {differing[0]}, but {bundle} was trained on text of {differing[1]}; embed the "
            "sentences with the encoder it was trained on."
        )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str] | None:
    """In what two sentence encoders differ, of what both say; None: in nothing."""
    for key in ("name", "weights_sha256", "pooling", "normalised"):
        values = one.get(key), other.get(key)
        if None not in values and "" not in values and values[0] != values[1]:
            first, second = (value if key == "name" else f"{one.get('name')} of {key} {value}" for value in values)
            return str(first), str(second)
    return None


def _bank(config: Any) -> tuple[str, Mapping[str, Any]]:
    """Where the prompts of a run come from, and their sentence encoder: a bank, or the bundle that it starts from."""
    if config.data.prompts:
        return config.data.prompts, prompts.read_identity(config.data.prompts)
    return config.init, _encoder(detectors.bundle.extraction(config.init))


def _encoder(extraction: Mapping[str, Any]) -> Mapping[str, Any]:
    return extraction.get("sentence_encoder") or {}
