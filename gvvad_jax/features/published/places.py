"""Where a listed video's files lie under the user's own root: by stem, whatever the folders are called."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from gvvad_jax.datasets import files
from gvvad_jax.features.published import lists


class Index:
    """The files under a root by stem, and by stem without a publisher's ending."""

    def __init__(self, root: Path, endings: Sequence[str] = (".npy", ".txt")):
        if not root.is_dir():
            raise FileNotFoundError(f"no folder {root}; name the one that holds the published files, at any depth.")
        self.root = root
        self.exact: dict[str, list[Path]] = defaultdict(list)
        self.alike: dict[str, list[Path]] = defaultdict(list)
        self.crops: dict[str, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))  # by bare name
        for path in _walk(root, endings):
            name, crop = lists.crop_of(path.stem)
            self.exact[path.stem].append(path)
            self.alike[lists.bare(path.stem)].append(path)
            if crop is not None:
                self.crops[lists.bare(name)][crop].append(path)

    def one(self, stem: str) -> Path | None:
        """The file with this very stem, else with it but for an ending on either side; two of them: ValueError."""
        return self._single(stem, self.exact.get(stem)) or self._single(stem, self.alike.get(lists.bare(stem)))

    def of_video(self, video: lists.Video, together: bool | None = None) -> tuple[list[Path], list[str]]:
        """(files of a video in the order of its crops, listed names that are nowhere).

        A list that names one file of a video may stand for a file a crop, ten or five of them; `together` False keeps
        it to that one file, True wants the crops, however many.
        """
        if video.crops != (None,):
            found = [(line.stem, self.one(line.stem)) for line in video.lines]
            return [path for _, path in found if path], [stem for stem, path in found if path is None]
        stem = video.lines[0].stem
        whole = self.one(stem)
        crops = {} if together is False else dict(self.crops.get(lists.bare(stem), {}))
        if not crops:
            return ([whole], []) if whole else ([], [stem])
        count = max(crops) + 1
        if whole and not together and (0 in crops or count not in lists.CROPS):
            return [whole], []  # walk__1 beside walk may be another video
        if whole and 0 not in crops:
            crops[0] = [whole]  # PEL4VAD's crop 0 has no number
        if not together:
            count = min((n for n in lists.CROPS if n >= count), default=count)
        paths = [self._single(stem, crops[i]) for i in sorted(crops)]
        return [path for path in paths if path], [f"{lists.bare(stem)}__{i}" for i in range(count) if i not in crops]

    def text(self, video: lists.Video) -> Path | None:
        """The file of a video's sentence vectors under one of the names in use."""
        found = (self._single(stem, self.exact.get(stem)) for stem in text_stems(video))
        return next((path for path in found if path), None)

    def _single(self, stem: str, paths: Sequence[Path] | None) -> Path | None:
        if not paths:
            return None
        different = {os.path.realpath(path): path for path in sorted(paths)}
        if len(different) > 1:
            first, second = list(different.values())[:2]
            raise ValueError(f"{stem}: two files may be meant, {first} and {second}; keep one of them under the root.")
        return min(paths)


def text_stems(video: lists.Video) -> list[str]:
    """The names under which releases keep a video's sentence vectors, the likeliest first.

    I3D and CLIP: the name without its ending; XD-Violence: the whole stem; LAP: the part before `_x264`.
    """
    name = lists.crop_of(video.lines[0].stem)[0]
    before = lists.bare(name)
    parts = before.partition("_x264")
    return list(dict.fromkeys(f"{n}_emb" for n in (before, name, f"{parts[0]}_x264", video.id, parts[0])))


def _walk(root: Path, endings: Sequence[str]) -> Iterable[Path]:
    seen = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back to a folder that was looked at
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if files.is_visible(name))
        for name in sorted(names):
            if files.is_visible(name) and os.path.splitext(name)[1].lower() in endings:
                yield Path(folder, name)
