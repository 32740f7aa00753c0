"""Feature and text records → bag batches of fixed shape: a process's block of each global batch, and its placement."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from gvvad_jax import records
from gvvad_jax.bags import segments, streams
from gvvad_jax.batch import Batch

KEPT_BYTES = 1 << 30  # segmented sets up to this size stay in memory

Bag = Any  # ([C, L, F] or [L, E] float32, mask [L])


class Stream:
    """Training batches by number: `stream[i]` is this process's block of global batch i, the same whenever asked."""

    def __init__(
        self,
        readers: Sequence[Any],
        groups: Sequence[Any],
        chosen: Sequence[int],
        *,
        segments: int,
        batch: int,
        short: str,
        text: Mapping[str, np.ndarray] | None,
        text_source: str,
        process: tuple[int, int],
    ):
        """See training_stream, which makes one."""
        self.places = [(reader, i) for reader in readers for i in range(len(reader))]
        self.rows = [row for reader in readers for row in reader.rows]
        self.groups, self.chosen, self.segments, self.short, self.text = groups, chosen, segments, short, text
        self.text_source = text_source
        index, count = process
        self.block = slice(index * batch // count, (index + 1) * batch // count)
        self.categories = ("", *sorted({self.rows[i].get("category") or "" for i in chosen if self.rows[i]["label"]}))
        reader, place = self.places[chosen[0]]
        self.first = first = reader[place]  # says how many crops and columns all have
        self.crops, self.width = first.visual.shape[1:]
        self.text_width = None if text is None else self._text(first).shape[1]
        size = len(chosen) * segments * 4 * (self.crops * self.width + (self.text_width or 0))
        self._kept: dict[int, tuple[Bag, Bag | None]] | None = None
        if size <= KEPT_BYTES:
            self._kept = {row: self._bags(row) for row in chosen}

    def __getitem__(self, index: int) -> Batch:
        """The arrays of this process's block of global batch `index`, [G, B / processes, …]."""
        drawn = np.stack([group[index][self.block] for group in self.groups])
        bags = [[self._kept[row] if self._kept else self._bags(row) for row in group] for group in drawn.tolist()]
        visual = _stack([[bag[0] for bag in group] for group in bags])
        text = None if self.text is None else _stack([[bag[1] for bag in group] for group in bags])
        rows = [[self.rows[row] for row in group] for group in drawn.tolist()]
        return Batch(
            visual=visual[0],
            text=None if text is None else text[0],
            mask=visual[1],
            text_mask=None if text is None else text[1],
            label=np.array([[row["label"] for row in group] for group in rows], np.int32),
            category=np.array([[self._category(row) for row in group] for group in rows], np.int32),
            synthetic=np.array([[row["synthetic"] for row in group] for group in rows], np.int32),
            index=drawn.astype(np.int32),
        )

    def ids(self, index: int) -> list[str]:
        """The videos of the whole global batch `index`, group after group."""
        return self.ids_of(np.concatenate([group[index] for group in self.groups]))

    def ids_of(self, index: Any) -> list[str]:
        """The videos of a batch's `index` array, flat."""
        return [self.rows[row]["id"] for row in np.asarray(index).ravel().tolist()]

    def counts(self) -> dict[str, int]:
        """How many videos of each source and class take part."""
        rows = [self.rows[i] for i in self.chosen]
        return {
            f"{source}_{name}": sum(row["synthetic"] == flag and row["label"] == label for row in rows)
            for (source, flag), (name, label) in itertools.product(
                (("real", 0), ("synthetic", 1)), (("normal", 0), ("anomalous", 1))
            )
        }

    def normal_rows(self) -> "NormalRows":
        """Feature rows of the normal training videos, for the statistics of a detector's input."""
        return NormalRows(self)

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Batches start … stop - 1 in order, the next ones made by two threads meanwhile."""
        if start < stop:
            numbers = grain.MapDataset.range(start, stop).map(self.__getitem__)
            # grain's default, 16 threads and 500 elements, is slower than 2 threads on 2 cores, and holds 500 batches.
            yield from numbers.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4))

    def record(self, row: int) -> Any:
        """The feature record of a training row, refused where its shape is not the first's."""
        reader, place = self.places[row]
        record = reader[place]
        if record.visual.shape[1:] != (self.crops, self.width):
            raise ValueError(
                f"{record.id} has {record.visual.shape[1]} crops of {record.visual.shape[2]} columns, but the first "
                f"training video {self.crops} of {self.width}; train on sets extracted in one way."
            )
        return record

    def _bags(self, row: int) -> tuple[Bag, Bag | None]:
        record = self.record(row)
        visual, mask = self._fit(record.visual)
        # A sum shows what any of its snippets holds, and there are fewer of them.
        if not np.isfinite(visual).all():
            records.require_finite(record)
        visual = np.ascontiguousarray(np.swapaxes(visual, 0, 1))  # [L, C, F] -> [C, L, F]
        if self.text is None:
            return (visual, mask), None
        return (visual, mask), self._fit(self._text(record))

    def _fit(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.short == "mask":
            return segments.rows(x, self.segments)
        return segments.segment(x, self.segments), np.ones(self.segments, bool)

    def _text(self, record: Any) -> np.ndarray:
        """Caption vectors of a video, or the sentence that made a generated one on every snippet."""
        assert self.text is not None
        id = record.id
        is_description = self.text_source == "description" and bool(record.synthetic)
        if is_description:
            id = str(record.source.get("description_id") or "")
        if id not in self.text:
            what = f"no vectors of its description {id!r}" if is_description else "no text vectors"
            raise ValueError(f"{record.id}: {what} in data.text; embed it with tools/caption.py.")
        vectors = self.text[id]
        return np.repeat(vectors[:1], len(record.visual), 0) if is_description else vectors

    def _category(self, row: dict[str, Any]) -> int:
        """0 for normal videos, else the place among `categories`."""
        return self.categories.index(row.get("category") or "", 1) if row["label"] else 0


class NormalRows:
    """Feature rows [n, F] of every normal training video, all its snippets and crops; may be iterated again.

    The real ones where there are any: generated clips must not move the normalisation that real ones get.
    """

    def __init__(self, stream: Stream):
        """Choose the videos."""
        self.stream = stream
        normal = [i for i in stream.chosen if stream.rows[i]["label"] == 0]
        self.chosen = [i for i in normal if not stream.rows[i]["synthetic"]] or normal

    def __iter__(self) -> Iterator[Float[np.ndarray, "n width"]]:
        """One array a video, in order."""
        for row in self.chosen:
            visual = self.stream.record(row).visual
            yield visual.reshape(-1, visual.shape[-1])


def training_stream(
    readers: Sequence[Any],
    *,
    segments: int,
    batch: int,
    sampler: str = "paired",
    short: str = "repeat",
    synthetic: str = "both",
    synthetic_share: float | None = None,
    fraction: float = 1.0,
    data_seed: int = 0,
    text: Mapping[str, np.ndarray] | None = None,
    text_source: str = "caption",
    process_index: int = 0,
    process_count: int = 1,
    drop_last: bool = False,
) -> Stream:
    """The stream of training batches over the records of `readers` (labelled training videos only, ids unique).

    `batch`: videos a group (paired: pairs). `short`: videos of fewer snippets than `segments` repeat them, or keep
    them behind a mask. `synthetic_share`: a fixed share of each group's batch, rounded to whole videos; None: as the
    classes hold them. `text`: sentence vectors by id; `text_source`: those of generated videos are their captions', or
    `description`: the first vector under their source's description_id, on every snippet. Process p of n gets block p
    of every batch.
    """
    if short not in ("repeat", "mask"):
        raise ValueError(f"data.short is {short!r}; choose one of repeat, mask.")
    if text_source not in ("caption", "description"):
        raise ValueError(f"data.text_source is {text_source!r}; choose one of caption, description.")
    if batch % process_count:
        raise ValueError(f"batch={batch} does not divide by {process_count} processes; change one of them.")
    rows = [row for reader in readers for row in reader.rows]
    _unique(readers)
    chosen = streams.kept(rows, synthetic=synthetic, fraction=fraction, data_seed=data_seed)
    groups = streams.groups(
        rows,
        chosen,
        batch,
        sampler=sampler,
        synthetic_share=synthetic_share,
        data_seed=data_seed,
        drop_last=drop_last,
    )
    if sampler == "normal_only":
        chosen = [i for i in chosen if rows[i]["label"] == 0]
    return Stream(
        readers,
        groups,
        chosen,
        segments=segments,
        batch=batch,
        short=short,
        text=text,
        text_source=text_source,
        process=(process_index, process_count),
    )


def shapes(block: Batch, batch: int, mesh: Mesh) -> Batch:
    """Shapes and shardings of the global batch that this block is placed into; a step traced with them is traced."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((x.shape[0], batch, *x.shape[2:]), x.dtype, sharding=_divided(mesh)), block
    )


def _divided(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(None, "data"))


def place(batch: Batch, mesh: Mesh) -> Batch:
    """This process's block as part of global arrays, videos (axis 1) divided over the mesh, groups kept together."""
    sharding = _divided(mesh)
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def _stack(bags: Sequence[Sequence[Any]]) -> tuple[np.ndarray, np.ndarray]:
    """[G, B, …] of bags and of masks."""
    first = bags[0][0][0]
    stacked = np.empty((len(bags), len(bags[0]), *first.shape), np.float32)
    for group, row in itertools.product(range(len(bags)), range(len(bags[0]))):
        stacked[group, row] = bags[group][row][0]
    return stacked, np.stack([np.stack([bag[1] for bag in group]) for group in bags])


def _unique(readers: Sequence[Any]) -> None:
    seen: dict[str, str] = {}
    for reader in readers:
        for row in reader.rows:
            if row["id"] in seen:
                raise ValueError(
                    f"the video '{row['id']}' is in {seen[row['id']]} and in {reader.path}; "
                    "ids must be unique over all training sets: leave one out."
                )
            seen[row["id"]] = str(reader.path)
