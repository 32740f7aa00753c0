"""Descriptions come back as they were written; a table of somebody else's clips needs four fields."""

import json

import pytest

from gvvad_jax import records

WHOLE = records.Description(
    id="1-a", pair_id="1", label=1, category="Fire", viewpoint="v", location="l", subject="s", event="e",
    text="Text é.", describer="template", seed=3,
)  # fmt: skip
ROW = {"id": "7", "pair_id": "7", "label": 0, "text": "A quiet street."}


def table(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_descriptions_come_back_as_they_were_written(tmp_path):
    records.write_descriptions(tmp_path / "d.jsonl", [WHOLE])
    assert records.read_descriptions(tmp_path / "d.jsonl") == [WHOLE]


def test_four_fields_are_enough_numbers_may_be_ids_and_other_keys_are_left(tmp_path):
    rows = [ROW | {"id": 301, "pair_id": 1, "service": "x"}, ROW | {"id": 1, "pair_id": 1, "label": 1}]
    normal, anomalous = records.read_descriptions(table(tmp_path / "d.jsonl", *rows))
    assert (normal.id, normal.pair_id, normal.category, normal.event) == ("301", "1", "Normal", "")
    assert (anomalous.id, anomalous.category, anomalous.seed) == ("1", "", None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": None}, "row 2: a description without text"),
        ({"label": 2}, "a label other than 0 and 1"),
        ({"label": "1"}, "a label other than 0 and 1"),
        ({"text": " "}, "has no text"),
        ({"id": "7"}, "'7' is there twice"),
        ({"id": ""}, "'' is there twice"),
        ({"text": ["a"]}, "text must be text"),
        ({"id": 1.5}, "id must be text"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, row, said):
    path = table(tmp_path / "d.jsonl", ROW, ROW | {"id": "8"} | row)
    with pytest.raises(ValueError, match=said):
        records.read_descriptions(path)
