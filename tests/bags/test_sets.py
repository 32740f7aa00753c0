import numpy as np
import pytest

from gvvad_jax import bags, records


def write(path, items, *, width=3, encoder=None, kind="feature"):
    with records.writer(path, kind=kind, shards=1) as writer:
        for id, split, label, synthetic in items:
            if kind == "text":
                writer.add(records.Text(id=id, vectors=np.full((2, 4), len(id), np.float32)))
                continue
            writer.add(
                records.Feature(
                    id=id,
                    dataset="toy",
                    split=split,
                    label=label,
                    synthetic=synthetic,
                    num_frames=32,
                    snippet_frames=16,
                    visual=np.ones((2, 1, width), np.float32),
                    encoder=encoder or {},
                )
            )
    return str(path)


REAL = [(f"n{i}", "train", 0, 0) for i in range(5)] + [(f"a{i}", "train", 1, 0) for i in range(5)]
TEST = [("t0", "test", 0, 0), ("t1", "test", 1, 0)]
GENERATED = [(f"g{i}", "train", i % 2, 1) for i in range(4)]


def ids(readers):
    return [id for reader in readers for id in reader.ids]


@pytest.fixture
def real(tmp_path):
    return write(tmp_path / "real", REAL + TEST)


@pytest.fixture
def generated(tmp_path):
    return write(tmp_path / "generated", GENERATED)


def test_splits_are_kept_apart_over_several_sets(real, generated):
    sets = bags.open_sets(f"{real}, {generated}")
    assert sorted(ids(sets.training)) == sorted(id for id, *_ in REAL + GENERATED)
    assert sets.test is not None and sets.test.ids == ["t0", "t1"] and sets.validation == []
    assert sets.digests.keys() == {real, generated}
    assert any("data.validation is 0" in note for note in sets.notes)


def test_a_share_of_each_real_class_is_held_out_by_data_seed(real, generated):
    both = f"{real},{generated}"
    sets = bags.open_sets(both, validation=0.4, data_seed=3)
    held = ids(sets.validation)
    assert sorted(id[0] for id in held) == ["a", "a", "n", "n"]
    assert not set(held) & set(ids(sets.training)) and len(ids(sets.training)) == 10
    assert ids(bags.open_sets(both, validation=0.4, data_seed=3).validation) == held
    others = {tuple(ids(bags.open_sets(both, validation=0.4, data_seed=seed).validation)) for seed in range(6)}
    assert len(others) > 1
    assert len(ids(bags.open_sets(both, validation=0.01).validation)) == 2, "at least one of each class"
    with pytest.raises(ValueError, match="holds out all 5 real videos"):
        bags.open_sets(both, validation=0.95)


def test_a_sets_own_validation_split_is_used_and_never_trained_on(tmp_path):
    path = write(tmp_path / "set", [*REAL, ("v0", "validation", 0, 0), ("v1", "validation", 1, 0)])
    sets = bags.open_sets(path, validation=0.4)
    assert ids(sets.validation) == ["v0", "v1"] and len(ids(sets.training)) == 10
    sets = bags.open_sets(path)
    assert sets.validation == [] and len(ids(sets.training)) == 10 and sets.test is None
    assert "no test videos: metrics are null" in sets.notes


def test_a_filters_selection_leaves_real_and_test_videos_alone(real, generated, tmp_path):
    rows = [{"id": f"g{i}", "keep": i != 2} for i in range(4)]
    records.write_selection(tmp_path / "filter.jsonl", rows)
    sets = bags.open_sets(f"{real},{generated}", selection=str(tmp_path / "filter.jsonl"))
    assert sorted(ids(sets.training)) == sorted([id for id, *_ in REAL] + ["g0", "g1", "g3"])
    assert sets.test is not None and len(sets.test) == 2
    assert any("keeps 13 of 14" in note for note in sets.notes)


