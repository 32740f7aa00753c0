"""Reads the scores of any program: one .npz, a folder of .npy or .csv files, or one flat array with its list.

Whether numbers stand for frames or for snippets is decided by their count, over all videos at once, and said.
"""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Num

from gvvad_jax.evaluation import names

Scores = dict[str, np.ndarray]
ENDINGS = (".npy", ".csv", ".txt")
UNITS = ("auto", "frame", "snippet")


def read(path: Path) -> Scores | np.ndarray:
    """Scores by the name of the file or array, or one flat array where `path` is a .npy file.

    Of our own scores.npz the arrays under `scores/` are taken. A file called scores.csv or scores.npy has the name of
    its folder.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; --scores names a .npz, a .npy or a folder of scores.")
    if path.is_file():
        return _npz(path) if path.suffix.lower() == ".npz" else _one(path)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
    if not files and (path / "scores.npz").is_file():
        return _npz(path / "scores.npz")
    if not files:
        raise FileNotFoundError(f"{path}: no {', '.join(ENDINGS)} file and no scores.npz under it.")
    found: Scores = {}
    for file in files:
        relative = file.relative_to(path)
        lone = file.stem.lower() == "scores" and len(relative.parts) > 1
        name = (relative.parent if lone else relative.with_suffix("")).as_posix()
        if name in found:
            raise ValueError(f"{file}: two files give scores of {name}; keep one of them.")
        found[name] = _one(file)
    return found


def split(flat: np.ndarray, listed: Sequence[str], frames: Mapping[str, int | None], path: Path) -> tuple[Scores, str]:
    """A flat array cut into the videos of a list; its length must be the sum of one rule over the list."""
    each = [frames[name] for name in listed]
    if None in each:
        unknown = names.some(name for name in listed if frames[name] is None)
        raise ValueError(f"{path}: a flat array needs the frame count of every video, and these have none: {unknown}")
    counts = np.array(each)
    rules = {
        "frames": counts,
        "16·⌊frames/16⌋": counts // 16 * 16,
        "16·⌈frames/16⌉": -(-counts // 16) * 16,
        "⌊frames/16⌋ snippets": np.maximum(1, counts // 16),
        "⌈frames/16⌉ snippets": -(-counts // 16),
    }
    for rule, lengths in rules.items():
        if lengths.sum() == len(flat):
            return dict(zip(listed, np.split(flat, np.cumsum(lengths)[:-1]), strict=True)), rule
    tried = "; ".join(f"{rule}: {lengths.sum():,}" for rule, lengths in rules.items())
    raise ValueError(
        f"{path}: {len(flat):,} scores for {len(listed)} videos match no rule of lengths ({tried}); write one array a "
        "video instead."
    )


def per_frame(
    scores: Mapping[str, np.ndarray], frames: Mapping[str, int | None], unit: str = "auto", snippet_frames: int = 16
) -> tuple[bool, str]:
    """Whether there is one score a frame (else one a snippet), and how that was decided.

    One answer for all videos; where the counts fit neither, one of the videos is refused with its numbers.
    """
    if unit not in UNITS:
        raise ValueError(f"--unit={unit}; it is one of {', '.join(UNITS)}.")
    if unit != "auto":
        return unit == "frame", f"scores are one a {unit} (as told)"
    sizes = [(id, len(s), n) for id, s in scores.items() if (n := frames.get(id))]
    if not sizes:
        blocks = all(_in_blocks(s, snippet_frames) for s in scores.values())
        if blocks and scores:
            return True, f"no frame count is known; scores repeat in blocks of {snippet_frames}: taken as one a frame"
        return False, "no frame count is known: scores are taken as one a snippet (--unit=frame says otherwise)"
    as_frames = [id for id, size, n in sizes if abs(size - n) > snippet_frames]
    as_snippets = [id for id, size, n in sizes if abs(size * snippet_frames - n) > snippet_frames]
    if as_frames and as_snippets:
        frame = len(as_frames) <= len(as_snippets)
        id, size, n = next(s for s in sizes if s[0] == (as_frames if frame else as_snippets)[0])
        raise ValueError(
            f"{id}: {size:,} scores fit neither its {n:,} frames nor its {n / snippet_frames:,.1f} snippets of "
            f"{snippet_frames} (within one snippet); {len(as_frames if frame else as_snippets)} of {len(sizes)} videos "
            f"do not fit {'frames' if frame else 'snippets'}: score these again, or give labels of your lengths."
        )
    frame = not as_frames and (bool(as_snippets) or sum(s == n for _, s, n in sizes) * 2 > len(sizes))
    what = "frame" if frame else f"snippet of {snippet_frames}"
    return frame, f"scores are one a {what}: so by the lengths of {len(sizes)} videos"


def _in_blocks(scores: np.ndarray, size: int) -> bool:
    whole = scores[: len(scores) // size * size].reshape(-1, size)
    return len(whole) > 0 and bool((whole == whole[:, :1]).all())


def _npz(path: Path) -> Scores:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            keys = [key for key in arrays.files if key.startswith("scores/")] or arrays.files
            loaded = {key: arrays[key] for key in keys}
    except (zipfile.BadZipFile, EOFError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a .npz file of plain numbers ({error}).") from error
    if not loaded:
        raise ValueError(f"{path}: no array in it; it needs one a video.")
    return {key.removeprefix("scores/"): _row(array, f"{path}: {key}") for key, array in loaded.items()}


def _one(path: Path) -> np.ndarray:
    if path.suffix.lower() != ".npy":
        return _text(path)
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a .npy file of plain numbers ({error}).") from error
    return _row(loaded, str(path))


def _text(path: Path) -> np.ndarray:
    """Numbers one a line, or the column `score` (else the last one) of a table."""
    try:
        rows = [row for row in csv.reader(io.StringIO(path.read_text("utf-8-sig").replace(";", ","))) if row]
        column = -1
        if rows and not _is_number(rows[0][-1]):
            header = [cell.strip().lower() for cell in rows.pop(0)]
            column = header.index("score") if "score" in header else -1
        return _row(np.array([float(row[column]) for row in rows]), str(path))
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a table of scores, one a line ({error}).") from error


def _row(array: Num[np.ndarray, "*shape"], what: str) -> np.ndarray:
    array = np.squeeze(array)
    if array.ndim == 0 and array.size:
        array = array[None]
    if array.ndim != 1 or not array.size or not np.issubdtype(array.dtype, np.number):
        raise ValueError(f"{what}: shape {array.shape} of {array.dtype}; a video's scores are one row of numbers.")
    return array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
