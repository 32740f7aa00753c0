"""Whether a run's text is what its detector needs: there for every video, of the bank's width and sentence encoder."""

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
    needs_bank = "multi_prompt" in detectors.switches(config.detector)
    if needs_bank and not config.data.prompts and not config.init:
        raise ValueError(
            f"{config.detector} trains with a prompt bank, but data.prompts is empty; make one with "
            "tools/prompt_bank.py (--config.data.prompts=bank.npz)."
        )
    if needs_bank and config.data.prompts:
        bank = prompts.read_bank(config.data.prompts)
        names = {config.data.prompts: bank.encoder, config.data.text: sets.texts.encoder}
        if bank.encoder and sets.texts.encoder and bank.encoder != sets.texts.encoder:
            raise ValueError(
                f"{config.data.prompts} was made with {bank.encoder}, but {config.data.text} with "
                f"{sets.texts.encoder}; embed both with one sentence encoder."
            )
        notes += [f"{path} does not name its sentence encoder" for path, name in names.items() if not name]
    for note in notes:
        logging.warning("%s", note)
    return notes