def test_a_list_that_names_real_videos_chooses_among_them_too(tmp_path):
    path = write(tmp_path / "all", REAL + GENERATED + TEST)
    rows = [{"id": id, "keep": True} for id in ("n0", "a0", "g1")]
    records.write_selection(tmp_path / "list.jsonl", rows)
    sets = bags.open_sets(path, selection=str(tmp_path / "list.jsonl"))
    assert sorted(ids(sets.training)) == ["a0", "g1", "n0"]
    records.write_selection(tmp_path / "list.jsonl", [{"id": "nobody", "keep": True}])
    with pytest.raises(ValueError, match="names 1 of 1 videos that are no training videos .*nobody"):
        bags.open_sets(path, selection=str(tmp_path / "list.jsonl"))


def test_the_test_may_be_another_set(real, tmp_path):
    other = write(tmp_path / "other", [("x", "test", 0, 0), ("y", "train", 1, 0)])
    sets = bags.open_sets(real, test=other)
    assert sets.test is not None and sets.test.ids == ["x"]
    plain = write(tmp_path / "plain", [("x", "train", 0, 0), ("y", "train", 1, 0)])
    sets = bags.open_test(plain)
    assert sets.test.ids == ["x", "y"] and any("has no split test" in note for note in sets.notes)
    assert bags.open_test("", real).test.ids == ["t0", "t1"]


def test_texts_are_looked_up_over_several_sets(real, tmp_path):
    one = write(tmp_path / "one", REAL, kind="text")
    two = write(tmp_path / "two", TEST, kind="text")
    texts = bags.open_sets(real, text=f"{one},{two}").texts
    assert texts is not None and len(texts) == 12 and texts["t0"].shape == (2, 4) and "g0" not in texts
    with pytest.raises(KeyError):
        texts["g0"]


def test_sets_that_cannot_go_together_are_refused(real, tmp_path):
    with pytest.raises(ValueError, match="data.features is empty"):
        bags.open_sets("")
    with pytest.raises(FileNotFoundError, match="/nowhere does not exist"):
        bags.open_sets("/nowhere")
    text = write(tmp_path / "text", REAL, kind="text")
    with pytest.raises(ValueError, match="is a text set, but a feature set is needed"):
        bags.open_sets(text)
    wide = write(tmp_path / "wide", GENERATED, width=5)
    with pytest.raises(ValueError, match="wide has width 5, but .*real 3"):
        bags.open_sets(f"{real},{wide}")
    clip = write(tmp_path / "clip", GENERATED, encoder={"name": "clip", "size": 224})
    lite = write(tmp_path / "lite", [("z", "test", 0, 0)], encoder={"name": "lite"})
    bags.open_sets(f"{real},{clip}")
    with pytest.raises(ValueError, match="lite was extracted with name lite, but .*clip with clip"):
        bags.open_sets(clip, test=lite)
    with pytest.raises(ValueError, match="2 sets hold test videos"):
        bags.open_sets(f"{real},{write(tmp_path / 'more', [('q', 'test', 0, 0)])}")
    with pytest.raises(ValueError, match="holds no training videos"):
        bags.open_sets(write(tmp_path / "tests", TEST[:1]))
    with pytest.raises(ValueError, match="data.test names 2 sets"):
        bags.open_sets(real, test=f"{real},{clip}")


def test_features_of_another_encoder_are_refused_by_a_bundle(real, tmp_path):
    clip = records.reader(write(tmp_path / "clip", TEST, encoder={"name": "clip", "crops": "ten"}))
    bags.require_encoder(clip, 3, {"name": "clip", "motion": []}, "W/bundle")
    with pytest.raises(ValueError, match="has 3 columns, but W/bundle was trained on 4"):
        bags.require_encoder(clip, 4, {}, "W/bundle")
    with pytest.raises(ValueError, match="clip was extracted with crops ten, but W/bundle with five"):
        bags.require_encoder(clip, 3, {"crops": "five"}, "W/bundle")
