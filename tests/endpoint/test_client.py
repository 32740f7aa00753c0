"""One request over real HTTP on loopback: what comes back, when to ask again, when to stop; never the key."""

import email.utils
import time
from typing import Any

import pytest

from gvvad_jax.endpoint import client
from gvvad_jax.endpoint.client import Again, Client, Service, Stop
from tests.endpoint import service as fake

REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", fake.KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(*steps, times=1, sleep=lambda seconds: None, **settings: Any):
    with fake.running(*steps) as server:
        asker = Client(Service(**{"base_url": server.url, "timeout_seconds": 5.0, **settings}), sleep=sleep)
        for _ in range(times):
            answer = asker.ask(REQUEST)
        return server, answer


def test_an_answer_is_read_with_its_tokens_and_the_key_is_sent_as_a_bearer():
    server, answer = ask(fake.says('{"anomalous": "a"}'))
    assert answer == client.Answer('{"anomalous": "a"}', "", "stop", 200, 100)
    assert server.keys == [f"Bearer {fake.KEY}"] and server.requests == [REQUEST]
    assert ask(fake.says("x", usage=False))[1].input_tokens is None
    assert ask(fake.says(None, refusal="I cannot"))[1].refusal == "I cannot"
    assert ask(fake.says("{", finish_reason="length"))[1].finish_reason == "length"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_an_overloaded_service_is_asked_again(status):
    with pytest.raises(Again, match=f"status {status}: busy") as caught:
        ask(fake.fails(status, "busy"))
    assert caught.value.seconds is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "-3"}, None),
    ],
)
def test_retry_after_is_honoured(headers, seconds):
    with pytest.raises(Again) as caught:
        ask(fake.fails(429, **headers))
    assert caught.value.seconds == seconds


def test_retry_after_may_be_a_date():
    with pytest.raises(Again) as caught:
        ask(fake.fails(429, retry_after=email.utils.formatdate(time.time() + 30, usegmt=True)))
    assert caught.value.seconds is not None and 25 < caught.value.seconds < 31


def test_a_wait_that_is_too_long_stops():
    with pytest.raises(Stop, match="asks to wait 3600 s; run the same command again"):
        ask(fake.fails(429, retry_after="3600"))


def test_a_wrong_key_stops_and_what_the_service_says_of_it_is_not_repeated():
    for status in (401, 403):
        with pytest.raises(Stop) as caught:
            ask(fake.fails(status, f"Incorrect API key provided: {fake.KEY[:12]}*****. Yours: {fake.KEY}"))
        assert str(caught.value) == f"127.0.0.1 refuses the key (status {status}); put a valid one in OPENAI_API_KEY."
        assert caught.value.__suppress_context__


def test_the_key_is_cut_out_of_whatever_comes_back():
    with pytest.raises(Again) as caught:
        ask(fake.fails(500, f"while serving {fake.KEY}"))
    assert "while serving [key]" in str(caught.value)
    assert fake.KEY not in ask(fake.says(f"the key is {fake.KEY}"))[1].content


def test_no_credit_an_unknown_model_and_a_bad_request_stop():
    with pytest.raises(Stop, match="no credit left"):
        ask(fake.fails(429, "You exceeded your current quota", code="insufficient_quota"))
    with pytest.raises(Stop, match=r"does not take the request for model 'gpt-9' \(status 404: no such model\)"):
        ask(fake.fails(404, "no such model."), model="gpt-9")
    with pytest.raises(Stop, match="status 400"):
        ask(fake.fails(400, "response_format is unknown"))
    with pytest.raises(Again, match="filtered the request"):
        ask(fake.fails(400, "filtered", code="content_filter"))


def test_a_service_that_hangs_is_asked_again():
    with pytest.raises(Again, match="no answer within 0.2 s"):
        ask(fake.hangs(1.0), timeout_seconds=0.2)
    with pytest.raises(Again, match="no answer within 0.2 s"):
        ask(fake.stalls(1.0), timeout_seconds=0.2)


def test_a_dropped_connection_and_a_body_that_is_no_completion_are_asked_again():
    for step in (fake.drops, fake.cut):
        with pytest.raises(Again, match="127.0.0.1: the connection broke off") as caught:
            ask(step)
        assert caught.value.was_reached
    for body in (b'{"choices": [{"mess', b"<html>proxy</html>", b"{}", b'{"choices": []}', b"[]", b"null", b'"x"'):
        with pytest.raises(Again, match="no answer of a chat service"):
            ask(fake.raw(body))


def test_requests_that_may_have_been_charged_are_counted_and_refused_connections_are_not():
    with fake.running(fake.hangs(1.0), fake.raw(b"no")) as server:
        asker = Client(Service(base_url=server.url, timeout_seconds=0.2))
        for _ in range(2):
            with pytest.raises(Again):
                asker.ask(REQUEST)
    assert asker.unanswered == 2
    asker = Client(Service(base_url=server.url))  # the server is gone
    with pytest.raises(Again) as caught:
        asker.ask(REQUEST)
    assert asker.unanswered == 0 and not caught.value.was_reached


def test_no_more_requests_than_the_rate_allows():
    waited = []
    ask(*[fake.says("{}")] * 3, times=3, sleep=waited.append, requests_per_minute=2.0)
    assert waited[0] == 0.0 and waited[1] == pytest.approx(30, abs=1) and waited[2] == pytest.approx(30, abs=1)


def test_waits_double_up_to_a_minute():
    assert [client.backoff(tries) for tries in (1, 2, 3, 30)] == [0.5, 1.0, 2.0, 64.0]


@pytest.mark.parametrize(("value", "sentence"), [("", "is not set"), ("a b", "no key has"), ("sk-é", "no key has")])
def test_a_key_that_cannot_be_sent_is_refused_before_anything_is(monkeypatch, value, sentence):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(Stop, match=sentence) as caught, fake.running() as server:
        Client(Service(base_url=server.url)).ask(REQUEST)
    assert server.requests == [] and (not value or value not in str(caught.value))


@pytest.mark.parametrize("url", ["ftp://x/v1", "localhost:8000", "http://me:secret@host/v1", "http:///v1"])
def test_an_address_that_is_none_or_holds_a_key_is_refused(url):
    with pytest.raises(ValueError, match="base URL must be") as caught:
        Client(Service(base_url=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"timeout_seconds": 0.0}, {"requests_per_minute": -1.0}, {"max_tokens": 0}])
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError, match="above 0"):
        Client(Service(**changes))
