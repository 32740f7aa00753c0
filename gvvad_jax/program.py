"""What every program shares: flags whose mistakes are one sentence and status 2, errors.jsonl, and progress."""

import contextlib
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from absl import app, flags, logging

Item = TypeVar("Item")


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags; a mistake prints one sentence and exits 2, --help prints the program's help and exits 0."""
    if any(a in ("--help", "-h", "-help", "--helpfull") for a in argv[1:]):
        flags.FLAGS.mark_as_parsed()
        app.usage(shorthelp="--helpfull" not in argv, writeto_stdout=True)
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, ValueError, TypeError, OSError) as error:
        sys.exit(refuse(error))


def refuse(error: BaseException | str) -> int:
    """Prints `error: …` as one line on stderr and gives the status of a program that could not run, 2."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        text = f"unknown name {text}"
    if isinstance(error, AttributeError):  # a locked config's own text is the name, and perhaps the nearest one
        name, *near = re.findall(r"[\w.]+(?=[\\'\"])", str(error).partition(" instead of ")[0]) or [text]
        text = f"the config has no key '{name}'{f' (did you mean {near[0]}?)' if near else ''}; "
        text += "configs/base.py lists them all"
    print(f"error: {text}", file=sys.stderr)
    return 2


def run(main: Callable[[list[str]], int | None]) -> None:
    """Runs `main(argv)` under absl; ValueError and OSError (a user's mistake) become one sentence and status 2.

    Our own code raises these two for bad input alone. `--verbosity=1` also prints the traceback.
    """

    def guarded(argv: list[str]) -> int:
        try:
            return main(argv) or 0
        except (ValueError, OSError) as error:
            if logging.level_debug():
                traceback.print_exc()
            return refuse(error)
        except KeyboardInterrupt:
            print("interrupted: run the same command again to go on", file=sys.stderr)
            return 130

    logging.set_verbosity(logging.WARNING)
    app.run(guarded, flags_parser=parse)


class Errors:
    """The inputs that failed: a line each on stderr and in `errors.jsonl`, and the exit status that says so."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict[str, str]] = []

    def add(self, id: str, error: BaseException | str) -> None:
        """Records that `id` failed and why, in one sentence."""
        row = {"id": id, "error": " ".join(str(error).split())}
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        said = row["error"]
        print(said if said.startswith(f"{id}: ") else f"{id}: {said}", file=sys.stderr)

    def read(self) -> list[dict[str, str]]:
        """The failures that an earlier run of the same program left; a line that is none: ValueError that names it."""
        rows = []
        # Bytes, since splitlines of text would also cut an id at U+2028.
        for number, line in enumerate(self.path.read_bytes().splitlines() if self.path.exists() else [], 1):
            try:
                row = json.loads(line)
                rows.append({"id": row["id"], "error": row["error"]})
            except (ValueError, KeyError, TypeError):  # a full disk cuts a line short
                raise ValueError(f"{self.path}, line {number}: not an id and its error; remove the line") from None
        return rows

    def clear(self) -> None:
        """Forgets earlier failures, before they are tried again."""
        self.path.unlink(missing_ok=True)

    @property
    def status(self) -> int:
        """0 where nothing failed, else 1."""
        return 1 if self.rows else 0


def progress(items: Iterable[Item], what: str, total: int | None = None, unit: str = "it") -> Iterator[Item]:
    """Iterates with a line on stderr that shows rate and time left; every 10 s where stderr is no terminal."""
    import tqdm

    interactive = sys.stderr.isatty()
    yield from tqdm.tqdm(
        items, desc=what, total=total, unit=unit, mininterval=0.2 if interactive else 10, dynamic_ncols=interactive
    )


class Progress:
    """Videos and frames done, frames a second, the device's share of the time and time left, as a line on stderr.

    Every 10 s where stderr is no terminal, or not at all there where the program `prints` as it goes.
    """

    def __init__(self, what: str, videos: int, frames: int | None = None, prints: bool = False):
        """`frames`: of all videos together, where that is known; else the bar counts videos."""
        import tqdm

        interactive = sys.stderr.isatty()
        self._counts_frames, self._prints = frames is not None, prints
        self._bar = tqdm.tqdm(
            total=videos if frames is None else frames,
            desc=what,
            unit="video" if frames is None else "frame",
            mininterval=0.2 if interactive else 10,
            dynamic_ncols=interactive,
            disable=prints and not interactive,
        )
        self._frames, self._device_seconds, self._start = 0, 0.0, time.perf_counter()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    @contextlib.contextmanager
    def device(self) -> Iterator[None]:
        """Counts what lies in the block as the device's time; all other time is waiting for pictures."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._device_seconds += time.perf_counter() - start

    def add(self, frames: int) -> None:
        """Counts frames."""
        self._frames += frames
        if self._counts_frames:
            self._bar.set_postfix_str(str(self), refresh=False)
            self._bar.update(frames)

    def end(self) -> None:
        """Counts a video."""
        if not self._counts_frames:
            self._bar.set_postfix_str(str(self), refresh=False)
            self._bar.update(1)
        if self._prints:
            self._bar.clear()

    def __str__(self) -> str:
        seconds = max(time.perf_counter() - self._start, 1e-9)
        said = [] if self._counts_frames else [f"{self._frames / seconds:.0f} frames/s"]
        said += [f"device {self._device_seconds / seconds:.0%}".replace("%", " %")] if self._device_seconds else []
        return ", ".join(said)
