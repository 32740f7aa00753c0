"""The describer that needs no network: sentences put together from the catalogue, the same for the same seed."""

import re
from collections.abc import Iterator

from gvvad_jax.synthesis.describe import elements, validation
from gvvad_jax.synthesis.describe.elements import Elements
from gvvad_jax.synthesis.describe.validation import Pair

NAME = "template"
WORDINGS = 12  # tried for a tuple of elements before the next tuple is
OPENINGS = (
    "{Camera} films {place} {hour}.",
    "{Hour}, {camera} looks over {place}.",
    "The view of {camera} shows {place} {hour}.",
    "Surveillance footage of {place}, recorded {hour} by {camera}.",
    "Seen through {camera}: {place} {hour}.",
    "{Place} {hour}, as {camera} records it.",
)


def pairs(count: int, seed: int) -> Iterator[tuple[Elements, Pair]]:
    """`count` pairs; the first n are the same for every larger count. ValueError where the catalogue is exhausted."""
    drawer, seen = elements.Drawer(seed), validation.Seen()
    for number in range(count):
        found = next(_fresh(drawer, seen, number), None)
        if found is None:
            raise elements.exhausted(number)
        drawer.take(found[0])
        seen.add(found[1])
        yield found


def write(chosen: Elements, *key: object) -> Pair:
    """One wording of both texts, chosen by the hash of `key`: opening and detail are shared, what happens is not."""
    event, subject, location = chosen.event, chosen.subject, chosen.location
    names = {"camera": chosen.viewpoint.text, "place": location.text, "hour": chosen.hour}
    capitals = {name.capitalize(): _capital(text) for name, text in names.items()}
    opening = elements.pick(OPENINGS, *key, "opening").format(**names, **capitals)
    detail = elements.pick(("", *location.details), *key, "detail")
    does = _conjugated(elements.pick(event.does, *key, "does"), subject.plural)
    doing = elements.pick(subject.doing, *key, "doing")
    after = elements.pick(elements.catalogue().after[event.category], *key, "after")
    calm = elements.pick(location.calm, *key, "calm")
    anomalous = [opening, detail, f"{_capital(subject.text)} {does}.", after]
    normal = [opening, detail, f"{_capital(subject.text)} {doing}.", calm]
    return Pair(" ".join(filter(None, anomalous)), " ".join(filter(None, normal)))


def _fresh(drawer: elements.Drawer, seen: validation.Seen, number: int) -> Iterator[tuple[Elements, Pair]]:
    """Tuples and wordings for a pair that nearly repeat nothing."""
    for chosen in drawer.candidates(number):
        for wording in range(WORDINGS):
            pair = write(chosen, drawer.seed, number, wording, chosen.subject.text)
            if not seen.repeats(pair):
                yield chosen, pair


def _conjugated(text: str, plural: bool) -> str:
    return re.sub(r"\[([^|\]]*)\|([^\]]*)\]", lambda forms: forms[2 if plural else 1], text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
