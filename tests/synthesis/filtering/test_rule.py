"""Limits, rates, duplicates and what was not checked."""

import json

import pytest

from gvvad_jax import records
from gvvad_jax.synthesis.filtering import rule

SOUND = {"frozen": 0.0, "sharpness": 0.5, "margin": None}


def facts(labels):
    return [
        {"id": f"v{i}", "label": label, "category": "", "pair_id": "", "text": ""} for i, label in enumerate(labels)
    ]


def test_a_number_past_its_limit_drops_a_clip_and_the_reason_holds_both():
    limits = {"frozen": 0.25, "sharpness": 0.13}
    bad = [SOUND | {"frozen": 0.5}, SOUND | {"sharpness": 0.1}, SOUND]
    rows = rule.choose(facts([1, 1, 0]), bad, {}, rule.Rule(limits=limits))
    assert [row["keep"] for row in rows] == [False, False, True]
    assert "50%" in rows[0]["reasons"][0] and "0.25" in rows[0]["reasons"][0]
    assert "0.10" in rows[1]["reasons"][0] and rows[2]["reasons"] == []
    assert rows[1]["measures"]["sharpness"] == 0.1


def test_what_has_no_number_or_no_limit_is_not_checked_and_never_passed():
    (row,) = rule.choose(facts([1]), [SOUND], {}, rule.Rule(limits={"margin": 0.0, "frozen": 0.25}))
    assert row["checks"]["margin"] == row["checks"]["sharpness"] == row["wrong_event"] == "not checked"
    assert row["checks"]["frozen"] == "passed" and row["keep"]


@pytest.mark.parametrize("no_limit", [None, float("inf"), float("nan")])
def test_a_limit_that_is_no_number_judges_nothing(no_limit):
    (row,) = rule.choose(facts([1]), [SOUND], {}, rule.Rule(limits={"frozen": no_limit}))
    assert row["checks"]["frozen"] == "not checked" and row["keep"]


def test_a_wrong_event_is_one_that_any_of_the_text_checks_finds():
    limits = {"margin": 0.0, "zero_shot": 0.5}
    own = [SOUND | {"margin": -0.1, "zero_shot": 0.9}, SOUND | {"margin": 0.1, "zero_shot": 0.9}]
    wrong, right = rule.choose(facts([1, 1]), own, {}, rule.Rule(limits=limits))
    assert (wrong["wrong_event"], wrong["keep"], right["wrong_event"], right["keep"]) == (
        "failed",
        False,
        "passed",
        True,
    )


def test_of_duplicates_the_first_stays_and_a_dropped_one_takes_none_with_it():
    bad, good = SOUND | {"frozen": 1.0}, SOUND
    repeats = {1: [(0, 0.9)], 2: [(0, 0.9), (1, 0.99)]}
    limits = rule.Rule(limits={"frozen": 0.25})
    rows = rule.choose(facts([1, 1, 1]), [good, good, good], repeats, limits)
    assert [row["keep"] for row in rows] == [True, False, False] and rows[2]["duplicate_of"] == "v0"
    rows = rule.choose(facts([1, 1, 1]), [bad, good, good], repeats, limits)
    assert [row["keep"] for row in rows] == [False, True, False] and rows[2]["duplicate_of"] == "v1"


def test_the_published_rates_keep_116_of_297_and_187_of_299():
    labels = [1] * 297 + [0] * 299
    own = [SOUND | {"sharpness": (i * 37 % 101) / 100 + 0.2} for i in range(len(labels))]
    rows = rule.choose(facts(labels), own, {}, rule.Rule("rate", weights={"sharpness": 1.0}))
    kept = [[row for row in rows if row["label"] == label and row["keep"]] for label in (1, 0)]
    assert [len(k) for k in kept] == [116, 187]
    worst = min(row["measures"]["sharpness"] for row in kept[0])
    dropped = [row for row in rows if row["label"] == 1 and not row["keep"]]
    assert max(row["measures"]["sharpness"] for row in dropped) <= worst and all(row["reasons"] for row in dropped)


def test_a_rate_never_keeps_what_is_no_video_and_takes_what_merely_fails_last():
    limits = {"frozen": 0.25, "jitter": 10}
    own = [{"frozen": 1.0, "jitter": 0.0}, {"frozen": 0.0, "jitter": 20.0}, {"frozen": 0.0, "jitter": 1.0}]
    chosen = rule.Rule("rate", limits=limits, rates={"anomalous": 1.0}, weights={"jitter": 1.0})
    assert [row["keep"] for row in rule.choose(facts([1, 1, 1]), own, {}, chosen)] == [False, True, True]
    chosen = rule.Rule("rate", limits=limits, rates={"anomalous": 1 / 3}, weights={"jitter": 1.0})
    assert [row["keep"] for row in rule.choose(facts([1, 1, 1]), own, {}, chosen)] == [False, False, True]


def test_a_clip_without_numbers_is_dropped_with_its_error():
    (row,) = rule.choose(facts([0]), [None], {}, rule.Rule(), {0: "cannot be read"})
    assert not row["keep"] and row["reasons"] == ["cannot be read"]


def test_rows_are_a_selection(tmp_path):
    rows = rule.choose(facts([1, 0]), [SOUND, SOUND], {}, rule.Rule())
    records.write_selection(tmp_path / "s.jsonl", rows)
    assert records.read_selection(tmp_path / "s.jsonl").ids == {"v0", "v1"}
    json.dumps(rows, allow_nan=False)


@pytest.mark.parametrize(
    "changes", [{"name": "best"}, {"limits": {"blur": 1}}, {"rates": {"normal": 1.2}}, {"weights": {"x": 1}}]
)
def test_a_wrong_rule_is_refused(changes):
    with pytest.raises(ValueError, match="filter"):
        rule.Rule(**changes)
