"""One thing the doctor found."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A sentence; `problem` says that something must be done."""

    text: str
    problem: bool = False

    def __str__(self) -> str:
        return f"{'PROBLEM  ' if self.problem else 'ok       '}{self.text}"


def ok(text: str) -> Finding:
    """Something worth knowing that needs nothing done."""
    return Finding(text)


def problem(text: str) -> Finding:
    """Something that must be put right."""
    return Finding(text, problem=True)


def status(findings: Iterable[Finding]) -> int:
    """0 where nothing is wrong, else 1."""
    return int(any(finding.problem for finding in findings))
