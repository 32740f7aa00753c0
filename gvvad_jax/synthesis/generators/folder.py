"""Clips that some other service made: DIR/<description id>.<ending>, as files, GIFs or folders of pictures.

An .mp4 goes into the set as it is, byte for byte; anything else is decoded and encoded once.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from gvvad_jax.datasets import files
from gvvad_jax.records import Description, Video
from gvvad_jax.synthesis.options import Options
from gvvad_jax.video import decode, encode

FPS = 8  # CogVideoX's, where the clip (pictures, for one) does not say
MOST_BYTES = 2 << 30  # of decoded frames, for what has to be encoded


@contextlib.contextmanager
def clips(descriptions: Sequence[Description], options: Options) -> Iterator["Maker"]:
    """Finds the clips under `options.root`; ValueError or OSError where there is none, or two are of one description.

    Clips that belong to no description are left out, with a warning.
    """
    options.require_only("folder", "root")
    if options.root is None:
        raise ValueError("--generator=folder needs --root, the folder of the clips.")
    root = files.check_root(options.root, "folder", "clips named <description id>.<ending>")
    found = defaultdict(list)
    for id, path in files.videos(root):
        found[id].append(path)
    asked = {description.id for description in descriptions}
    if not asked & found.keys():
        raise FileNotFoundError(
            f"no clip under {root} has a description's id as its name, such as {descriptions[0].id}.mp4"
        )
    for id in sorted(asked & found.keys()):
        if len(found[id]) > 1:
            raise ValueError(f"{id}: two clips, {found[id][0]} and {found[id][1]}; keep one of them")
    if others := sorted(found.keys() - asked):
        logging.warning("%d clips under %s have no description, such as %s", len(others), root, others[0])
    with decode.Decoder() as decoder:
        yield Maker({id: paths[0] for id, paths in found.items()}, root, decoder)


class Maker:
    """Turns a description into its clip's record."""

    def __init__(self, paths: dict[str, Path], root: Path, decoder: decode.Decoder):
        self._paths, self._root, self._decoder = paths, root, decoder

    def __call__(self, description: Description) -> Video:
        """ValueError or OSError where the clip is missing or cannot be decoded."""
        path = self._paths.get(description.id)
        if path is None:
            raise FileNotFoundError(f"no clip {self._root / description.id}.*; add it and run the same command again")
        info = self._decoder.probe(path)
        notes, fps = list(info.notes), info.fps
        if fps is None:
            fps, notes = float(FPS), [*notes, f"{description.id}: no frame rate known, {FPS} a second assumed"]
        if path.is_file() and path.suffix.lower() == ".mp4":
            video, height, width = path.read_bytes(), info.height, info.width
        else:
            video, height, width = self._encoded(path, info, fps)
        return Video(
            id=description.id,
            label=description.label,
            synthetic=1,
            split="train",
            category=description.category,
            source={
                "generator": "folder",
                "settings": {"file": path.name},
                "seed": None,
                "description_id": description.id,
                "pair_id": description.pair_id,
                "text": description.text,
            },
            fps=fps,
            num_frames=info.num_frames,
            height=height,
            width=width,
            video=video,
            intervals=None if description.label else [],  # when it happens, nobody has said
            notes=notes,
        )

    def _encoded(self, path: Path, info: decode.Info, fps: float) -> tuple[bytes, int, int]:
        needed = info.num_frames * info.height * info.width * 3
        if needed > MOST_BYTES:
            raise ValueError(
                f"{path}: {info.num_frames:,} frames of {info.width}x{info.height} are {needed / 2**30:.1f} GiB, more "
                f"than the {MOST_BYTES / 2**30:.0f} GiB that a clip may take here; encode it as .mp4 yourself"
            )
        frames = np.concatenate([s.frames for s in self._decoder.snippets(path, keep="all")])
        height, width = frames.shape[1:3]
        return encode.mp4(frames, fps), height + height % 2, width + width % 2
