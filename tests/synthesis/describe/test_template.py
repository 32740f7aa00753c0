"""Sentences without a language model: grammatical, paired, varied, valid, the same for a seed."""

import re

import pytest

from gvvad_jax.synthesis.describe import elements, template, validation

KNOWN = elements.catalogue()


@pytest.fixture(scope="module")
def found():
    return list(template.pairs(300, 0))


def test_three_hundred_pairs_are_six_hundred_different_valid_texts(found):
    texts = {text for _, pair in found for text in (pair.anomalous, pair.normal)}
    assert len(texts) == 600
    for chosen, pair in found:
        assert validation.problems(pair, chosen) == []


def test_no_text_nearly_repeats_another(found):
    seen = validation.Seen()
    for _, pair in found:
        assert seen.repeats(pair) == []
        seen.add(pair)


def test_both_texts_of_a_pair_have_the_camera_the_place_the_hour_and_the_subject(found):
    for chosen, pair in found:
        shared = (chosen.viewpoint.text, chosen.location.text, chosen.hour, chosen.subject.text)
        for text in (pair.anomalous, pair.normal):
            assert all(part.casefold() in text.casefold() for part in shared)


def test_texts_are_whole_sentences(found):
    for _, pair in found:
        for text in (pair.anomalous, pair.normal):
            assert not re.search(r"[\[\]{}|]|  |\.\.| [.,]|\b(an) [^aeiouh]", text), text
            assert text.endswith(".") and all(s[0].isupper() for s in text.split(". "))
            assert not re.search(r"\b(\w+) \1\b", text), text


def test_verbs_agree_with_their_subject():
    plural = {subject.text: subject.plural for subject in KNOWN.subjects}
    assert {text for text, many in plural.items() if many} == {
        text for text in plural if re.match(r"(two|three|several|a man and a woman)\b", text)
    }
    for event in KNOWN.events:  # what several subjects of both numbers may do has both forms
        numbers = {s.plural for s in KNOWN.subjects if set(s.roles) & set(event.roles)}
        assert len(numbers) == 1 or all("[" in does for does in event.does), event.name
    assert template._conjugated("[is|are] hit and [falls|fall]", True) == "are hit and fall"
    assert template._conjugated("[is|are] hit and [falls|fall]", False) == "is hit and falls"


def test_every_wording_of_the_catalogue_names_its_event_and_no_normal_part_alarms():
    calm = [text for place in KNOWN.locations for text in (*place.calm, *place.details, place.text)]
    calm += [text for subject in KNOWN.subjects for text in (*subject.doing, subject.text)]
    calm += [text for viewpoint in KNOWN.viewpoints for text in (viewpoint.text,)]
    assert [
        (text, validation.matching(KNOWN.alarms, text)) for text in calm if validation.matching(KNOWN.alarms, text)
    ] == []
    for event in KNOWN.events:
        for does in event.does:
            for many in (False, True):
                assert validation.matching(event.words, template._conjugated(does, many)), (event.name, does)


def test_the_first_pairs_do_not_depend_on_the_count_and_another_seed_gives_others(found):
    assert list(template.pairs(40, 0)) == found[:40]
    other = {pair.anomalous for _, pair in template.pairs(40, 1)}
    assert len(other - {pair.anomalous for _, pair in found}) >= 39


def test_the_wording_is_fixed():
    (_, pair), *_ = template.pairs(1, 0)
    assert pair.anomalous == (
        "On an overcast afternoon, a camera on a tall mast looks over a narrow back alley. Puddles shine on the "
        "ground. A woman with two shopping bags yells at a small child and drags it over the ground. Someone nearby "
        "calls out in protest."
    )


def test_an_exhausted_catalogue_says_how_many_pairs_it_gives(monkeypatch):
    few = elements.Catalogue(
        KNOWN.viewpoints[:1],
        KNOWN.locations[:1],
        KNOWN.subjects[6:8],
        KNOWN.events[:2],
        *map(lambda name: getattr(KNOWN, name), ("light", "names", "after", "alarms")),
    )
    monkeypatch.setattr(elements, "catalogue", lambda: few)
    with pytest.raises(ValueError, match=r"gives \d pairs that differ enough.*lower --count"):
        list(template.pairs(50, 0))
