"""Four elements → pairs of descriptions, an anomalous and a normal one that share camera, place and subject."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from gvvad_jax import program, records
from gvvad_jax.endpoint.cache import Cache
from gvvad_jax.endpoint.client import Client, Service
from gvvad_jax.synthesis.describe import template
from gvvad_jax.synthesis.describe.elements import Elements
from gvvad_jax.synthesis.describe.validation import Pair

DESCRIBERS = ("template", "openai")


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a call wrote. Pairs in `failed` are in errors.jsonl beside the file."""

    path: Path
    pairs: int
    failed: tuple[str, ...] = ()
    report: str = ""

    @property
    def status(self) -> int:
        """The program's: 0 where no pair failed, else 1."""
        return int(bool(self.failed))

    def __str__(self) -> str:
        lacking = f", {len(self.failed)} pairs failed (errors.jsonl)" if self.failed else ""
        return f"{self.pairs} pairs of descriptions{lacking}: {self.path}"


def describe(
    out: str | Path,
    describer: str = "template",
    *,
    count: int = 300,
    seed: int = 0,
    service: Service | None = None,
    attempts: int = 5,
    prices: tuple[float, float] | None = None,
) -> Summary:
    """Writes `count` pairs, 2·count descriptions, to `out`, atomically; the first n do not depend on `count`.

    A pair that a language model does not give is a line in errors.jsonl, and the rest goes on; what it answered is kept
    in OUT.cache/, so that the same call again pays for what is missing alone. ValueError or OSError: nothing written.
    """
    out = Path(out)
    if describer not in DESCRIBERS:
        raise ValueError(f"no describer '{describer}'; there are {', '.join(DESCRIBERS)}.")
    if count < 1:
        raise ValueError(f"--count={count}: at least 1 pair is needed.")
    if out.is_dir():
        raise ValueError(f"{out} is a folder; --out names the file to write, such as descriptions.jsonl.")
    if describer == "template":
        made = [
            description
            for number, (elements, pair) in enumerate(template.pairs(count, seed), 1)
            for description in descriptions(number, elements, pair, template.NAME, seed)
        ]
        out.parent.mkdir(parents=True, exist_ok=True)
        records.write_descriptions(out, made)
        return Summary(out, count)
    return _ask(out, count, seed, service or Service(), attempts, prices)


def descriptions(
    number: int, elements: Elements, pair: Pair, describer: str, seed: int
) -> Iterator[records.Description]:
    """The two records of pair `number`, counted from 1: `0001-anomalous`, then `0001-normal`."""
    event = elements.event
    for name, text in (("anomalous", pair.anomalous), ("normal", pair.normal)):
        is_anomalous = name == "anomalous"
        yield records.Description(
            id=f"{number:04d}-{name}",
            pair_id=f"{number:04d}",
            label=int(is_anomalous),
            category=event.category if is_anomalous else "Normal",
            viewpoint=elements.viewpoint.text,
            location=elements.location.text,
            subject=elements.subject.text,
            event=event.name if is_anomalous else "",
            text=text,
            describer=describer,
            seed=seed,
        )


def _ask(
    out: Path, count: int, seed: int, service: Service, attempts: int, prices: tuple[float, float] | None
) -> Summary:
    from gvvad_jax.synthesis.describe import llm

    asker, made, failed = Client(service), [], {}
    with Cache(out.with_name(f"{out.name}.cache")) as cache:
        asked = llm.pairs(count, seed, asker, cache, attempts)
        try:
            first = next(asked)  # a wrong key or address is one sentence, before any progress is shown
            found = program.progress(itertools.chain([first], asked), "describe", count, "pair")
            for number, (elements, pair) in enumerate(found, 1):
                if isinstance(pair, llm.Failure):
                    failed[f"{number:04d}"] = pair.reason
                else:
                    made += descriptions(number, elements, pair, f"openai:{service.model}", seed)
        finally:  # what an interrupted run paid is kept, too
            report = cache.report(prices, asker.unanswered)
    if not made:
        raise ValueError(f"not one pair was given; the last one: {list(failed.values())[-1]} ({report}).")
    errors = program.Errors(out.with_name("errors.jsonl"))
    errors.clear()
    for id, reason in failed.items():
        errors.add(id, reason)
    records.write_descriptions(out, made)
    return Summary(out, len(made) // 2, tuple(failed), report)
