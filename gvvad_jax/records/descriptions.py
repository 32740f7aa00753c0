"""Descriptions: the texts that clips are generated from, in pairs of a normal and an anomalous one, as JSON lines."""

import dataclasses
import os
from collections.abc import Iterable

from gvvad_jax.records import files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """One text with the four elements it was made of; a normal one has category `Normal` and an empty event."""

    id: str
    pair_id: str
    label: int  # 0 normal, 1 anomalous
    category: str
    viewpoint: str
    location: str
    subject: str
    event: str
    text: str
    describer: str
    seed: int | None = None


def read_descriptions(path: str | os.PathLike) -> list[Description]:
    """Reads descriptions; a row without its fields, or an id twice: ValueError that names it. Other keys are left."""
    names = [field.name for field in dataclasses.fields(Description)]
    found: dict[str, Description] = {}
    for number, row in enumerate(files.read_jsonl(path), 1):
        if missing := [name for name in names if name not in row and name != "seed"]:
            raise ValueError(f"{path}, row {number}: a description without {', '.join(missing)}")
        if row["id"] in found or row["label"] not in (0, 1) or not str(row["text"]).strip():
            raise ValueError(
                f"{path}, row {number}: '{row['id']}' is there twice, has no text, or a label other than 0 and 1"
            )
        found[row["id"]] = Description(**{name: row.get(name) for name in names})  # type: ignore[arg-type]
    return list(found.values())


def write_descriptions(path: str | os.PathLike, descriptions: Iterable[Description]) -> None:
    """Writes descriptions, one a line, atomically."""
    files.write_jsonl(path, (dataclasses.asdict(d) for d in descriptions))
