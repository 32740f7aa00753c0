"""Prompts' vectors on disk: given back to the bit, and made anew where their file is damaged."""

import ml_dtypes
import numpy as np
import pytest

from gvvad_jax.synthesis.generators.vectors import Vectors

IDS = np.arange(6, dtype=np.int32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vectors_come_back_to_the_bit(tmp_path, dtype):
    kept = Vectors(tmp_path / "c", "encoder", dtype, (6, 4))
    assert kept.get(IDS) is None and not (tmp_path / "c").exists()
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    kept.put(IDS, vectors)
    found = kept.get(IDS)
    assert found.dtype == vectors.dtype and found.tobytes() == vectors.tobytes()
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [".npz"]


def test_other_ids_another_encoder_and_another_dtype_have_vectors_of_their_own(tmp_path):
    Vectors(tmp_path, "encoder", "float32", (6, 4)).put(IDS, np.zeros((6, 4), np.float32))
    assert Vectors(tmp_path, "encoder", "float32", (6, 4)).get(IDS[::-1]) is None
    assert Vectors(tmp_path, "other", "float32", (6, 4)).get(IDS) is None
    assert Vectors(tmp_path, "encoder", "bfloat16", (6, 4)).get(IDS) is None


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut", "flipped", "shape"])
def test_a_damaged_file_counts_as_none(tmp_path, damage):
    kept = Vectors(tmp_path, "encoder", "float32", (6, 4))
    kept.put(IDS, np.ones((6, 4), np.float32))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "flipped":
        at = whole.index(np.float32(1).tobytes() * 24)
        damage = whole[:at] + b"\xff" + whole[at + 1 :]
    if damage == "shape":
        kept = Vectors(tmp_path, "encoder", "float32", (6, 5))
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else damage)
    assert kept.get(IDS) is None
