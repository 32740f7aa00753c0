"""Selections as views, and what is wrong with one."""

import pytest

from gvvad_jax import records


def test_a_selection_is_a_view_in_set_order(made, tmp_path):
    path, file = made(), tmp_path / "selection.jsonl"
    rows = [
        {"id": f"v{i:02d}", "keep": i % 3 == 0, "reasons": [] if i % 3 == 0 else ["dark"], "luma": i / 7}
        for i in range(12)
    ]
    records.write_selection(file, reversed(rows))
    selection = records.read_selection(file)
    assert selection.ids == {"v00", "v03", "v06", "v09"} and selection.rows[0] == rows[-1]
    r = records.reader(path, where=selection)
    assert r.ids == ["v00", "v03", "v06", "v09"] and r[1].id == "v03"
    assert records.reader(path).select(selection).ids == r.ids


def test_a_video_the_selection_does_not_name_is_not_kept(made, tmp_path):
    records.write_selection(tmp_path / "s.jsonl", [{"id": "v02", "keep": True}])
    assert records.reader(made(), where=records.read_selection(tmp_path / "s.jsonl")).ids == ["v02"]


@pytest.mark.parametrize("keep", [True, False])
def test_ids_the_set_lacks_are_refused(made, tmp_path, keep):
    records.write_selection(tmp_path / "s.jsonl", [{"id": "v02", "keep": True}, {"id": "x1", "keep": keep}])
    with pytest.raises(ValueError, match=r"s\.jsonl names 1 of 2 videos .* \('x1'\)"):
        records.reader(made(), where=records.read_selection(tmp_path / "s.jsonl"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"id": "a", "keep": true}\n\n{"id": "a", "keep": false}\n', "'a' is named twice"),
        ('{"id": "a"}\n', "row 1"),
        ('{"id": "a", "keep": 1}\n', "row 1"),
        ('{"id": "a", "keep": true}\n{"id"\n', "line 2"),
        ("[1]\n", "line 1"),
    ],
)
def test_a_wrong_selection_names_file_and_row(tmp_path, text, says):
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        records.read_selection(tmp_path / "s.jsonl")
    assert "s.jsonl" in str(caught.value)
