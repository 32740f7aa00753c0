import pickle
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gvvad_jax.features.published import layouts


def shapes(*each):
    return {f"v{i}": [shape] if isinstance(shape, tuple) else list(shape) for i, shape in enumerate(each)}


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.sampled_from([1, 5, 10, 15]), st.booleans())
def test_auto_finds_the_axis_of_crops(rows, crops, time_first):
    found = shapes(*((t, crops, 196) if time_first else (crops, t, 196) for t in rows))
    constant = len(set(rows)) == 1
    assume(not constant or (crops in (5, 10)) != (rows[0] in (5, 10)))
    if constant and crops not in (5, 10):
        crops, time_first = rows[0], not time_first  # all that the numbers can say
    plan = layouts.decide(found, text=False)
    assert (plan.crops, plan.width) == (crops, 196)
    assert plan.layout == ("time_first" if time_first else "crops_first")


@pytest.mark.parametrize("shape", [(10, 10, 512), (10, 5, 512), (7, 9, 512), (5, 5, 1024)])
def test_auto_asks_where_both_axes_may_be_crops(shape):
    with pytest.raises(ValueError, match=r"v0's .* may be \[T, C, F\] or \[C, T, F\].*--layout=time_first"):
        layouts.decide(shapes(shape, shape), text=False)
    assert layouts.decide(shapes(shape), text=False, layout="crops_first").crops == shape[0]
    assert layouts.decide(shapes(shape), text=False, layout="time_first").crops == shape[1]


def test_one_other_video_tells():
    assert layouts.decide(shapes((10, 10, 512), (10, 3, 512)), text=False).layout == "crops_first"
    assert layouts.decide(shapes((10, 10, 512), (3, 10, 512)), text=False).layout == "time_first"


def test_rows_files_and_text_have_layouts_of_their_own():
    assert layouts.decide(shapes((7, 512), (9, 512)), text=False) == layouts.Plan("single", 1, 512)
    assert layouts.decide(shapes([(7, 512)] * 10), text=False) == layouts.Plan("crop_files", 10, 512)
    plan = layouts.decide(shapes((0, 4096)), text=True)
    assert plan == layouts.Plan("segments", 1, 4096) and plan.snippet_frames == 0
    assert layouts.decide(shapes((32, 4096)), text=False, layout="segments").snippet_frames == 0


def test_the_width_that_most_have_is_the_sets():
    plan = layouts.decide(shapes((7, 10, 768), (8, 10, 512), (9, 10, 768)), text=False)
    assert (plan.crops, plan.width) == (10, 768)


@pytest.mark.parametrize("layout", ["time_first", "crop_files", "nope"])
def test_a_layout_that_no_file_has_is_refused(layout):
    with pytest.raises(ValueError, match="no video of the list is of the layout|--layout=nope; it is one of auto"):
        layouts.decide(shapes((7,)), text=False, layout=layout)


def test_every_layout_reads_to_time_crops_width(tmp_path):
    whole = np.random.default_rng(0).normal(size=(7, 10, 6)).astype(np.float32)
    np.save(tmp_path / "t.npy", whole)
    np.save(tmp_path / "c.npy", np.swapaxes(whole, 0, 1))
    np.save(tmp_path / "f.npy", np.asfortranarray(whole))
    np.save(tmp_path / "big.npy", whole.astype(">f4"))
    for i in range(10):
        np.save(tmp_path / f"x__{i}.npy", whole[:, i])
    np.savetxt(tmp_path / "s.txt", whole[:, 0])
    for layout, files in (
        ("time_first", ["t.npy"]),
        ("time_first", ["f.npy"]),
        ("time_first", ["big.npy"]),
        ("crops_first", ["c.npy"]),
        ("crop_files", [f"x__{i}.npy" for i in range(10)]),
    ):
        found = layouts.Plan(layout, 10, 6).read("v", [tmp_path / name for name in files])
        assert found.dtype == np.float32 and found.flags.c_contiguous and np.array_equal(found, whole)
    assert np.array_equal(layouts.Plan("single", 1, 6).read("v", [tmp_path / "x__3.npy"]), whole[:, 3:4])
    text = layouts.Plan("segments", 1, 6).read("v", [tmp_path / "s.txt"])
    assert text.shape == (7, 1, 6) and np.allclose(text[:, 0], whole[:, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("stored", "kept"), [("f2", "f2"), ("f4", "f4"), ("f8", "f4"), (">f2", "f2"), ("i2", "f4"), ("u1", "f4")]
)
def test_half_stays_half_and_all_else_becomes_single(tmp_path, stored, kept):
    values = np.arange(12).reshape(3, 2, 2).astype(stored)
    np.save(tmp_path / "a.npy", values)
    found = layouts.load(tmp_path / "a.npy", "v")
    assert found.dtype == np.dtype(kept) and np.array_equal(found, values)


def test_the_shape_is_read_without_the_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 10, 4), np.float16))
    assert layouts.shape_of(tmp_path / "a.npy", "v") == (3, 10, 4)
    (tmp_path / "a.txt").write_text("1 2 3\n4 5 6\n")
    assert layouts.shape_of(tmp_path / "a.txt", "v") == (0, 3)


