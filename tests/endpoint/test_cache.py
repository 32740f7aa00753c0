"""Answers are kept by request; what they took is counted, and a price is never guessed."""

import dataclasses
import json

import pytest

from gvvad_jax.endpoint.cache import Cache
from gvvad_jax.endpoint.client import Answer

ANSWER = Answer("{}", "", "stop", 1_000_000, 500_000)


def test_an_answer_is_found_by_the_same_request_alone(tmp_path):
    with Cache(tmp_path / "c") as cache:
        assert cache.get({"a": 1}) is None and not cache.folder.exists()
        cache.hold()
        cache.put({"a": 1, "b": 2}, ANSWER, "host")
    with Cache(tmp_path / "c") as cache:
        assert cache.get({"b": 2, "a": 1}) == ANSWER
        assert cache.get({"a": 1, "b": 3}) is None
        assert (cache.found.answers, cache.paid.answers) == (1, 0)


def test_a_damaged_answer_is_named(tmp_path):
    with Cache(tmp_path) as cache:
        cache.put({"a": 1}, ANSWER, "host")
        (path,) = tmp_path.glob("*.json")
        for bad in ('{"answer": {"conte', "{}", '{"answer": {"x": 1}}', "[]"):
            path.write_text(bad)
            with pytest.raises(ValueError, match=rf"{path.name} is no kept answer; remove it"):
                cache.get({"a": 1})


def test_two_runs_do_not_ask_the_same(tmp_path):
    with Cache(tmp_path / "c") as first, Cache(tmp_path / "c") as second:
        first.hold()
        with pytest.raises(ValueError, match="another run is asking"):
            second.hold()
    with Cache(tmp_path / "c") as third:
        third.hold()


def test_a_folder_without_answers_is_left_as_if_never_made(tmp_path):
    with Cache(tmp_path / "c") as cache:
        cache.hold()
        assert cache.report(None, 0) == "paid now: nothing; kept from before: nothing"
    assert not (tmp_path / "c").exists()


def test_the_report_gives_tokens_and_a_cost_only_where_prices_and_counts_are_known(tmp_path):
    with Cache(tmp_path) as cache:
        cache.put({"a": 1}, ANSWER, "host")
        said = cache.report(None, 0)
        assert "1 answers, 1,000,000 tokens in, 500,000 out, cost not known (give --input_price" in said
        assert "cost 7.5000; kept from before: nothing" in cache.report((2.5, 10.0), 0)
        assert "2 requests broke off and may be charged" in cache.report(None, 2)
        assert json.loads((tmp_path / "report.json").read_text())["paid"]["input"] == 1_000_000
        cache.put({"a": 2}, dataclasses.replace(ANSWER, output_tokens=None), "host")
        assert "1 answers came without a count, so the cost is not known" in cache.report((2.5, 10.0), 0)
