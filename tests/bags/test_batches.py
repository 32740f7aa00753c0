import jax
import numpy as np
import pytest

from gvvad_jax import bags, records
from gvvad_jax.bags import batches, segments


def write(path, items, crops=2, width=3, **shared):
    rng = np.random.default_rng(len(items))
    with records.writer(path, kind="feature", shards=2) as writer:
        for id, label, synthetic, snippets in items:
            writer.add(
                records.Feature(
                    id=id,
                    dataset="toy",
                    split="train",
                    label=label,
                    synthetic=synthetic,
                    num_frames=16 * snippets,
                    snippet_frames=16,
                    visual=rng.normal(size=(snippets, crops, width)).astype(np.float16),
                    category="fight" if label else "Normal",
                    **shared,
                )
            )
    return records.reader(path)


REAL = [(f"n{i}", 0, 0, 3 + i) for i in range(4)] + [(f"a{i}", 1, 0, 6 + i) for i in range(3)]
GENERATED = [(f"g{i}", i % 2, 1, 3) for i in range(4)]


@pytest.fixture
def readers(tmp_path):
    return [write(tmp_path / "real", REAL), write(tmp_path / "generated", GENERATED)]


def equal(a, b):
    flat_a, flat_b = jax.tree.leaves(a), jax.tree.leaves(b)
    return len(flat_a) == len(flat_b) and all(np.array_equal(x, y) for x, y in zip(flat_a, flat_b, strict=True))


