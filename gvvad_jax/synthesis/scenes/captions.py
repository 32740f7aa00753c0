"""A sentence for every snippet of a scene: what a viewer sees in it.

One about more frames would tell of an event before it shows.
"""

SNIPPET, LEAST = 16, 4  # frames; what shows in fewer than LEAST of a snippet's frames is not mentioned

PLACES = {
    "street": "on the pavement of a street",
    "far street": "on a pavement across a road",
    "car park": "in a car park",
    "square": "on an open square",
    "houses": "on a residential street",
    "station": "on a railway platform",
    "shop": "in a shop",
    "hall": "in a corridor",
}


def snippets(num_frames: int) -> list[tuple[int, int]]:
    """Half-open ranges of 16 frames, the last of what is left."""
    return [(start, min(start + SNIPPET, num_frames)) for start in range(0, num_frames, SNIPPET)]


def write(
    num_frames: int,
    kind: str,
    night: bool,
    walkers: list[int],
    seen: list[tuple[int, int, str]],
    intervals: list[tuple[int, int]],
    event: str,
) -> list[tuple[int, int, str]]:
    """(start, end, sentence) of each snippet; `walkers`: people in the picture frame by frame."""
    made = []
    for start, end in snippets(num_frames):
        least = min(LEAST, end - start)
        where = PLACES[kind] + (" at night" if night else "")
        if any(min(end, b) - max(start, a) >= least for a, b in intervals):
            made.append((start, end, f"{event} {where}"))
            continue
        count = max(walkers[start:end])
        many = "an empty view" if count == 0 else "a person walks" if count == 1 else "people walk"
        if count > 5:
            many = "many people walk"
        said = [words for a, b, words in seen if min(end, b) - max(start, a) >= least]
        made.append((start, end, " and ".join([f"{many} {where}", *said])))
    return made
