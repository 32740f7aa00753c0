"""Descriptions: the texts that clips are generated from, in pairs of a normal and an anomalous one, as JSON lines."""

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from gvvad_jax.records import files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """One text with the four elements it was made of; a normal one has category `Normal` and an empty event."""

    id: str
    pair_id: str
    label: int  # 0 normal, 1 anomalous
    text: str
    category: str = ""
    viewpoint: str = ""
    location: str = ""
    subject: str = ""
    event: str = ""
    describer: str = ""
    seed: int | None = None


NEEDED = ("id", "pair_id", "label", "text")  # what a table of somebody else's clips has to say


def read_descriptions(path: str | os.PathLike) -> list[Description]:
    """Reads descriptions; a row without its fields, or an id twice: ValueError that names it. Other keys are left.

    Only id, pair_id, label and text are needed; a normal one is of category `Normal` where the row does not say.
    """
    names = [field.name for field in dataclasses.fields(Description)]
    found: dict[str, Description] = {}
    for number, row in enumerate(files.read_jsonl(path), 1):
        if missing := [name for name in NEEDED if row.get(name) is None]:
            raise ValueError(f"{path}, row {number}: a description without {', '.join(missing)}")
        row: dict[str, Any] = {name: row[name] for name in names if row.get(name) is not None}
        row |= {name: str(row[name]) for name in ("id", "pair_id") if isinstance(row[name], int)}
        if bad := [name for name, value in row.items() if name not in ("label", "seed") and not isinstance(value, str)]:
            raise ValueError(f"{path}, row {number}: {', '.join(bad)} must be text")
        if not row["id"] or row["id"] in found or row["label"] not in (0, 1) or not row["text"].strip():
            raise ValueError(
                f"{path}, row {number}: '{row['id']}' is there twice, has no text, or a label other than 0 and 1"
            )
        found[row["id"]] = Description(**{"category": "" if row["label"] else "Normal", **row})
    return list(found.values())


def write_descriptions(path: str | os.PathLike, descriptions: Iterable[Description]) -> None:
    """Writes descriptions, one a line, atomically."""
    files.write_jsonl(path, (dataclasses.asdict(d) for d in descriptions))
