"""What only a set shows: clips that are one clip again, and a mark that lies in the same corner of different clips."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from gvvad_jax.synthesis.filtering import measures

ROWS = 512  # clips compared with all others at a time
SAME_PLACE = 0.9  # likeness of backgrounds above which a shared corner says nothing: one camera, not one mark
FAINT = 150.0  # length of a corner's strokes below which likeness fades: weak texture resembles weak texture
WITNESSES = 3  # other clips that must show the mark (all others in a set of fewer)
CERTAIN = 0.7  # likeness from which a clip helps to draw the mark


def duplicates(found: Sequence[measures.Measures], still: float, moving: float) -> Iterator[tuple[int, int, float]]:
    """Pairs (earlier, later, likeness) that show the same place and the same movement, in set order.

    Likeness is a cosine: of backgrounds at least `still`, and of what moves at least `moving`. Two clips in which
    nothing moves are alike where their backgrounds are. Re-compression, a little gain and a few lost edge pixels
    leave both cosines; other people on the same street change the second.
    """
    if not found:
        return
    places, movements = np.stack([m.still for m in found]), np.stack([m.moving for m in found])
    rests = np.logical_not(np.abs(movements).max(1))
    for start in range(0, len(found), ROWS):
        part = slice(start, start + ROWS)
        place, movement = places[part] @ places.T, movements[part] @ movements.T
        movement[rests[part][:, None] & rests] = 1.0
        for later, earlier in zip(*np.nonzero((place >= still) & (movement >= moving)), strict=True):
            if earlier < start + later:
                yield int(earlier), int(start + later), float(min(place[later, earlier], movement[later, earlier]))


def shared_overlay(
    found: Sequence[measures.Measures],
    sound: Bool[np.ndarray, " clips"] | None = None,
    group: Int[np.ndarray, " clips"] | None = None,
) -> Float[np.ndarray, " clips"]:
    """How alike each clip's corner is to a mark that several clips of the set carry, 0 to 1; 0 where none do.

    First each clip's corners are compared with those of the `sound` others (all, unless given) and its third-best
    likeness counts; clips of one background are not compared. Where that is certain for more than a few sound clips
    they draw the mark, as their median; where its strokes lie every clip is looked at again, so that railings beside
    the mark do not hide it. Frozen or black clips and repeats share whole pictures with others, and would make any
    corner look like a mark: the first are not sound, though they are judged, and clips of one `group` count as one.
    """
    best = np.zeros(len(found))
    witnesses = np.arange(len(found)) if sound is None else np.flatnonzero(sound)
    groups = (np.arange(len(found)) if group is None else group)[witnesses]
    witnesses = witnesses[np.argsort(groups, kind="stable")]
    starts = np.flatnonzero(np.diff(np.sort(groups), prepend=-1))  # where a group begins among the witnesses
    if len(starts) < 2:
        return best
    places = np.stack([m.still for m in found])
    others = min(WITNESSES, len(starts) - 1)
    for corner in range(len(measures.CORNERS)):
        strokes = np.stack([m.corners[corner].ravel() for m in found])
        unit = strokes / np.hypot(np.linalg.norm(strokes, axis=1, keepdims=True), FAINT)
        like = np.zeros(len(found))
        for start in range(0, len(found), ROWS):
            part = slice(start, start + ROWS)
            cosine = unit[part] @ unit[witnesses].T
            cosine = np.where(places[part] @ places[witnesses].T > SAME_PLACE, 0.0, cosine)
            like[part] = np.partition(np.maximum.reduceat(cosine, starts, axis=1), -others, axis=1)[:, -others]
        certain = like[witnesses] > CERTAIN
        if np.logical_or.reduceat(certain, starts).sum() > others:
            mark = np.median(strokes[witnesses][certain], 0)
            at = np.abs(mark) > np.abs(mark).max() / 4
            there = strokes[:, at]
            length = np.hypot(np.linalg.norm(there, axis=1), FAINT / 4) * max(float(np.linalg.norm(mark[at])), 1e-6)
            best = np.maximum(best, there @ mark[at] / length)
    return best
