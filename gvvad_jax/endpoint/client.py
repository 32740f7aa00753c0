"""One request to a chat service through the `openai` client: what comes back, or how long to wait, or why to stop.

The key is read from the environment when the first request is made, stands in no message, log or file, and is cut out
of whatever the service says.
"""

import dataclasses
import email.utils
import logging
import os
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging as absl_logging

KEY = "OPENAI_API_KEY"
LONGEST_WAIT_SECONDS = 600
FIRST_WAIT_SECONDS, DOUBLINGS = 0.5, 7
OVERLOADED = (408, 409, 425, 429)  # and every 5xx
NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached")
FILTERED = ("content_filter", "content_policy_violation")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a service answered, and what it says that this took. A refusal or a cut answer is an answer, too."""

    content: str
    refusal: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None


class Again(Exception):
    """No answer this time; the request may be repeated after `seconds` (None: as the caller sees fit)."""

    def __init__(self, reason: str, seconds: float | None = None, was_reached: bool = True):
        super().__init__(reason)
        self.seconds, self.was_reached = seconds, was_reached


class Filtered(Again):
    """The service would not look at the request."""


class Stop(ValueError):
    """No request can succeed: one sentence that says what to do."""


class Down(OSError):
    """The service cannot be reached, or answers nothing: one sentence."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """Which model, where, and how hard it may be asked. `base_url` None: OPENAI_BASE_URL, else OpenAI's own."""

    model: str = "gpt-4o"
    base_url: str | None = None
    timeout_seconds: float = 60.0
    requests_per_minute: float = 500.0
    max_tokens: int = 1000  # of an answer; two descriptions take about 150, a caption 30


class Client:
    """Asks one request at a time, no faster than the service's rate allows."""

    def __init__(
        self,
        service: Service,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.service, self.sleep = service, sleep
        self.unanswered = 0  # requests that timed out or broke off: the service may have done, and charged, the work
        self._clock, self._next = clock, 0.0
        self._openai: Any = None
        self._key = ""
        if not service.timeout_seconds > 0 or not service.requests_per_minute > 0 or service.max_tokens < 1:
            raise ValueError("--timeout, --requests_per_minute and --max_tokens must be above 0.")
        self._url = service.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        address = urllib.parse.urlsplit(self._url)
        if address.scheme not in ("http", "https") or not address.hostname or "@" in address.netloc:
            raise ValueError(f"the base URL must be http(s)://HOST…/v1 without a name or key in it; put keys in {KEY}.")
        self.host = address.hostname

    def open(self) -> None:
        """Reads the key and makes the client; ValueError where there is no key that can be sent."""
        if self._openai is not None:
            return
        key = os.environ.get(KEY, "").strip()
        if not key:
            raise Stop(f"{KEY} is not set; export the service's key (any word, for a service that asks for none).")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise Stop(f"{KEY} holds letters that no key has (a space, a line break, an accent); export it again.")
        import openai  # one second to import

        for name in ("httpx", "httpx2", "httpcore", "httpcore2", "openai"):  # OPENAI_LOG=debug prints whole requests
            logging.getLogger(name).setLevel(logging.WARNING)
        # Our own loop repeats: it counts attempts, keeps to the rate and says what it waits for.
        self._openai = openai.OpenAI(
            api_key=key, base_url=self._url, timeout=self.service.timeout_seconds, max_retries=0
        )
        self._key = key

    def ask(self, request: Mapping[str, Any]) -> Answer:
        """Sends one request; raises Again where it may be repeated and Stop where that is useless."""
        self.open()
        import openai

        self.sleep(max(0.0, self._next - self._clock()))
        self._next = self._clock() + 60.0 / self.service.requests_per_minute
        try:
            completion = self._openai.chat.completions.create(**request)
        except openai.APITimeoutError as error:
            reached = self._was_reached(error)
            raise Again(f"no answer within {self.service.timeout_seconds:g} s", was_reached=reached) from None
        except openai.APIStatusError as error:
            raise self._judged(error) from None
        except openai.APIConnectionError as error:
            reached = self._was_reached(error)
            what = "the connection broke off" if reached else "no connection"
            raise Again(f"{self.host}: {what}", was_reached=reached) from None
        except (openai.OpenAIError, ValueError):  # a body that is no JSON
            self.unanswered += 1
            raise Again(f"{self.host} sent something that is no answer of a chat service") from None
        return self._read(completion)

    def wait(self, again: Again, tries: int) -> None:
        """Sleeps until the request may be repeated after its first, second, … failure."""
        seconds = backoff(tries) if again.seconds is None else again.seconds
        if seconds >= 5:
            absl_logging.warning("%s; asking again in %.0f s", again, seconds)
        self.sleep(seconds)

    def clean(self, text: str) -> str:
        """`text` without the key, on one line."""
        return " ".join((text.replace(self._key, "[key]") if self._key else text).split())

    def _was_reached(self, error: Exception) -> bool:
        """Whether the request left; one that did not cannot be charged, and is not counted."""
        reached = type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout")
        self.unanswered += reached
        return reached

    def _judged(self, error: Any) -> Exception:
        status, said = error.status_code, self._said(error)
        code = str(error.code or "")
        if status in (401, 403):  # what the service says here often repeats the key, or most of it
            return Stop(f"{self.host} refuses the key (status {status}); put a valid one in {KEY}.")
        if code in NO_CREDIT or status == 402:
            return Stop(f"{self.host} says that the account has no credit left; what was answered so far is kept.")
        if code in FILTERED:
            return Filtered(f"{self.host} filtered the request")
        if status in OVERLOADED or status >= 500:
            wait = _retry_after(error.response.headers)
            if wait is not None and wait > LONGEST_WAIT_SECONDS:
                return Stop(f"{self.host} asks to wait {wait:.0f} s; run the same command again then, it goes on.")
            return Again(f"status {status}{said}", wait)
        return Stop(f"{self.host} does not take the request for model '{self.service.model}' (status {status}{said}).")

    def _said(self, error: Any) -> str:
        body = error.body if isinstance(error.body, dict) else {}
        said = self.clean(str(body.get("message") or ""))[:200].rstrip(". ")
        return f": {said}" if said else ""

    def _read(self, completion: Any) -> Answer:
        try:
            choice = completion.choices[0]
            message, usage = choice.message, completion.usage
            return Answer(
                content=self.clean(message.content or ""),
                refusal=self.clean(getattr(message, "refusal", None) or ""),
                finish_reason=str(choice.finish_reason or ""),
                input_tokens=_count(usage, "prompt_tokens"),
                output_tokens=_count(usage, "completion_tokens"),
            )
        except (AttributeError, IndexError, TypeError):
            self.unanswered += 1
            raise Again(f"{self.host} sent something that is no answer of a chat service") from None


def backoff(tries: int) -> float:
    """Seconds to wait after the first, second, … failure, where the service does not say."""
    return FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, DOUBLINGS)


def _count(usage: Any, name: str) -> int | None:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value >= 0 else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of Retry-After (a number or a date), or of the service's own form in milliseconds."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None