def bad(tmp_path, kind):
    path = tmp_path / f"{kind}.npy"
    good = np.ones((4, 10, 6), np.float32)
    if kind == "cut":
        np.save(path, good)
        path.write_bytes(path.read_bytes()[:-9])
    elif kind == "objects":
        np.save(path, np.array([Run()], object), allow_pickle=True)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Run()))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "zip":
        np.savez(path.with_suffix(".npz"), good)
        path.with_suffix(".npz").rename(path)
    elif kind == "letters":
        np.save(path, np.full((4, 10, 6), "a"))
    elif kind == "none":
        np.save(path, np.zeros((0, 10, 6), np.float32))
    else:
        values = {"nan": np.nan, "inf": np.inf, "big": 1e300}
        array = good.astype(np.float64)
        array[2, 3, 4] = values[kind]
        np.save(path, array)
    return path


class Run:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle ran')",))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cut", "damaged or cut short"),
        ("objects", "holds Python objects (a pickle), which are never run"),
        ("pickle", "is a pickle, which is never run"),
        ("empty", "is empty"),
        ("zip", "is no .npy file"),
        ("letters", "holds <U1, but features are numbers"),
        ("nan", "1 of the 240 values"),
        ("inf", "are NaN or infinite"),
        ("big", "are NaN or infinite"),
        ("none", "holds no numbers, its shape is [0, 10, 6]"),
    ],
)
def test_bad_files_are_refused_with_the_videos_name(tmp_path, kind, sentence):
    path = bad(tmp_path, kind)
    with pytest.raises(ValueError, match="^Abuse001_x264: .*" + re.escape(sentence)):
        layouts.Plan("time_first", 10, 6).read("Abuse001_x264", [path])


def test_another_width_or_unequal_crops_are_refused_with_the_videos_name(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 10, 7)))
    with pytest.raises(ValueError, match=r"^Abuse001: .*shape \[4, 10, 7\], but most videos .* 10 crops of width 6"):
        layouts.Plan("time_first", 10, 6).read("Abuse001", [tmp_path / "a.npy"])
    np.save(tmp_path / "x__0.npy", np.ones((4, 6)))
    np.save(tmp_path / "x__1.npy", np.ones((5, 6)))
    with pytest.raises(ValueError, match=r"^Abuse001: its 2 files have the shapes \[4, 6\], \[5, 6\]"):
        layouts.Plan("crop_files", 2, 6).read("Abuse001", [tmp_path / "x__0.npy", tmp_path / "x__1.npy"])


def test_text_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("1 2\n3 four\n")
    with pytest.raises(ValueError, match="^v: .*a.txt is no table of numbers"):
        layouts.load(tmp_path / "a.txt", "v")
    (tmp_path / "b.txt").write_text("")
    with pytest.raises(ValueError, match="^v: "):
        layouts.Plan("segments", 1, 2).read("v", [tmp_path / "b.txt"])
