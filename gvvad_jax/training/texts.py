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
        names = {path: encoder, config.data.text: sets.texts.encoder}
        if encoder and sets.texts.encoder and encoder != sets.texts.encoder:
            raise ValueError(
                f"the prompts of {path} were made with {encoder}, but {config.data.text} was made with "
                f"{sets.texts.encoder}; embed both with one sentence encoder."
            )
        notes += [f"{path} does not name its sentence encoder" for path, name in names.items() if not name]
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
    encoder = _encoder(extraction)
    if encoder and texts.encoder and encoder != texts.encoder:
        raise ValueError(
            f"{path} was made with {texts.encoder}, but {bundle} was trained on text of {encoder}; embed the sentences "
            "with the encoder it was trained on."
        )


def _bank(config: Any) -> tuple[str, str]:
    """Where the prompts of a run come from, and their sentence encoder: a bank, or the bundle that it starts from."""
    if config.data.prompts:
        return config.data.prompts, prompts.read_bank(config.data.prompts).encoder
    return config.init, _encoder(detectors.bundle.extraction(config.init))


def _encoder(extraction: Mapping[str, Any]) -> str:
    return str((extraction.get("sentence_encoder") or {}).get("name") or "")
