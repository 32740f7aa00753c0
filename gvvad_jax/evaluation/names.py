"""Matching the names of other programs' files with the ids of a data set."""

import re
from collections.abc import Iterable

ENDINGS = re.compile(r"\.(npy|npz|csv|txt|pkl|mp4|avi|mkv|mov|webm|mpg|mpeg|m4v|wmv|flv|gif)$", re.IGNORECASE)
SUFFIXES = re.compile(r"(_i3d|_c3d|_clip_large|_clip|_videomae|_large|_x264|_emb|_scores?|_pred|__\d)$", re.IGNORECASE)


def stem(name: str) -> str:
    """The path without a file's ending and without what publishers append (`_x264`, `_i3d`, `_clip`, `__5`, …)."""
    name = ENDINGS.sub("", name.strip().replace("\\", "/"))
    while (shorter := ENDINGS.sub("", SUFFIXES.sub("", name))) != name and shorter.rpartition("/")[2]:
        name = shorter
    return name


def match(ids: Iterable[str], names: Iterable[str], what: str) -> dict[str, str]:
    """id → name for every id that has one: equal names first, then equal paths, then equal stems.

    Two names for one id, or one for two, is a question only the user can answer: refused, both named.
    """
    ids, names = list(ids), list(names)
    found: dict[str, str] = {}
    for key in (str, stem, lambda name: stem(name).rpartition("/")[2]):
        left_names = _grouped(set(names) - set(found.values()), key)
        for shared, wanted in _grouped(set(ids) - set(found), key).items():
            offered = left_names.get(shared, [])
            if len(offered) > 1 or (offered and len(wanted) > 1):
                pair = (offered if len(offered) > 1 else wanted)[:2]
                raise ValueError(f"{what}: {pair[0]} and {pair[1]} have the same name ({shared}); keep one of them.")
            if offered:
                found[wanted[0]] = offered[0]
    return found


def some(names: Iterable[str], shown: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = sorted(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _grouped(names: Iterable[str], key) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(key(name), []).append(name)
    return groups
