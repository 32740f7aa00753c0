import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax.evaluation import names


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("Abuse028_x264", "Abuse028"),
        ("Abuse028_x264_i3d.npy", "Abuse028"),
        ("Abuse028_x264__5.npy", "Abuse028"),
        ("01_Accident_004_clip_large.npy", "01_Accident_004"),
        ("01_Accident_004.mp4", "01_Accident_004"),
        ("save\\Crime\\Arrest001_x264_i3d.npy", "save/Crime/Arrest001"),
        ("Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6.npy", "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6"),
        ("v=38GQ9L2meyE__#1_label_B6-0-0__4.npy", "v=38GQ9L2meyE__#1_label_B6-0-0"),
        ("01_0014_i3d.npy", "01_0014"),
        ("_clip", "_clip"),
    ],
)
def test_endings_of_publishers_are_taken_off(name, wanted):
    assert names.stem(name) == wanted


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=30))
def test_any_text_has_a_stem_that_is_its_own(text):
    once = names.stem(text)
    assert names.stem(once) == once or once.strip() != once


def test_equal_names_go_before_equal_stems():
    found = names.match(["a/x", "b/x"], ["a/x", "b/x", "c"], "here")
    assert found == {"a/x": "a/x", "b/x": "b/x"}


def test_ids_match_by_their_last_part():
    assert names.match(["Abuse028_x264"], ["/mnt/UCF/Abuse028_x264_clip.npy"], "list") == {
        "Abuse028_x264": "/mnt/UCF/Abuse028_x264_clip.npy"
    }


def test_two_candidates_are_refused_by_name():
    with pytest.raises(ValueError, match="v_clip.npy and v_i3d.npy"):
        names.match(["v"], ["v_i3d.npy", "v_clip.npy"], "here")
    with pytest.raises(ValueError, match="a/v and b/v"):
        names.match(["a/v", "b/v"], ["v"], "here")


def test_a_long_list_is_cut():
    assert names.some(["b", "a"]) == "a, b"
    assert names.some([str(i) for i in range(9)], 3) == "0, 1, 2 and 6 more"
