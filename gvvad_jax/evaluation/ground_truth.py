"""Published ground truths: dictionaries of frame labels, and flat arrays whose videos lie end to end in list order.

A flat array says nothing of its videos, so its length is explained first: the sum of F, 16·⌊F/16⌋, 16·⌈F/16⌉ or 16·T
over the list. One that no rule explains is refused with every sum, for a wrong offset gives a wrong figure silently.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int8, Num

from gvvad_jax.evaluation import names

# UCF-Crime test videos, all of a frame count that divides by 16, whose last snippet the published I3D features (and
# the ground truths made for them, 1,109,680 frames) lack; found by PEL4VAD's arrays against UR-DMU's frame counts.
LACKING = tuple(
    f"{name}_x264"
    for name in (
        "Assault006 Burglary037 Normal_Videos_881 Normal_Videos_914 RoadAccidents010 RoadAccidents016 Shooting046 "
        "Shoplifting010 Shoplifting015"
    ).split()
)
STRAY = 2  # positive frames that a normal video may hold: TAD's published labels have one each, by a slip


def load(
    path: Path, label_list: Path | None, lengths: Mapping[str, tuple[int | None, int | None]], snippet_frames: int = 16
) -> tuple[dict[str, Int8[np.ndarray, " frames"]], list[str]]:
    """Labels by our ids, and notes; `lengths` has the frames F and snippets T of every video, None where unknown."""
    path = Path(path)
    arrays = read(path)
    if isinstance(arrays, dict):
        found = names.match(lengths, arrays, str(path))
        if not found:
            raise ValueError(
                f"{path}: none of its {len(arrays)} names ({names.some(arrays, 3)}) is a video here "
                f"({names.some(lengths, 3)})."
            )
        return {id: arrays[name] for id, name in found.items()}, [f"labels: {path.name}, {len(found)} videos"]
    if label_list is None:
        raise ValueError(f"{path} is a flat array of {len(arrays):,} labels; give the list of its videos (label_list).")
    listed = read_list(label_list)
    found = names.match(listed, lengths, str(label_list))
    if len(found) < len(listed):
        missing = names.some(set(listed) - set(found))
        raise ValueError(
            f"{label_list}: {len(listed) - len(found)} of its {len(listed)} videos are not here: {missing}"
        )
    ids = [found[name] for name in listed]
    rule, spans = explain(len(arrays), {id: lengths[id] for id in ids}, str(path), snippet_frames)
    labels = {id: arrays[start:stop] for id, (start, stop) in zip(ids, spans, strict=True)}
    return labels, [
        f"labels: {path.name}, {len(arrays):,} frames = sum of {rule} over {len(ids)} videos of {label_list}"
    ]


def read(path: Path) -> Int8[np.ndarray, " frames"] | dict[str, Int8[np.ndarray, " frames"]]:
    """A flat array (.npy) or a dictionary (.npz; of our own scores.npz the labels), every value 0 or 1."""
    try:
        loaded = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: not a .npy or .npz file of plain numbers ({error}); pickles are not read."
        ) from error
    if isinstance(loaded, np.ndarray):
        return _binary(np.squeeze(loaded), str(path))
    with loaded:
        keys = [key for key in loaded.files if key.startswith("labels/")] or loaded.files
        return {key.removeprefix("labels/"): _binary(np.squeeze(loaded[key]), f"{path}: {key}") for key in keys}


def read_list(path: Path) -> list[str]:
    """The videos of a published list, a path or name a line; what follows the first blank or comma is dropped."""
    lines = [line.strip() for line in Path(path).read_text("utf-8-sig").splitlines()]
    listed = [_first(line) for line in lines if line and not line.startswith("#")]
    if not listed:
        raise ValueError(f"{path}: no line names a video; a list has one path or name a line.")
    if len(set(listed)) < len(listed):
        twice = next(name for number, name in enumerate(listed) if name in listed[:number])
        raise ValueError(f"{path}: {twice} stands there twice; a flat array has each video once.")
    return listed


def rules(
    lengths: Mapping[str, tuple[int | None, int | None]], snippet_frames: int = 16
) -> dict[str, list[int] | None]:
    """The length each rule gives every video, in order; None where one video lacks the number that the rule needs."""
    frames, snippets = [f for f, _ in lengths.values()], [t for _, t in lengths.values()]
    n = snippet_frames
    known = None if None in frames else [f for f in frames if f is not None]
    table = {
        f"{n}·T (snippets of the features)": None if None in snippets else [n * t for t in snippets if t is not None],
        "F (exact frames)": known,
        f"{n}·⌊F/{n}⌋ (floor)": None if known is None else [f // n * n for f in known],
        f"{n}·⌈F/{n}⌉ (ceil)": None if known is None else [-(-f // n) * n for f in known],
    }
    if known is not None and n == 16 and set(LACKING) <= set(lengths):
        table["16·⌊F/16⌋ less the last snippet of nine videos (published I3D features)"] = [
            f // 16 * 16 - 16 * (id in LACKING) for id, f in zip(lengths, known, strict=True)
        ]
    return table


def explain(
    total: int, lengths: Mapping[str, tuple[int | None, int | None]], what: str, snippet_frames: int = 16
) -> tuple[str, list[tuple[int, int]]]:
    """The first rule whose sum is `total`, and where each video lies under it; none: ValueError with all sums."""
    tried = []
    for rule, each in rules(lengths, snippet_frames).items():
        if each is None:
            tried.append(f"{rule}: not known for every video")
            continue
        ends = np.cumsum(each)
        if len(each) and ends[-1] == total:
            return rule, list(zip((ends - each).tolist(), ends.tolist(), strict=True))
        tried.append(f"{rule}: {int(ends[-1]) if len(each) else 0:,}")
    raise ValueError(
        f"{what}: {total:,} labels for {len(lengths)} videos match no rule of lengths ({'; '.join(tried)}); "
        "it was made for other features: use a dictionary of labels by name, or those features."
    )


def contradictions(labels: Mapping[str, np.ndarray], normal: set[str]) -> tuple[list[str], list[str]]:
    """Normal videos with more than a stray positive frame, and those with a stray one."""
    positives = {id: int(labels[id].sum()) for id in normal & set(labels)}
    wrong = sorted(id for id, count in positives.items() if count > STRAY)
    return wrong, sorted(id for id, count in positives.items() if 0 < count <= STRAY)


def _binary(labels: Num[np.ndarray, "*shape"], what: str) -> Int8[np.ndarray, " frames"]:
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"{what}: labels have shape {labels.shape} and must be one row of 0 and 1.")
    return labels.astype(np.int8)


def _first(line: str) -> str:
    """The name on a line: all of it where it is a path, else up to the first comma or blank."""
    return line if names.ENDINGS.search(line) else line.replace(",", " ").split()[0]
