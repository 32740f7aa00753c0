import zlib

import numpy as np

from gvvad_jax import records
from gvvad_jax.doctor import sets
from tests.evaluation.cases import features


def problems(path):
    return [f.text for f in sets.inspect(path) if f.problem]


def test_a_sound_set_has_nothing_wrong(tmp_path):
    features(tmp_path / "set")
    assert problems(tmp_path / "set") == []


def test_a_flipped_byte_is_found_with_its_file(tmp_path):
    features(tmp_path / "set")
    shard = sorted((tmp_path / "set").glob("part-*"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert any(shard.name in text for text in problems(tmp_path / "set"))


def test_no_set_is_a_problem(tmp_path):
    assert problems(tmp_path) != []


def record(id="v", snippets=6, frames=100, **changes):
    visual = np.random.default_rng(zlib.crc32(id.encode())).random((snippets, 1, 4)).astype(np.float32)
    fields = {
        "id": id, "dataset": "folder", "split": "test", "label": 0, "synthetic": 0, "num_frames": frames,
        "snippet_frames": 16, "visual": visual,
    }  # fmt: skip
    return records.Feature(**(fields | changes))


def write(path, *items):
    with records.writer(path, kind="feature", shards=1) as writer:
        for item in items:
            writer.add(item)


def test_lengths_values_and_labels_are_doubted(tmp_path):
    zero = np.ones((6, 1, 4), np.float32)
    zero[2] = 0
    broken = np.ones((6, 1, 4), np.float32)
    broken[0, 0, 0] = np.nan
    write(
        tmp_path / "set",
        record("long", snippets=9),
        record("zero", visual=zero),
        record("nan", visual=broken),
        record("odd", intervals=[(0, 5)]),
    )
    text = "\n".join(problems(tmp_path / "set"))
    for words in ("more snippets than frames allow", "zeros", "NaN", "normal, but with anomalous intervals"):
        assert words in text
    assert "long" in text and "odd" in text


def test_a_test_video_in_training_is_a_leak(tmp_path):
    same = record("a").visual
    write(tmp_path / "set", record("a", visual=same, split="train"), record("b", visual=same), record("c", label=1))
    text = "\n".join(problems(tmp_path / "set"))
    assert "a, b hold the same features" in text and "seen in training" in text
    assert "training videos are all normal" in text


def test_a_raw_folder_is_counted(tmp_path):
    for name in ("train/normal/a.mp4", "test/anomalous/b.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"" if "a.mp4" in name else b"x")
    found = list(sets.inspect_dataset("folder", tmp_path))
    text = "\n".join(map(str, found))
    assert "2 videos of folder" in text and "1 video files are empty: train/normal/a" in text
    assert "no intervals" in text and "b" in text
