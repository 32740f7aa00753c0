"""Sentence vectors of videos: several text sets as one, and what a detector that reads them needs of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from gvvad_jax import records


class Texts(Mapping):
    """Sentence vectors by video id, over several sets."""

    def __init__(self, readers: Sequence[Any]):
        """Readers of text records, of one width and one sentence encoder."""
        self.readers = readers
        first = readers[0]
        for other in readers[1:]:
            for key in ("width", "sentence_encoder"):
                if first.manifest.get(key) != other.manifest.get(key):
                    raise ValueError(
                        f"{other.path} has {key} {other.manifest.get(key)}, but {first.path} "
                        f"{first.manifest.get(key)}; embed both with one sentence encoder."
                    )

    @property
    def width(self) -> int:
        """Columns of every vector."""
        return self.readers[0].manifest["width"]

    @property
    def encoder(self) -> str:
        """The sentence encoder's name; empty where the sets have none."""
        return str(self.identity.get("name") or "")

    @property
    def identity(self) -> dict[str, Any]:
        """All that the sets say of their sentence encoder."""
        return dict(self.readers[0].manifest.get("sentence_encoder") or {})

    def counts(self) -> dict[str, int]:
        """How many vectors each video has, from the index alone."""
        return {row["id"]: row["num_vectors"] for reader in self.readers for row in reader.rows}

    def __getitem__(self, id: str) -> Float[np.ndarray, "sentences width"]:
        """The vectors of one video; KeyError where no set has them."""
        for reader in self.readers:
            if id in reader:
                record = reader.by_id(id)
                records.require_finite(record)
                return record.vectors
        raise KeyError(id)

    def __iter__(self) -> Iterator[str]:
        """All ids."""
        return (id for reader in self.readers for id in reader.ids)

    def __len__(self) -> int:
        """How many videos have text."""
        return sum(map(len, self.readers))


def require_texts(texts: Texts | None, readers: Sequence[Any], detector: str) -> None:
    """Refuse videos without text, and with fewer sentences than half their snippets, which no alignment fills."""
    if texts is None:
        raise ValueError(
            f"{detector} reads text, but data.text is empty; name a text set, as tools/caption.py or "
            "tools/import_features.py --text makes (--config.data.text=SET)."
        )
    found = texts.counts()
    rows = [row for reader in readers for row in reader.rows]
    lacking = [row["id"] for row in rows if row["id"] not in found]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(rows)} videos have no text in data.text ({_some(lacking)}); {detector} reads it: "
            "caption them with tools/caption.py, or import it with tools/import_features.py --text."
        )
    short = [row["id"] for row in rows if 2 * found[row["id"]] < row["num_snippets"]]
    if short:
        raise ValueError(
            f"{len(short)} of {len(rows)} videos have fewer than one sentence vector for two snippets "
            f"({_some(short)}); their text is cut or another video's: caption them again."
        )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (", …" if len(ids) > 5 else "")
