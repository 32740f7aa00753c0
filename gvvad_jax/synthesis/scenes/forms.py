"""Which events are drawn, by category, and where one can play."""

import dataclasses
from collections.abc import Callable

from gvvad_jax.synthesis.scenes import crimes, mishaps, stage

OUTSIDE = ("street", "far street", "houses", "car park", "square", "station")
ROADS = ("street", "far street")
ANY = (*OUTSIDE, "shop", "hall")


@dataclasses.dataclass(frozen=True)
class Form:
    """One drawn event; `words`: what in a description's event or text calls for it."""

    draw: Callable[[stage.Scene, int, int], str]
    category: str
    kinds: tuple[str, ...]
    words: tuple[str, ...] = ()
    needs_road: bool = False  # no other traffic then


WALLS = ("houses", "square", "far street")
FORMS: dict[str, Form] = {
    "abuse": Form(crimes.abuse, "Abuse", ANY, ("abuse", "beat", "child", "slap", "drag")),
    "arrest": Form(crimes.arrest, "Arrest", OUTSIDE, ("arrest", "police", "officer", "handcuff"), True),
    "arson": Form(crimes.arson, "Arson", OUTSIDE, ("arson", "sets fire", "set fire", "ignite", "on fire")),
    "assault": Form(crimes.assault, "Assault", ANY, ("assault", "attack", "knock")),
    "burglary": Form(crimes.burglary, "Burglary", WALLS, ("burgl", "break in", "breaks in", "climb")),
    "explosion": Form(mishaps.explosion, "Explosion", OUTSIDE, ("explo", "blast", "detonat")),
    "fighting": Form(crimes.fighting, "Fighting", ANY, ("fight", "brawl", "punch")),
    "road accident": Form(mishaps.road_accident, "RoadAccidents", ROADS, ("crash", "colli", "accident", "hits"), True),
    "robbery": Form(crimes.robbery, "Robbery", ANY, ("rob", "gunpoint", "knifepoint")),
    "shooting": Form(crimes.shooting, "Shooting", ANY, ("shoot", "gunfire", "fires a gun", "shot")),
    "shoplifting": Form(crimes.shoplifting, "Shoplifting", ("shop",), ("shoplift", "shelf", "merchandise")),
    "stealing": Form(crimes.stealing, "Stealing", ANY, ("steal", "theft", "snatch", "thief", "pickpocket")),
    "vandalism": Form(crimes.vandalism, "Vandalism", (*WALLS, "hall"), ("vandal", "graffiti", "smash")),
    "fire": Form(mishaps.fire, "Fire", ANY, ("fire", "flame", "smoke", "burn")),
    "fall": Form(mishaps.fall, "Falling", ANY, ("fall", "collaps", "slip", "faint", "trip")),
    "car on pavement": Form(
        mishaps.car_on_pavement,
        "CarOnPavement",
        ("street", "far street", "square", "car park"),
        ("pavement", "sidewalk", "mounts the", "wrong way", "drives"),
        True,
    ),
    "running crowd": Form(mishaps.running_crowd, "Panic", OUTSIDE, ("crowd", "panic", "stampede", "flee", "running")),
}
UCF = tuple(FORMS)[:13]


def of(category: str, event: str = "", text: str = "") -> str:
    """The form for a description: its category's where there is one, else the first whose words its event has.

    A category and words that call for none: ValueError that lists the forms.
    """
    plain = "".join(c for c in category.lower() if c.isalnum()).rstrip("s")
    for name, form in FORMS.items():
        if plain in ("".join(c for c in known.lower() if c.isalnum()).rstrip("s") for known in (form.category, name)):
            return name
    for words in (category.lower(), event.lower(), text.lower()):
        counts = {name: sum(word in words for word in form.words) for name, form in FORMS.items()}
        best = max(counts, key=lambda name: counts[name])
        if counts[best]:
            return best
    raise ValueError(f"no drawn form for category {category!r} and event {event!r}; scenes draw {', '.join(FORMS)}")


WHERE = {  # words of a location, and the kind of place drawn for it; the first that fits
    "shop": ("shop", "store", "supermarket", "market", "mall", "pharmacy", "aisle"),
    "station": ("station", "platform", "metro", "subway", "railway", "train", "bus stop"),
    "car park": ("car park", "parking", "garage", "petrol", "gas station"),
    "square": ("square", "plaza", "park", "campus", "playground", "courtyard"),
    "hall": ("corridor", "hall", "office", "bank", "lobby", "school", "hospital", "hotel", "room", "restaurant", "bar"),
    "houses": ("resident", "suburb", "house", "home", "backyard", "alley", "driveway", "neighbo"),
    "far street": ("crossing", "intersection", "junction", "road", "highway"),
    "street": ("street", "pavement", "sidewalk", "avenue", "downtown"),
}


NIGHT, DAY = ("night", "late in the evening", "after dark"), ("day", "morning", "afternoon", "sun", "dusk")


def is_night(text: str) -> bool | None:
    """What a description says about the light; None: nothing."""
    low = text.lower()
    return True if any(word in low for word in NIGHT) else False if any(word in low for word in DAY) else None


def place_of(location: str) -> str:
    """The kind of place for a description's location; empty where no word is known."""
    low = location.lower()
    if "petrol" in low or "gas station" in low:
        return "car park"
    for kind, words in WHERE.items():
        if any(word in low for word in words):
            return kind
    return ""


def view_of(viewpoint: str) -> str:
    """`high`, `low` or empty for a description's camera viewpoint."""
    low = viewpoint.lower()
    if any(
        word in low for word in ("high", "overhead", "top", "roof", "bird", "above", "ceiling", "elevated", "drone")
    ):
        return "high"
    return "low" if any(word in low for word in ("eye-level", "eye level", "low", "ground", "door", "counter")) else ""
