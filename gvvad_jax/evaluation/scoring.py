"""Scores of whole test sets: videos of mixed length in batches, padded to a few lengths, over all devices."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gvvad_jax.evaluation.videos import VideoScores

NUMBERS = 1 << 27  # of one batch on one device: features, or the snippet by snippet affinities of a non-local block


def padded_length(length: int) -> int:
    """The next of 16, 24, 32, 48, 64, 96, …: at most half is padding, and two compilations serve a doubling."""
    size = 16
    while size < length:
        if size * 3 // 2 >= length:
            return size * 3 // 2
        size *= 2
    return size


def score_set(
    detector: Any,
    reader: Any,
    *,
    texts: Mapping[str, np.ndarray] | Any | None = None,
    batch: int = 8,
    mesh: Mesh | None = None,
) -> dict[str, VideoScores]:
    """Full-length scores of every video, as `detectors.scores` gives one at a time.

    `batch` is videos a device; long videos go in smaller batches so that a device never holds more than NUMBERS
    values. `texts` maps ids to sentence vectors, or is a reader of text records. Each process returns all scores.
    """
    if len(reader):
        _check(detector, reader[0])
    mesh = mesh or jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    graphdef, state = nnx.split(detector)
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    found: dict[str, VideoScores] = {}
    waiting = None
    for group, length, rows in _groups(reader, batch, mesh.size):
        items = [reader[index] for index in group]
        arrays = _stack(items, length, rows, None if texts is None else [_text(texts, item.id) for item in items])
        outputs = _forward(graphdef, mesh, state, *(_place(array, mesh) for array in arrays))
        lengths = {item.id: len(item.visual) for item in items}
        if waiting is not None:  # the device works on this batch while the last one's scores are fetched
            found.update(_collect(*waiting))
        waiting = lengths, outputs, items[0].visual.shape[1] > 1
    if waiting is not None:
        found.update(_collect(*waiting))
    return {row["id"]: found[row["id"]] for row in reader.rows}


def _check(detector: Any, record: Any) -> None:
    width = record.visual.shape[2]
    if width != detector.inputs.visual:
        raise ValueError(
            f"{record.id}: its features are {width} columns wide, but this {detector.name} was made for "
            f"{detector.inputs.visual}; extract with the encoder and blocks it was trained on."
        )
    if not detector.transform.is_fitted:
        raise ValueError(
            f"this {detector.name} has no statistics of training videos yet; call fit_inputs, or load a bundle."
        )


def _groups(reader: Any, batch: int, devices: int) -> Iterator[tuple[list[int], int, int]]:
    """(indices, padded length, rows): videos of like length together, longest first so that memory fails early.

    Every batch but the last is full, at the price of a few videos padded to the next length.
    """
    lengths = [int(row["num_snippets"]) for row in reader.rows]
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    if not order:
        return
    _, crops, width = reader[order[0]].visual.shape
    start = 0
    while start < len(order):
        length = padded_length(lengths[order[start]])
        fitting = max(1, NUMBERS // (crops * length * max(length, width)))
        rows = devices * min(batch, 1 << (fitting.bit_length() - 1))
        yield order[start : start + rows], length, rows
        start += rows


def _stack(items: list[Any], length: int, rows: int, texts: list[np.ndarray] | None) -> tuple[Any, ...]:
    """Arrays [1, rows, …]; rows beyond the videos are empty but for one valid snippet, so that nothing divides by 0."""
    crops, width = items[0].visual.shape[1:]
    visual = np.zeros((1, rows, crops, length, width), items[0].visual.dtype)
    mask = np.zeros((1, rows, length), bool)
    mask[:, :, 0] = True
    for row, item in enumerate(items):
        if item.visual.shape[1:] != (crops, width):
            raise ValueError(f"{item.id}: features [T, {item.visual.shape[1:]}] in a set of [T, {(crops, width)}].")
        visual[0, row, :, : len(item.visual)] = np.swapaxes(item.visual, 0, 1)
        mask[0, row, : len(item.visual)] = True
    if texts is None:
        return visual, mask, None, None
    longest = padded_length(max(len(text) for text in texts))
    text = np.zeros((1, rows, longest, texts[0].shape[1]), texts[0].dtype)
    text_mask = np.zeros((1, rows, longest), bool)
    text_mask[:, :, 0] = True
    for row, vectors in enumerate(texts):
        text[0, row, : len(vectors)] = vectors
        text_mask[0, row, : len(vectors)] = True
    return visual, mask, text, text_mask


def _place(array: np.ndarray | None, mesh: Mesh) -> jax.Array | None:
    """The array over the devices, videos divided; every process has all of it and gives its own devices their part."""
    if array is None:
        return None
    sharding = NamedSharding(mesh, PartitionSpec(None, "data"))
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _text(texts: Any, id: str) -> np.ndarray:
    try:
        return texts[id] if isinstance(texts, Mapping) else texts.by_id(id).vectors
    except (KeyError, ValueError):
        raise ValueError(f"{id}: no text vectors; caption it, or score with a detector that reads none.") from None


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(graphdef: Any, mesh: Mesh, state: Any, visual: Any, mask: Any, text: Any, text_mask: Any) -> Any:
    """Scores [B, L] and the highest crop [B, L], on every device so that each process can read them."""
    detector = nnx.merge(graphdef, state)
    text = None if text is None else text.astype(jnp.float32)
    outputs = detector(visual.astype(jnp.float32), text, mask, text_mask)
    highest = jnp.argmax(outputs.crop_scores[0], axis=1).astype(jnp.int16)
    return jax.lax.with_sharding_constraint((outputs.scores[0], highest), NamedSharding(mesh, PartitionSpec()))


def _collect(lengths: dict[str, int], outputs: Any, has_crops: bool) -> dict[str, VideoScores]:
    scores, crops = jax.device_get(outputs)
    return {
        id: VideoScores(np.array(scores[row, :n], np.float32), np.array(crops[row, :n]) if has_crops else None)
        for row, (id, n) in enumerate(lengths.items())
    }
