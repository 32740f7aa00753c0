"""Files that are whole or not there; JSON lines and descriptions."""

import dataclasses
import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax import records
from tests.records import samples


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("before")
    with pytest.raises(KeyError), records.atomic_write(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    with records.atomic_write(path, text=True) as file:
        file.write("after é")
        assert path.read_text() == "before"
    assert path.read_bytes() == "after é".encode() and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file_that_had_no_room(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"), records.atomic_write(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError, match="'other'"), records.atomic_write(path):
        raise FileNotFoundError(errno.ENOENT, "none", "other")
    assert not list(tmp_path.iterdir())


@samples.examples(50)
@given(st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none(), max_size=3), max_size=4))
def test_json_lines_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    try:
        records.write_jsonl(path, rows)
    except ValueError as error:  # a lone surrogate
        assert "x.jsonl, row" in str(error) and not path.exists()
        return
    assert records.read_jsonl(path) == rows


def test_a_nan_is_refused_and_the_row_named(tmp_path):
    with pytest.raises(ValueError, match=r"x\.jsonl, row 2"):
        records.write_jsonl(tmp_path / "x.jsonl", [{"a": 1}, {"a": float("nan")}])
    assert not list(tmp_path.iterdir())


def description(id="p1-a", **fields):
    base = dict(
        id=id, pair_id="p1", label=1, category="Fighting", viewpoint="high corner", location="a shop", subject="two men"
    )
    return records.Description(
        **(base | dict(event="fight", text="Two men fight.", describer="template", seed=3) | fields)
    )


def test_descriptions_round_trip(tmp_path):
    items = [
        description(),
        description("p1-n", label=0, category="Normal", event="", seed=None, text="Zwei Männer reden."),
    ]
    records.write_descriptions(tmp_path / "d.jsonl", items)
    assert records.read_descriptions(tmp_path / "d.jsonl") == items


@pytest.mark.parametrize("change", [{"label": 2}, {"text": " "}, {"id": "other"}, {"drop": "pair_id"}])
def test_a_wrong_description_is_refused(tmp_path, change):
    row = dataclasses.asdict(description()) | change
    row.pop(change.get("drop", ""), None)
    records.write_jsonl(tmp_path / "d.jsonl", [dataclasses.asdict(description("other")), row])
    with pytest.raises(ValueError, match=r"d\.jsonl, row 2"):
        records.read_descriptions(tmp_path / "d.jsonl")
