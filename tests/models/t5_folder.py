"""T5's tokenizer over a few sentences, as the `tokenizer/` folder of a diffusers directory has it."""

from pathlib import Path

import sentencepiece

SENTENCES = [
    "A man in a dark coat walks across an empty car park at night.",
    "Two people fight beside a parked van, seen by a camera above the door.",
    "A red car runs through a crossing and hits a cyclist; smoke rises.",
    "Shoppers walk past the counter of a small shop on a quiet afternoon.",
    "Someone breaks the window of a house and climbs in, 24 hours, CCTV footage.",
]


def make(path: Path, vocabulary: int = 80, **settings) -> Path:
    """spiece.model in `path`: <pad> 0, </s> 1, <unk> 2, no beginning of sentence."""
    path.mkdir(parents=True, exist_ok=True)
    settings = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1) | settings
    with (path / "spiece.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES),
            model_writer=file,
            vocab_size=vocabulary,
            model_type="unigram",
            minloglevel=2,
            **settings,
        )
    return path
