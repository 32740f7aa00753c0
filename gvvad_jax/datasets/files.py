"""Videos under a folder: files with a video's ending, and folders that hold only pictures."""

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from absl import logging

from gvvad_jax.datasets.entry import Entry

VIDEO_ENDINGS = frozenset(
    ".mp4 .mkv .avi .mov .webm .ts .mpg .mpeg .m4v .wmv .flv .3gp .mts .m2ts .ogv .vob .asf .gif".split()
)
PICTURE_ENDINGS = frozenset(".jpg .jpeg .png .tif .tiff .bmp .webp .pgm .ppm".split())
IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def check_root(root: Path, dataset: str, layout: str) -> Path:
    """`root`, or one sentence that says what should lie there."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}; {dataset} expects {layout}")
    return root


def without_ending(name: str) -> str:
    """`name` without a video's ending; other dots stay (XD-Violence names are full of them)."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in VIDEO_ENDINGS and stem else name


def is_visible(name: str) -> bool:
    """False for hidden files and what file managers leave behind."""
    return not name.startswith(".") and name.lower() not in IGNORED


def count_pictures(folder: Path) -> int:
    """How many pictures `folder` holds."""
    return sum(is_visible(name) and Path(name).suffix.lower() in PICTURE_ENDINGS for name in os.listdir(folder))


def videos(root: Path) -> list[tuple[str, Path]]:
    """(path under `root` without its ending, with `/`; the file or folder of pictures), sorted; ids may repeat.

    Links are followed, except back to a folder on the way to them. A folder of pictures is a video if nothing else
    lies in it, and may be named like a file (`Normal_001.mp4/`, as TAD is published). `root` itself may be one. A
    warning tells of folders that hold pictures beside other files and no video; a name that is not UTF-8: ValueError.
    """
    found, mixed = [], []
    for folder, subfolders, names in os.walk(root, followlinks=True):
        here = Path(folder)
        subfolders[:] = sorted(name for name in subfolders if is_visible(name) and not _is_loop(root, here, name))
        names = [name for name in names if is_visible(name)]
        relative = here.relative_to(root)
        endings = {Path(name).suffix.lower() for name in names}
        if names and not subfolders and endings <= PICTURE_ENDINGS:
            found.append((without_ending(relative.as_posix() if relative.parts else here.resolve().name), here))
            continue
        if relative.parts and endings & PICTURE_ENDINGS and not endings & VIDEO_ENDINGS:
            mixed.append(here)
        for name in names:
            if Path(name).suffix.lower() in VIDEO_ENDINGS:
                found.append(((relative / without_ending(name)).as_posix(), here / name))
    if mixed:
        logging.warning(
            "%d folders under %s hold pictures beside other files and are no videos, such as %s",
            len(mixed),
            root,
            mixed[0],
        )
    for id, path in found:
        if not _is_text(id):
            raise ValueError(f"{ascii(str(path))}: its name is not UTF-8, so records cannot carry it; rename it")
    return sorted(found)


def by_stem(root: Path) -> dict[str, list[Path]]:
    """Videos under `root` by their last name alone."""
    stems = defaultdict(list)
    for id, path in videos(root):
        stems[id.rpartition("/")[2]].append(path)
    return dict(stems)


def locate(
    known: dict[str, Entry], root: Path, *, layout: str, skip_missing: bool, avoid: tuple[str, ...] = ()
) -> list[Entry]:
    """The `known` videos with their paths under `root`, sorted by id.

    A split of which nothing is there is left out with a warning (many keep the test part alone); videos missing from a
    split that is there are refused unless `skip_missing`. Two files of one id: refused, both named, except that files
    in folders named in `avoid` never count and a video file goes before a folder of its frames.
    """
    stems = by_stem(root)
    dataset = next(iter(known.values())).dataset
    placed, missing = [], []
    for id, entry in sorted(known.items()):
        paths = [path for path in stems.get(id, []) if not set(avoid) & set(path.parts)]
        if len(paths) > 1:
            paths = [path for path in paths if path.is_file()] or paths
        if len(paths) > 1:
            raise ValueError(f"{id}: two files with one id, {paths[0]} and {paths[1]}; keep one of them")
        if paths:
            placed.append(replace(entry, path=paths[0]))
        else:
            missing.append(entry)
    if not placed:
        raise FileNotFoundError(f"no video of {dataset} under {root}; {dataset} expects {layout}")
    present = {entry.split for entry in placed}
    absent = sorted({entry.split for entry in missing} - present)
    if absent:
        logging.warning("%s: no video of split %s under %s; only %s is used", dataset, absent, root, sorted(present))
    refuse_missing([entry.id for entry in missing if entry.split in present], dataset, root, len(known), skip_missing)
    return placed


def refuse_missing(missing: list[str], dataset: str, root: Path, expected: int, skip_missing: bool) -> None:
    """Refuses missing videos with up to five names and their count, or warns where they may be skipped."""
    if not missing:
        return
    named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    sentence = f"{len(missing)} of {dataset}'s {expected} videos are missing under {root}: {named}"
    if not skip_missing:
        raise FileNotFoundError(f"{sentence}; add them, or pass --skip_missing to leave them out")
    logging.warning("%s; skipped", sentence)


def _is_text(name: str) -> bool:
    """False where bytes of a file's name are not UTF-8, which Python gives as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_loop(root: Path, folder: Path, name: str) -> bool:
    """Whether `name` in `folder` is, behind its links, one of the folders that led to it from `root`."""
    steps = [folder, *folder.parents][: len(folder.relative_to(root).parts) + 1]
    return os.path.realpath(folder / name) in {os.path.realpath(step) for step in steps}
