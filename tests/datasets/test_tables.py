import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax.datasets import tables
from gvvad_jax.datasets.entry import Entry

names = st.text(st.characters(categories=("L", "N"), include_characters="_-#.= "), min_size=1, max_size=20)
ranges = st.tuples(st.integers(0, 9000), st.integers(1, 99)).map(lambda p: (p[0], p[0] + p[1]))


@given(st.dictionaries(names, st.tuples(st.none() | st.lists(ranges, max_size=3), st.none() | st.integers(1, 9999))))
def test_a_table_gives_its_entries_back(tmp_path_factory, videos):
    entries = {
        id: Entry(
            id=id,
            dataset="d",
            split="test",
            label=int(bool(intervals)),
            category="Normal",
            intervals=None if intervals is None else tuple(intervals),
            num_frames=frames,
        )
        for id, (intervals, frames) in videos.items()
    }
    path = tmp_path_factory.getbasetemp() / "table.tsv"
    path.write_text(tables.write(entries.values(), ["where from"]), "utf-8", newline="")
    assert tables.read(path, "d") == entries


def test_a_damaged_table_names_its_line(tmp_path):
    path = tmp_path / "ucf.tsv"
    path.write_text("# source\n" + "\t".join(tables.COLUMNS) + "\nAbuse\ttest\n")
    with pytest.raises(ValueError, match=r"ucf\.tsv, line 3: expected 6 cells"):
        tables.read(path, "ucf")
    path.write_text("id\n")
    with pytest.raises(ValueError, match=r"ucf\.tsv: expected the columns id, split"):
        tables.read(path, "ucf")
