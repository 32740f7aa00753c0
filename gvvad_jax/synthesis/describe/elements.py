"""The four elements (camera viewpoint, location, subject, event) as catalogues, and which of them go together.

The catalogues are the .toml files of catalogue/, whose first lines say what each key means. A tuple is a function of
the seed and of the tuples before it alone, so that a longer list begins with the shorter one.
"""

import dataclasses
import functools
import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, TypeVar

Item = TypeVar("Item")
UCF_CRIME = (
    *("Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents", "Robbery"),
    *("Shooting", "Shoplifting", "Stealing", "Vandalism"),
)


@dataclasses.dataclass(frozen=True)
class Viewpoint:
    """A camera; the location must have all tags in `needs`."""

    text: str
    needs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Location:
    """A place; `details` stand in both texts of a pair, `calm` may end the normal one."""

    text: str
    tags: tuple[str, ...]
    details: tuple[str, ...]
    calm: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Subject:
    """Who or what is seen; the location must have one of `places`. `doing`: what it does where nothing happens."""

    text: str
    roles: tuple[str, ...]
    places: tuple[str, ...]
    doing: tuple[str, ...]
    plural: bool = False


@dataclasses.dataclass(frozen=True)
class Event:
    """What goes wrong; asks for one of `roles` and, where there are any, one of `places`."""

    category: str
    name: str
    roles: tuple[str, ...]
    places: tuple[str, ...]
    does: tuple[str, ...]
    words: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Everything the describers draw from."""

    viewpoints: tuple[Viewpoint, ...]
    locations: tuple[Location, ...]
    subjects: tuple[Subject, ...]
    events: tuple[Event, ...]
    light: Mapping[str, tuple[str, ...]]
    names: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]
    alarms: tuple[str, ...]

    @property
    def categories(self) -> tuple[str, ...]:
        """The classes of anomaly, in the order of the file."""
        return tuple(dict.fromkeys(event.category for event in self.events))


@dataclasses.dataclass(frozen=True)
class Elements:
    """One tuple; `hour` (the light or time of day) is shared by both texts of the pair as well."""

    viewpoint: Viewpoint
    location: Location
    subject: Subject
    event: Event
    hour: str


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that ships with the package."""
    viewpoints, locations = _table("viewpoints"), _table("locations")
    subjects, events = _table("subjects"), _table("events")
    return Catalogue(
        viewpoints=tuple(Viewpoint(**_frozen(row)) for row in viewpoints["viewpoint"]),
        locations=tuple(Location(**_frozen(row)) for row in locations["location"]),
        subjects=tuple(Subject(**_frozen(row)) for row in subjects["subject"]),
        events=tuple(Event(**_frozen(row)) for row in events["event"]),
        light=_frozen(locations["light"]),
        names=_frozen(events["names"]),
        after=_frozen(events["after"]),
        alarms=tuple(events["alarms"]),
    )


def fits(viewpoint: Viewpoint, location: Location, subject: Subject, event: Event) -> bool:
    """Whether the four can stand in one picture."""
    return _sees(viewpoint, location) and _is_at(subject, location) and _happens(event, location, subject)


def pick(options: Sequence[Item], *key: object) -> Item:
    """One of `options` by the hash of `key`: the same in every version of Python and NumPy."""
    return options[_hash(*key) % len(options)]


class Drawer:
    """Draws tuples that are balanced over classes, then locations, then the other elements; none comes twice.

    Pair number i is of class i modulo the number of classes, in an order that the seed shuffles anew each round.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self._catalogue = catalogue()
        self._used: Counter[tuple[str, str]] = Counter()
        self._taken: set[tuple[str, ...]] = set()

    def candidates(self, number: int) -> Iterator[Elements]:
        """Tuples for pair `number` (from 0), the best balanced first; `take` the one that is used."""
        categories = self._catalogue.categories
        order = self._shuffled(categories, "class", number // len(categories))
        category = order[number % len(order)]
        events = [event for event in self._catalogue.events if event.category == category]
        for event in self._least_used("event", events, number):
            for location in self._least_used("location", self._catalogue.locations, number):
                subjects = [s for s in self._catalogue.subjects if _is_at(s, location) and _happens(event, location, s)]
                viewpoints = [v for v in self._catalogue.viewpoints if _sees(v, location)]
                for subject in self._least_used("subject", subjects, number):
                    for viewpoint in self._least_used("viewpoint", viewpoints, number):
                        light = self._catalogue.light["indoor" if "indoor" in location.tags else "outdoor"]
                        found = Elements(
                            viewpoint, location, subject, event, pick(light, self.seed, number, location.text)
                        )
                        if _names(found) not in self._taken:
                            yield found

    def take(self, elements: Elements) -> None:
        """Counts a tuple as used."""
        self._taken.add(_names(elements))
        for kind, name in zip(("viewpoint", "location", "subject", "event"), _names(elements), strict=True):
            self._used[kind, name] += 1

    def _least_used(self, kind: str, options: Iterable[Any], number: int) -> list[Any]:
        shuffled = self._shuffled(options, kind, number)
        return sorted(shuffled, key=lambda option: self._used[kind, option.name if kind == "event" else option.text])

    def _shuffled(self, options: Iterable[Item], kind: str, number: int) -> list[Item]:
        return sorted(options, key=lambda option: _hash(self.seed, kind, number, getattr(option, "text", option)))


def exhausted(number: int) -> ValueError:
    """What a describer raises where no candidate is left."""
    return ValueError(f"the catalogue gives {number} pairs that differ enough, and more are asked for; lower --count.")


def _sees(viewpoint: Viewpoint, location: Location) -> bool:
    return set(viewpoint.needs) <= set(location.tags)


def _is_at(subject: Subject, location: Location) -> bool:
    return not set(subject.places).isdisjoint(location.tags)


def _happens(event: Event, location: Location, subject: Subject) -> bool:
    here = not event.places or not set(event.places).isdisjoint(location.tags)
    return here and not set(event.roles).isdisjoint(subject.roles)


def _names(elements: Elements) -> tuple[str, str, str, str]:
    return elements.viewpoint.text, elements.location.text, elements.subject.text, elements.event.name


def _hash(*key: object) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()[:8], "big")


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(
        resources.files("gvvad_jax.synthesis.describe").joinpath(f"catalogue/{name}.toml").read_text("utf-8")
    )


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
