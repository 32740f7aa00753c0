"""Selections: which videos of a set to keep and why, as JSON lines; a view applied when reading, so that filtering
never extracts again."""

import dataclasses
import os
from collections.abc import Container, Iterable, Mapping
from typing import Any

from gvvad_jax.records import files


@dataclasses.dataclass(frozen=True)
class Selection:
    """The ids to keep and the rows they came from; usable as `where`. A video it does not name is not kept."""

    path: str
    ids: frozenset[str]
    rows: tuple[dict[str, Any], ...]

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Whether to keep the record of this row of an index."""
        return row["id"] in self.ids

    @property
    def named(self) -> list[str]:
        """Every id that a row names, kept or not."""
        return [row["id"] for row in self.rows]

    def require_known(self, ids: Container[str], where: str) -> None:
        """Refuses a selection that names videos which `ids` lacks."""
        unknown = [id for id in self.named if id not in ids]
        if unknown:
            names = ", ".join(f"'{id}'" for id in unknown[:5]) + (", …" if len(unknown) > 5 else "")
            raise ValueError(
                f"{self.path} names {len(unknown)} of {len(self.rows)} videos that {where} lacks ({names}); "
                "use the selection made for this set"
            )


def read_selection(path: str | os.PathLike) -> Selection:
    """Reads a selection; a row without `id` and a boolean `keep`, or an id twice: ValueError that names it."""
    rows, seen = files.read_jsonl(path), set()
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("keep"), bool):
            raise ValueError(f"{path}, row {number}: a selection's row needs 'id' (text) and 'keep' (true or false)")
        if row["id"] in seen:
            raise ValueError(f"{path}, row {number}: the video '{row['id']}' is named twice; keep one of the rows")
        seen.add(row["id"])
    return Selection(os.fspath(path), frozenset(row["id"] for row in rows if row["keep"]), tuple(rows))


def write_selection(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows of id, keep, reasons (a list of texts) and every number that led to it, atomically."""
    ordered = []
    for row in rows:
        if not isinstance(row.get("id"), str) or not isinstance(row.get("keep"), bool):
            raise ValueError(f"{path}: a selection's row needs 'id' (text) and 'keep' (true or false), not {dict(row)}")
        ordered.append({"id": row["id"], "keep": row["keep"], "reasons": list(row.get("reasons", ()))} | dict(row))
    files.write_jsonl(path, ordered)
