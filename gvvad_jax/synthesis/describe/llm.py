"""The describer that asks a language model: one pair a request, a JSON schema, answers checked and asked for again.

The elements come from the same catalogue as the template's. A pair has `attempts` tries, in which a request without an
answer and an answer that is not taken (cut off, refused, malformed, off the event, too long, seen before) count alike.
The next request says what was wrong, so every attempt is a request of its own and is kept as one.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from gvvad_jax.endpoint import client
from gvvad_jax.endpoint.cache import Cache
from gvvad_jax.endpoint.client import Answer, Client
from gvvad_jax.synthesis.describe import elements, validation
from gvvad_jax.synthesis.describe.elements import Elements
from gvvad_jax.synthesis.describe.validation import Pair

FAILURES_IN_A_ROW = 3  # pairs without any answer, after which the service is taken to be down
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "pair",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"anomalous": {"type": "string"}, "normal": {"type": "string"}},
            "required": ["anomalous", "normal"],
            "additionalProperties": False,
        },
    },
}
INSTRUCTIONS = """\
You write prompts for a text-to-video model whose clips train a detector of rare events in surveillance video.
You get a camera, a place, a subject and an event. Write two texts in plain English, a paragraph of 30 to 80 words each:
- anomalous: the camera's fixed view of the place, the subject, the event as it happens and how those around react;
- normal: the same camera, place, light and subject on an ordinary day; the subject does something that belongs there.
Describe only what a fixed camera without sound can see, in the present tense. Show no wounds and no blood.
The normal text does not mention the event or anything alarming, not even to deny it.
Answer with the JSON object alone."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """A pair that the model did not give: why."""

    reason: str
    has_answers: bool


def pairs(
    count: int, seed: int, asker: Client, cache: Cache, attempts: int = 5
) -> Iterator[tuple[Elements, Pair | Failure]]:
    """`count` tuples with their pair or failure. Raises ValueError or OSError where going on is useless."""
    if attempts < 1:
        raise ValueError(f"--attempts={attempts}: at least 1 is needed.")
    drawer, seen, in_a_row = elements.Drawer(seed), validation.Seen(), 0
    for number in range(count):
        chosen = next(drawer.candidates(number), None)
        if chosen is None:
            raise elements.exhausted(number)
        drawer.take(chosen)
        found = _pair(chosen, asker, cache, seen, attempts)
        if isinstance(found, Pair):
            seen.add(found)
        in_a_row = in_a_row + 1 if isinstance(found, Failure) and not found.has_answers else 0
        if isinstance(found, Failure) and in_a_row == FAILURES_IN_A_ROW:
            raise client.Down(
                f"{asker.host} gave no answer to {in_a_row} pairs in a row ({found.reason}); run the same command "
                "again later, what was answered so far is kept."
            )
        yield chosen, found


def request(chosen: Elements, service: client.Service, attempt: int = 1, problem: str = "") -> dict[str, Any]:
    """The body of a request: the same elements and attempt give the same one."""
    known = elements.catalogue()
    said = [
        f"Camera: {chosen.viewpoint.text}",
        f"Place: {chosen.location.text}, {chosen.hour}",
        f"Subject: {chosen.subject.text}",
        f"Event: {chosen.event.name} ({chosen.event.category})",
        "Words of which the anomalous text has at least one and the normal text none: "
        + ", ".join(validation.event_words(chosen, known)),
    ]
    if attempt > 1:
        said.append(f"Attempt {attempt}. The answer before was not taken: {problem}.")
    return {
        "model": service.model,
        "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": "\n".join(said)}],
        "response_format": SCHEMA,
        "max_completion_tokens": service.max_tokens,
    }


def judge(answer: Answer, chosen: Elements, seen: validation.Seen) -> Pair:
    """The pair of an answer; ValueError says in a clause why it is not taken."""
    if answer.refusal or answer.finish_reason == "content_filter":
        raise ValueError("the model refused; keep to what a camera far away would show")
    if answer.finish_reason == "length":
        raise ValueError("the answer was cut off; write shorter texts")
    pair = validation.parse(answer.content)
    if found := validation.problems(pair, chosen) or seen.repeats(pair):
        raise ValueError("; ".join(found))
    return pair


def _pair(chosen: Elements, asker: Client, cache: Cache, seen: validation.Seen, attempts: int) -> Pair | Failure:
    """Asks until an answer is taken or the attempts are used up."""
    answers, problem = 0, ""
    for attempt in range(1, attempts + 1):
        asked = request(chosen, asker.service, answers + 1, problem)
        answer = cache.get(asked)
        if answer is None:
            try:
                answer = _paid(asked, asker, cache)
            except client.Again as again:
                if attempt < attempts:
                    asker.wait(again, attempt)
                elif not again.was_reached and not answers:
                    raise client.Down(
                        f"{again} after {attempts} attempts; check the address and the network."
                    ) from None
                else:
                    return Failure(f"no answer after {attempts} attempts, the last time: {again}", answers > 0)
                continue
        answers += 1
        try:
            return judge(answer, chosen, seen)
        except ValueError as error:
            problem = str(error)
    return Failure(f"no answer was taken in {attempts} attempts, the last one because {problem}", True)


def _paid(asked: dict[str, Any], asker: Client, cache: Cache) -> Answer:
    asker.open()
    cache.hold()
    answer = asker.ask(asked)
    cache.put(asked, answer, asker.host)
    return answer