def test_a_batch_holds_the_segments_and_flags_of_its_videos(readers):
    stream = bags.training_stream(readers, segments=5, batch=4)
    batch = stream[3]
    assert batch.visual.shape == (2, 4, 2, 5, 3) and batch.visual.dtype == np.float32
    assert batch.label.tolist() == [[0] * 4, [1] * 4] and batch.mask.all() and batch.text is None
    ids = stream.ids(3)
    assert ids == stream.ids_of(batch.index)
    flags = dict(((id, s) for id, _, s, _ in REAL + GENERATED))
    assert batch.synthetic.ravel().tolist() == [flags[id] for id in ids]
    assert stream.categories == ("", "fight") and batch.category.tolist() == batch.label.tolist()
    for flat, id in enumerate(ids):
        record = next(reader for reader in readers if id in reader).by_id(id)
        want = np.swapaxes(bags.segment(record.visual, 5), 0, 1)
        assert (batch.visual[flat // 4, flat % 4] == want).all()


def test_short_videos_may_keep_their_snippets_behind_a_mask(readers):
    stream = bags.training_stream(readers, segments=5, batch=4, short="mask")
    batch = stream[0]
    lengths = {id: min(t, 5) for id, _, _, t in REAL + GENERATED}
    assert batch.mask.sum(-1).ravel().tolist() == [lengths[id] for id in stream.ids(0)]
    assert (batch.visual.transpose(0, 1, 3, 2, 4)[~batch.mask] == 0).all()


@pytest.mark.parametrize("share", [None, 0.5])
def test_processes_read_blocks_of_the_one_global_batch(readers, share):
    whole = bags.training_stream(readers, segments=4, batch=4, synthetic_share=share)
    parts = [
        bags.training_stream(readers, segments=4, batch=4, synthetic_share=share, process_index=p, process_count=2)
        for p in range(2)
    ]
    for i in range(6):
        joined = jax.tree.map(lambda *x: np.concatenate(x, 1), *(part[i] for part in parts))
        assert equal(joined, whole[i])
        assert parts[1].ids(i) == whole.ids(i), "every process can name the whole batch"


def test_what_is_kept_in_memory_and_what_is_read_again_are_the_same(readers, monkeypatch):
    kept = bags.training_stream(readers, segments=4, batch=3)
    monkeypatch.setattr(batches, "KEPT_BYTES", 0)
    read = bags.training_stream(readers, segments=4, batch=3)
    assert read._kept is None and kept._kept is not None
    assert all(equal(kept[i], read[i]) for i in range(5))


def test_batches_come_in_order_from_any_position(readers):
    stream = bags.training_stream(readers, segments=4, batch=2)
    found = list(stream.batches(3, 20))
    assert len(found) == 17 and all(equal(found[i], stream[3 + i]) for i in range(17))
    assert list(stream.batches(5, 5)) == []


def test_text_is_joined_by_id_and_segmented_alike(readers, tmp_path):
    rng = np.random.default_rng(1)
    with records.writer(tmp_path / "text", kind="text") as writer:
        for id, _, _, snippets in REAL + GENERATED:
            writer.add(records.Text(id=id, vectors=rng.normal(size=(snippets + 1, 2)).astype(np.float32)))
    text = records.reader(tmp_path / "text")
    stream = bags.training_stream(readers, segments=6, batch=2, short="mask", text=bags.Texts([text]))
    batch = stream[0]
    assert batch.text.shape == (2, 2, 6, 2)
    for flat, id in enumerate(stream.ids(0)):
        vectors, mask = segments.rows(text.by_id(id).vectors, 6)
        assert (batch.text[flat // 2, flat % 2] == vectors).all()
        assert (batch.text_mask[flat // 2, flat % 2] == mask).all()
    with pytest.raises(ValueError, match="a0: no text vectors in data.text"):
        bags.training_stream(
            readers, segments=6, batch=2, text=bags.Texts([text.select(lambda row: row["id"] != "a0")])
        )


def test_statistics_come_from_real_normal_snippets(readers):
    stream = bags.training_stream(readers, segments=4, batch=2)
    rows = stream.normal_rows()
    for _ in range(2):
        assert [part.shape for part in rows] == [((3 + i) * 2, 3) for i in range(4)]
    generated = readers[1]
    alone = bags.training_stream([generated], segments=4, batch=2)
    assert len(list(alone.normal_rows())) == 2
    assert stream.counts() == {
        "real_normal": 4,
        "real_anomalous": 3,
        "synthetic_normal": 2,
        "synthetic_anomalous": 2,
    }


def test_placing_divides_the_videos_and_keeps_the_groups(readers):
    stream = bags.training_stream(readers, segments=4, batch=2)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    placed = bags.place(stream[0], mesh)
    assert equal(placed, stream[0])
    assert placed.visual.sharding.spec == jax.P(None, "data")


def test_nan_features_are_refused_by_name(tmp_path):
    with records.writer(tmp_path / "bad", kind="feature") as writer:
        for id, label in (("fine", 0), ("broken", 1)):
            visual = np.ones((3, 1, 2), np.float32)
            visual[1] = np.nan if label else 1
            writer.add(
                records.Feature(
                    id=id,
                    dataset="toy",
                    split="train",
                    label=label,
                    synthetic=0,
                    num_frames=48,
                    snippet_frames=16,
                    visual=visual,
                )
            )
    with pytest.raises(ValueError, match="broken: 2 of the 6 values of 'visual' are NaN"):
        bags.training_stream([records.reader(tmp_path / "bad")], segments=2, batch=1)


def test_sets_that_do_not_fit_together_are_refused(readers, tmp_path):
    other = write(tmp_path / "other", [("x", 0, 0, 4)], width=5)
    with pytest.raises(ValueError, match="x has 2 crops of 5 columns, but the first training video 2 of 3"):
        bags.training_stream([*readers, other], segments=4, batch=1)
    with pytest.raises(ValueError, match="'a0' is in .*real and in .*real; ids must be unique"):
        bags.training_stream([readers[0], readers[0]], segments=4, batch=1)
    with pytest.raises(ValueError, match="batch=3 does not divide by 2 processes"):
        bags.training_stream(readers, segments=4, batch=3, process_count=2)
    with pytest.raises(ValueError, match="data.short is 'pad'"):
        bags.training_stream(readers, segments=4, batch=2, short="pad")


def test_an_error_in_a_reading_thread_reaches_the_loop(readers, monkeypatch):
    monkeypatch.setattr(batches, "KEPT_BYTES", 0)
    stream = bags.training_stream(readers, segments=4, batch=2)
    monkeypatch.setattr(stream, "width", stream.width + 1)
    with pytest.raises(ValueError, match="train on sets extracted in one way"):
        list(stream.batches(0, 3))
