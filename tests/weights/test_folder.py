import hashlib
import json

import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax.weights import folder

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, np.float16)


def shards(path, weight_map=None):
    safetensors.numpy.save_file({"a": A}, path / "model-1.safetensors")
    safetensors.numpy.save_file({"b": B}, path / "model-2.safetensors")
    names = weight_map or {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (path / folder.INDEX).write_text(json.dumps({"weight_map": names}))
    return path


def test_one_file_and_shards_give_the_same_tensors(tmp_path):
    found = folder.read(shards(tmp_path))
    assert sorted(found) == ["a", "b"] and found["a"].tolist() == A.tolist() and found["b"].dtype == np.float16
    both = b"".join((tmp_path / f"model-{i}.safetensors").read_bytes() for i in (1, 2))
    assert folder.sha256(tmp_path) == hashlib.sha256(both).hexdigest()
    safetensors.numpy.save_file({"a": A, "b": B}, tmp_path / folder.SINGLE)
    assert sorted(folder.read(tmp_path)) == ["a", "b"]
    assert folder.sha256(tmp_path) == hashlib.sha256((tmp_path / folder.SINGLE).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("weight_map", "sentence"),
    [
        ({"a": "model-1.safetensors", "b": "model-3.safetensors"}, "lacks model-3.safetensors"),
        ({"a": "model-1.safetensors"}, None),  # the other shard is then no part of it
        ({"a": "model-1.safetensors", "c": "model-2.safetensors"}, "differ in 2 tensors"),
        ({"a": "../model-1.safetensors"}, "maps no tensors to files beside it"),
    ],
)
def test_index_and_shards_must_agree(tmp_path, weight_map, sentence):
    shards(tmp_path, weight_map)
    if sentence is None:
        assert sorted(folder.read(tmp_path)) == ["a"]
    else:
        with pytest.raises((ValueError, FileNotFoundError), match=sentence):
            folder.read(tmp_path)


def test_damage_and_absence_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} holds no config.json; name a folder of a thing"):
        folder.config(tmp_path, "bert", "a thing")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is no JSON file"):
        folder.config(tmp_path, "bert", "a thing")
    with pytest.raises(FileNotFoundError, match="holds no weights; one of model.safetensors"):
        folder.read(tmp_path)
    (tmp_path / folder.SINGLE).write_bytes(b"\x10\0\0\0\0\0\0\0short")
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        folder.read(tmp_path)
