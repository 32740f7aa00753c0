"""The tables of facts that ship with the package: a video a line, made by tools/make_facts.py from raw annotations."""

from collections.abc import Iterable
from pathlib import Path

from gvvad_jax.datasets import text
from gvvad_jax.datasets.entry import Entry, Intervals

FACTS = Path(__file__).parent / "facts"
COLUMNS = ("id", "split", "label", "category", "num_frames", "intervals")
UNKNOWN, NONE = "?", "-"


def write(entries: Iterable[Entry], comments: Iterable[str]) -> str:
    """The table as text: `#` comments, a header, then a line a video sorted by id; `?` unknown, `-` no interval."""
    rows = [f"# {comment}" for comment in comments] + ["\t".join(COLUMNS)]
    for entry in sorted(entries, key=lambda entry: entry.id):
        frames = UNKNOWN if entry.num_frames is None else str(entry.num_frames)
        rows.append(
            "\t".join([entry.id, entry.split, str(entry.label), entry.category, frames, _spell(entry.intervals)])
        )
    return "\n".join(rows) + "\n"


def read(path: Path, dataset: str) -> dict[str, Entry]:
    """The entries of a table by id."""
    entries: dict[str, Entry] = {}
    rows = list(enumerate(path.read_text("utf-8").splitlines(), start=1))
    header = next((i for i, (_, raw) in enumerate(rows) if not raw.startswith("# ")), len(rows))
    if [raw.split("\t") for _, raw in rows[header : header + 1]] != [list(COLUMNS)]:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}")
    for number, raw in rows[header + 1 :]:
        cells = raw.split("\t")
        label = text.integers(cells[2:3])
        if len(cells) != len(COLUMNS) or not label:
            raise text.malformed(path, number, f"{len(COLUMNS)} cells ({', '.join(COLUMNS)})", raw)
        intervals = _parse(cells[5])
        entries[cells[0]] = Entry(
            id=cells[0],
            dataset=dataset,
            split=cells[1],
            label=label[0],
            category=cells[3],
            num_frames=None if cells[4] == UNKNOWN else int(cells[4]),
            intervals=intervals,
            notes=unmarked(cells[0], label[0], intervals),
        )
    return entries


def unmarked(id: str, label: int, intervals: Intervals | None) -> tuple[str, ...]:
    """The note of an anomalous video whose published annotation marks no frame (two of TAD)."""
    return (f"{id}: anomalous, but its annotation marks no frame",) if label == 1 and intervals == () else ()


def _spell(intervals: Intervals | None) -> str:
    return UNKNOWN if intervals is None else " ".join(f"{start}-{end}" for start, end in intervals) or NONE


def _parse(cell: str) -> Intervals | None:
    if cell in (UNKNOWN, NONE):
        return None if cell == UNKNOWN else ()
    both = (word.split("-") for word in cell.split())
    return tuple((int(start), int(end)) for start, end in both)
