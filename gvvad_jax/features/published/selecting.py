"""A published list as a selection over feature sets that exist: ucfg1 and ucfg2 as two views of one set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gvvad_jax import program, records
from gvvad_jax.features.published import importing, lists


@dataclass(frozen=True)
class Summary:
    """What a call did; listed videos that no set has are in errors.jsonl beside the selection."""

    path: Path
    kept: int
    named: int
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def status(self) -> int:
        """The program's: 0 where every listed video is there, else 1."""
        return int(bool(self.missing))

    def __str__(self) -> str:
        lacking = f", {len(self.missing)} listed ones are in no set (errors.jsonl)" if self.missing else ""
        return f"{self.kept} of {self.named} videos kept{lacking}: {self.path}"


def select(list_path: Path, sets: Sequence[Path], out: Path, options: importing.Options) -> Summary:
    """Writes a row for every video of the list's split in the sets: kept where the list names it.

    Listed videos that are in no set are refused, all named, unless `skip_missing`; so is a video with another label or
    synthetic flag than the list gives it.
    """
    videos, notes = lists.videos(list_path, options.dataset, options.split)
    readers = [records.reader(path) for path in sets]
    rows = {row["id"]: row for reader in readers for row in reader.rows}
    for reader in readers:
        if reader.kind != "feature":
            raise ValueError(f"{reader.path} is a {reader.kind} set, but a list selects from features.")
    missing = tuple(video.id for video in videos if video.id not in rows)
    where = ", ".join(map(str, sets))
    if missing and not options.skip_missing:
        raise FileNotFoundError(
            f"{list_path}: {len(missing)} of its {len(videos)} videos are not in {where}: {', '.join(missing)}; import "
            "them, or leave them out knowingly with --skip_missing."
        )
    for video in videos:
        here, row = {"label": video.label, "synthetic": video.synthetic}, rows.get(video.id)
        there = {key: row[key] for key in here} if row else here
        if there != here:
            raise ValueError(
                f"{list_path} gives {video.id} as {here}, but {where} as {there}; use the set made of this data."
            )
    named = {video.id for video in videos}
    split = videos[0].split
    chosen = [
        {"id": id, "keep": id in named, "reasons": [] if id in named else [f"not in {list_path.name}"]}
        for id, row in sorted(rows.items())
        if row["split"] == split or id in named
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    records.write_selection(out, chosen)
    errors = program.Errors(out.with_name("errors.jsonl"))
    why = f"listed in {list_path}, but not in "
    others = [row for row in errors.read() if not row["error"].startswith(why)]  # other programs write there too
    for id in missing:
        errors.add(id, f"{why}{where}")
    if errors.rows or others:
        records.write_jsonl(errors.path, [*others, *errors.rows])
    else:
        errors.clear()
    return Summary(out, len(named) - len(missing), len(chosen), missing, tuple(notes))
