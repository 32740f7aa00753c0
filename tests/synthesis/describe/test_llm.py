"""A language model's pairs through real HTTP: asked, checked, asked again, kept, and never paid for twice."""

import json

import pytest

from gvvad_jax.endpoint import client
from gvvad_jax.endpoint.cache import Cache
from gvvad_jax.endpoint.client import Client, Service
from gvvad_jax.synthesis.describe import elements, llm, template, validation
from gvvad_jax.synthesis.describe.llm import Failure
from gvvad_jax.synthesis.describe.validation import Pair
from tests.endpoint import service as fake


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", fake.KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def asked(folder, *steps, count=1, attempts=5, seed=0, timeout=5.0):
    """What the pairs are, the server and the waits."""
    waits = []
    with fake.running(*steps) as server, Cache(folder) as cache:
        asker = Client(Service(base_url=server.url, timeout_seconds=timeout), sleep=waits.append)
        found = list(llm.pairs(count, seed, asker, cache, attempts))
    return [pair for _, pair in found], server, [seconds for seconds in waits if seconds > 0.2]


def test_a_request_names_the_four_elements_and_asks_for_two_texts(tmp_path):
    pairs, server, _ = asked(tmp_path)
    chosen = next(elements.Drawer(0).candidates(0))
    (body,) = server.requests
    assert body == llm.request(chosen, Service())
    user = body["messages"][1]["content"]
    assert all(
        part in user
        for part in (chosen.viewpoint.text, chosen.location.text, chosen.subject.text, chosen.event.name, chosen.hour)
    )
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["required"] == ["anomalous", "normal"]
    assert schema["schema"]["additionalProperties"] is False
    assert pairs == [Pair(**fake.pair_for(body))]


def test_the_elements_are_those_of_the_template(tmp_path):
    with fake.running() as server, Cache(tmp_path) as cache:
        found = [c for c, _ in llm.pairs(20, 3, Client(Service(base_url=server.url), sleep=lambda s: None), cache)]
    drawer = elements.Drawer(3)
    for number, chosen in enumerate(found):
        assert chosen == next(drawer.candidates(number))
        drawer.take(chosen)


def test_retry_after_is_waited_for_and_other_failures_wait_longer_each_time(tmp_path):
    steps = [fake.fails(429, retry_after="11"), fake.fails(500), fake.drops]
    pairs, server, waits = asked(tmp_path, *steps)
    assert isinstance(pairs[0], Pair) and len(server.requests) == 4
    assert waits == [11.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (fake.says('{"anomalous": "a", "nor'), "not one whole JSON object"),
        (fake.says('{"anomalous": "a", "nor', finish_reason="length"), "the answer was cut off"),
        (fake.says("{}"), "not an object with the two texts"),
        (fake.says(None, refusal="I cannot help with that"), "the model refused"),
        (fake.says(None, finish_reason="content_filter"), "the model refused"),
        (fake.says(json.dumps({"anomalous": "They sit " * 9, "normal": "They sit " * 9})), "does not name the event"),
    ],
)
def test_an_answer_that_is_not_taken_is_asked_for_again_with_the_reason(tmp_path, step, told):
    (pair,), server, waits = asked(tmp_path, step)
    assert isinstance(pair, Pair) and waits == []
    first, second = (body["messages"][1]["content"] for body in server.requests)
    assert second.startswith(first) and "Attempt 2." in second and told in second


def test_a_text_seen_before_is_asked_for_again(tmp_path):
    chosen = next(elements.Drawer(0).candidates(0))
    body = llm.request(chosen, Service())
    both = {k: f"{v} accident burning attack crash slap drag beat fight" for k, v in fake.pair_for(body).items()}
    repeats = {"anomalous": both["anomalous"], "normal": fake.pair_for(body)["normal"]}
    seen = validation.Seen()
    seen.add(Pair(**repeats))
    answer = client.Answer(json.dumps(fake.pair_for(body)), "", "stop", 1, 1)
    with pytest.raises(ValueError, match="nearly repeats an earlier one"):
        llm.judge(answer, chosen, seen)
    assert llm.judge(answer, chosen, validation.Seen()) == Pair(**fake.pair_for(body))


