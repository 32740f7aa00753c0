"""Sets of records: the files through which the package's halves meet (docs/records.md).

`writer` and `reader` for features, texts and videos; `read_selection` for views; `check` for the doctor.
"""

from gvvad_jax.records.descriptions import Description, read_descriptions, write_descriptions
from gvvad_jax.records.files import atomic_write, read_jsonl, write_jsonl
from gvvad_jax.records.inspection import check
from gvvad_jax.records.reader import Reader, reader
from gvvad_jax.records.schemas import SCHEMA, Block, Feature, Text, Video, require_finite
from gvvad_jax.records.selection import Selection, read_selection, write_selection
from gvvad_jax.records.writer import Helper, Writer, writer

__all__ = [
    "SCHEMA",
    "Block",
    "Description",
    "Feature",
    "Helper",
    "Reader",
    "Selection",
    "Text",
    "Video",
    "Writer",
    "atomic_write",
    "check",
    "read_descriptions",
    "read_jsonl",
    "read_selection",
    "reader",
    "require_finite",
    "write_descriptions",
    "write_jsonl",
    "write_selection",
    "writer",
]
