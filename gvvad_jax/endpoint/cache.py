"""Answers kept by the request that they answer, so that nothing is paid twice, and what they took."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gvvad_jax import records
from gvvad_jax.endpoint.client import Answer
from gvvad_jax.records import files

REPORT = "report.json"


@dataclasses.dataclass
class Tokens:
    """Answers and their tokens, as the service counts; `unknown` are answers whose service did not say."""

    answers: int = 0
    input: int = 0
    output: int = 0
    unknown: int = 0

    def add(self, answer: Answer) -> None:
        """Counts one answer."""
        self.answers += 1
        self.input += answer.input_tokens or 0
        self.output += answer.output_tokens or 0
        self.unknown += answer.input_tokens is None or answer.output_tokens is None

    def cost(self, prices: tuple[float, float] | None) -> float | None:
        """In the currency of `prices`, for a million tokens in and out; None where prices or tokens are unknown."""
        if not self.answers:
            return 0.0
        return None if prices is None or self.unknown else (self.input * prices[0] + self.output * prices[1]) / 1e6


class Cache:
    """A folder with a file an answer, made when the first one comes; a context manager that one run holds at a time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paid, self.found = Tokens(), Tokens()
        self._lock = -1

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            with contextlib.suppress(OSError):  # it holds answers
                self.folder.rmdir()

    def get(self, request: Mapping[str, Any]) -> Answer | None:
        """The answer that an earlier request, the same to the letter, was given."""
        path = self._path(request)
        if not path.exists():
            return None
        try:
            answer = Answer(**json.loads(path.read_bytes())["answer"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path} is no kept answer; remove it, and that one request is made again.") from None
        self.found.add(answer)
        return answer

    def hold(self) -> None:
        """Makes the folder and keeps other runs from asking the same; before the first request."""
        if self._lock >= 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"another run is asking for {self.folder}; wait until it has ended.") from None

    def put(self, request: Mapping[str, Any], answer: Answer, host: str) -> None:
        """Keeps a paid answer, on disk when this returns."""
        entry = {"host": host, "request": request, "answer": dataclasses.asdict(answer)}
        with records.atomic_write(self._path(request), text=True) as file:
            file.write(json.dumps(entry, ensure_ascii=False, indent=1) + "\n")
        self.paid.add(answer)

    def report(self, prices: tuple[float, float] | None, unanswered: int) -> str:
        """Says what this run paid and what it found, and keeps that in report.json where there is a folder."""
        numbers = {"paid": self.paid, "found": self.found}
        rows = {name: dataclasses.asdict(t) | {"cost": t.cost(prices)} for name, t in numbers.items()}
        if self.paid.answers or self.found.answers:
            with records.atomic_write(self.folder / REPORT, text=True) as file:
                json.dump(rows | {"unanswered": unanswered, "prices": prices}, file, indent=1)
        said = [f"paid now: {_said(self.paid, prices)}", f"kept from before: {_said(self.found, prices)}"]
        if unanswered:
            said.append(f"{unanswered} requests broke off and may be charged all the same")
        return "; ".join(said)

    def _path(self, request: Mapping[str, Any]) -> Path:
        name = hashlib.sha256(files.dump(dict(request), "the request").encode()).hexdigest()[:32]
        return self.folder / f"{name}.json"


def _said(tokens: Tokens, prices: tuple[float, float] | None) -> str:
    if not tokens.answers:
        return "nothing"
    said = f"{tokens.answers} answers, {tokens.input:,} tokens in, {tokens.output:,} out"
    if tokens.unknown:
        return f"{said} ({tokens.unknown} answers came without a count, so the cost is not known)"
    cost = tokens.cost(prices)
    return f"{said}, cost {'not known (give --input_price and --output_price)' if cost is None else f'{cost:.4f}'}"