def test_attempts_end_and_the_rest_goes_on(tmp_path):
    pairs, server, _ = asked(tmp_path, *[fake.says("no")] * 3, count=2, attempts=3)
    assert isinstance(pairs[0], Failure) and pairs[0].has_answers and isinstance(pairs[1], Pair)
    assert "no answer was taken in 3 attempts, the last one because the answer was not one whole" in pairs[0].reason
    assert len(server.requests) == 4


def test_one_pair_without_an_answer_fails_and_three_in_a_row_stop(tmp_path):
    pairs, _, _ = asked(tmp_path, *[fake.fails(500, "broken")] * 4, count=3, attempts=2)
    assert [type(pair) for pair in pairs] == [Failure, Failure, Pair]
    assert (
        isinstance(pairs[0], Failure)
        and pairs[0].reason == "no answer after 2 attempts, the last time: status 500: broken"
    )
    with pytest.raises(OSError, match=r"no answer to 3 pairs in a row \(.*status 500.*run the same command again"):
        asked(tmp_path / "other", *[fake.fails(500, "broken")] * 6, count=4, attempts=2)


def test_a_rerun_costs_nothing_and_gives_the_same_even_what_was_not_taken(tmp_path):
    steps = [fake.says("no"), fake.good, fake.says(None, refusal="no")]
    first, server, _ = asked(tmp_path, *steps, count=3)
    assert len(server.requests) == 5
    again, server, _ = asked(tmp_path, count=3)
    assert again == first and server.requests == []


def test_a_rerun_needs_no_key_and_no_service(tmp_path, monkeypatch):
    first, _, _ = asked(tmp_path, count=2)
    monkeypatch.delenv("OPENAI_API_KEY")
    with Cache(tmp_path) as cache:
        asker = Client(Service(base_url="http://127.0.0.1:9/v1"))
        assert [pair for _, pair in llm.pairs(2, 0, asker, cache)] == first


def test_more_pairs_pay_for_the_new_ones_alone(tmp_path):
    asked(tmp_path, count=3)
    _, server, _ = asked(tmp_path, count=5)
    assert len(server.requests) == 2


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    def interrupt(handler, body):
        raise_in.append(True)
        handler.send(500, b"{}")

    raise_in = []
    with fake.running(fake.good, fake.good, interrupt) as server, Cache(tmp_path) as cache:

        def sleep(seconds):
            if raise_in:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(llm.pairs(4, 0, Client(Service(base_url=server.url), sleep=sleep), cache))
        assert len(server.requests) == 3
    pairs, server, _ = asked(tmp_path, count=4)
    assert len(server.requests) == 2 and all(isinstance(pair, Pair) for pair in pairs)


def test_an_address_where_nobody_answers_stops_at_once(tmp_path):
    with Cache(tmp_path / "c") as cache:
        asker = Client(Service(base_url="http://127.0.0.1:9/v1"), sleep=lambda seconds: None)
        with pytest.raises(OSError, match="127.0.0.1: no connection after 2 attempts; check the address"):
            list(llm.pairs(3, 0, asker, cache, 2))


def test_time_outs_are_asked_again(tmp_path):
    (pair,), server, _ = asked(tmp_path, fake.hangs(1.0), timeout=0.3)
    assert isinstance(pair, Pair) and len(server.requests) == 2


def test_no_attempts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--attempts=0"):
        list(llm.pairs(1, 0, Client(Service()), Cache(tmp_path), 0))


def test_template_and_model_are_held_to_the_same_rules():
    for chosen, pair in template.pairs(20, 5):
        answer = client.Answer(json.dumps({"anomalous": pair.anomalous, "normal": pair.normal}), "", "stop", 1, 1)
        assert llm.judge(answer, chosen, validation.Seen()) == pair
