"""What makes a pair of texts unfit, and what does not."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvvad_jax.synthesis.describe import elements, template, validation
from gvvad_jax.synthesis.describe.validation import Pair

KNOWN = elements.catalogue()
FIGHT = next(event for event in KNOWN.events if event.name == "a fist fight")
CHOSEN = dataclasses.replace(next(elements.Drawer(0).candidates(0)), event=FIGHT)
GOOD = Pair(
    "A ceiling camera films a hall in which two men fight until others step in.",
    "A ceiling camera films a hall in which two men talk until others arrive.",
)


def found(**changes):
    return validation.problems(dataclasses.replace(GOOD, **changes), CHOSEN)


def test_a_good_pair_has_no_problem():
    assert found() == []
    for word in ("a brawl starts", "punches fly", "a scuffle begins"):
        assert found(anomalous=f"A ceiling camera films a hall in which {word} between two men.") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"anomalous": "A ceiling camera films a hall in which two men talk."}, "does not name the event"),
        ({"anomalous": "A ceiling camera films a hall in which two men explode."}, "does not name the event"),
        ({"normal": "A ceiling camera films a hall in which nobody fights with anyone."}, "names something unusual"),
        ({"normal": "A ceiling camera films a hall where a thief sits down."}, r"unusual \(thief\)"),
        ({"normal": GOOD.anomalous}, "both texts are the same"),
        ({"anomalous": "They fight."}, "2 words, but at least 3"),
        ({"anomalous": "They fight " + "on and on " * 75}, "tokens, but the text encoder takes 226"),
        ({"anomalous": "They fight " + "extraordinarily " * 60}, "tokens, but the text encoder takes 226"),
        ({"normal": ""}, "0 words"),
    ],
)
def test_what_is_wrong_is_said(changes, said):
    (problem, *_) = [p for p in found(**changes) if re.search(said, p)] or [None]
    assert problem, found(**changes)


def test_words_match_as_wholes_or_by_their_beginning():
    assert validation.matching(("rob", "robs", "robb*"), "a robot robs robbers in a robe") == ["robs", "robbers"]
    assert validation.matching(("flames",), "Flames rise; inflames not") == ["flames"]


def test_the_bound_on_tokens_counts_letters_by_three_and_signs_by_one():
    assert validation.tokens_at_most("") == 1
    assert validation.tokens_at_most("a cat, eight") == 1 + 1 + 1 + 1 + 2
    assert validation.tokens_at_most("12.5 é") == 1 + 4 + 1


@given(st.text(max_size=200))
def test_any_text_gets_a_bound_and_any_answer_a_verdict(text):
    assert 1 <= validation.tokens_at_most(text) <= len(text) + 1
    try:
        pair = validation.parse(text)
    except ValueError:
        return
    assert isinstance(pair, Pair)


def test_an_answer_is_read_strictly_and_put_on_one_line():
    assert validation.parse('{"anomalous": "a\\n b\\u0000c\\ud800", "normal": " d "}') == Pair("a b c", "d")
    for bad in ('{"anomalous": "a"}', '{"anomalous": 1, "normal": "b"}', '["a", "b"]', '{"anomalous": "a', "no", ""):
        with pytest.raises(ValueError, match="the answer was not"):
            validation.parse(bad)


def test_near_repeats_are_found_and_other_texts_are_not():
    seen = validation.Seen()
    assert seen.repeats(GOOD) == []
    seen.add(GOOD)
    nearly = Pair(GOOD.anomalous.replace("step", "stepped"), "A dog sleeps beside the door of a quiet white house.")
    (said,) = seen.repeats(nearly)
    assert said.startswith("the anomalous text nearly repeats") and GOOD.anomalous in said
    share, other = seen.nearest(GOOD.normal)
    assert (share, other) == (1.0, GOOD.normal)
    assert seen.nearest("Nothing in common here at all")[0] == 0.0


def test_the_share_in_common_is_that_of_runs_of_three_words():
    seen = validation.Seen()
    seen.add(Pair("one two three four five", "x y z"))
    assert seen.nearest("one two three four six")[0] == pytest.approx(2 / 4)


def test_templates_stay_far_below_the_bound():
    longest = max(validation.tokens_at_most(p.anomalous) for _, p in template.pairs(60, 3))
    assert longest < 150
