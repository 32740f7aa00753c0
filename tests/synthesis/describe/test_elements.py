"""Tuples of elements: compatible, balanced, the same for a seed, a longer list beginning with the shorter one."""

import itertools
from collections import Counter

import pytest

from gvvad_jax import datasets
from gvvad_jax.synthesis.describe import elements

KNOWN = elements.catalogue()


@pytest.fixture(scope="module")
def found():
    return drawn(300)


def drawn(count, seed=0):
    drawer, found = elements.Drawer(seed), []
    for number in range(count):
        found.append(next(drawer.candidates(number)))
        drawer.take(found[-1])
    return found


def test_the_thirteen_classes_of_ucf_crime_and_the_papers_events_are_there():
    facts = {entry.category for entry in datasets.facts("ucf").values()} - {"Normal"}
    assert set(elements.UCF_CRIME) == facts and set(elements.UCF_CRIME) < set(KNOWN.categories)
    assert {"Collapse", "Falling", "Fire", "Panic"} < set(KNOWN.categories)
    assert {event.category for event in KNOWN.events} == set(KNOWN.after) == set(KNOWN.names)


def test_every_entry_of_the_catalogue_can_be_drawn_and_none_stands_twice():
    def is_used(**fixed):
        anywhere = [viewpoint for viewpoint in KNOWN.viewpoints if not viewpoint.needs][:1]
        lists = {"viewpoint": anywhere, "location": KNOWN.locations, "subject": KNOWN.subjects}
        lists |= {"event": KNOWN.events} | {name: (entry,) for name, entry in fixed.items()}
        return any(elements.fits(*found) for found in itertools.product(*lists.values()))

    for name in ("viewpoint", "location", "subject", "event"):
        entries = getattr(KNOWN, f"{name}s")
        assert len({getattr(entry, "text", None) or entry.name for entry in entries}) == len(entries)
        assert [entry for entry in entries if not is_used(**{name: entry})] == []


def test_every_tag_that_is_asked_for_exists():
    tags = {tag for location in KNOWN.locations for tag in location.tags}
    roles = {role for subject in KNOWN.subjects for role in subject.roles}
    for entry in (*KNOWN.subjects, *KNOWN.events):
        assert set(entry.places) <= tags
    assert all(set(viewpoint.needs) <= tags for viewpoint in KNOWN.viewpoints)
    assert all(set(event.roles) <= roles for event in KNOWN.events)


def test_only_compatible_tuples_are_drawn_and_none_twice(found):
    assert all(elements.fits(f.viewpoint, f.location, f.subject, f.event) for f in found)
    assert len({(f.viewpoint.text, f.location.text, f.subject.text, f.event.name) for f in found}) == 300
    outdoor = [f for f in found if "outdoor" in f.location.tags]
    assert outdoor and all(f.hour in KNOWN.light["outdoor"] for f in outdoor)
    assert not any("ceiling" in f.viewpoint.text for f in outdoor)


def test_classes_locations_and_cameras_are_balanced(found):
    for name in ("category", "location", "viewpoint"):
        used = Counter(f.event.category if name == "category" else getattr(f, name).text for f in found)
        everything = KNOWN.categories if name == "category" else getattr(KNOWN, f"{name}s")
        fair = 300 / len(everything)
        assert len(used) == len(everything)
        assert 0.7 * fair <= min(used.values()) and max(used.values()) <= 1.3 * fair, (name, used)


def test_a_seed_gives_the_same_tuples_and_a_longer_list_begins_with_the_shorter(found):
    assert drawn(60) == found[:60]
    assert drawn(20) != drawn(20, seed=1)


def test_the_choice_is_the_same_in_every_version_of_python():
    assert [elements.pick("abcdefgh", 0, number) for number in range(6)] == list("aedefc")
