import hashlib
import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax.weights import folder

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, np.float16)


def shards(path, weight_map=None):
    safetensors.numpy.save_file({"a": A}, path / "model-1.safetensors")
    safetensors.numpy.save_file({"b": B}, path / "model-2.safetensors")
    names = weight_map or {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (path / folder.names()[1]).write_text(json.dumps({"weight_map": names}))
    return path


def test_one_file_and_shards_give_the_same_tensors(tmp_path):
    found = folder.read(shards(tmp_path))
    assert sorted(found) == ["a", "b"] and found["a"].tolist() == A.tolist() and found["b"].dtype == np.float16
    both = b"".join((tmp_path / f"model-{i}.safetensors").read_bytes() for i in (1, 2))
    assert folder.sha256(tmp_path) == hashlib.sha256(both).hexdigest()
    safetensors.numpy.save_file({"a": A, "b": B}, tmp_path / "model.safetensors")
    assert sorted(folder.read(tmp_path)) == ["a", "b"]
    assert folder.sha256(tmp_path) == hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()


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


def test_diffusers_names_are_read(shared):
    path = shared / "golden/cog2b_tiny"
    assert [file.name for file in folder.files(path / "vae", folder.DIFFUSERS)] == [
        "diffusion_pytorch_model.safetensors"
    ]
    transformer = folder.read(path / "transformer", folder.DIFFUSERS)
    assert len(folder.files(path / "transformer", folder.DIFFUSERS)) == 3
    assert transformer["proj_out.bias"].dtype == np.float16
    text = folder.read(path / "text_encoder")
    assert text["shared.weight"].shape == (96, 32) and text["shared.weight"].dtype == ml_dtypes.bfloat16


def test_tensors_are_read_only_when_asked_for_and_not_kept(tmp_path):
    wanted = {"a": A.astype(ml_dtypes.bfloat16), "b": B, "c": np.array(7), "d": np.zeros((0, 3)), "e": A > 2}
    safetensors.numpy.save_file(wanted, tmp_path / "model.safetensors")
    found = folder.read(tmp_path)
    assert set(found) == set(wanted) and len(found) == 5 and "a" in found and "z" not in found
    for name, array in found.items():
        assert array.dtype == wanted[name].dtype and array.flags.writeable
        np.testing.assert_array_equal(array, wanted[name])
    assert found["a"] is not found["a"]
    (tmp_path / "model.safetensors").unlink()
    assert "a" in found
    with pytest.raises(FileNotFoundError):
        found["a"]


def test_every_truncation_is_found_before_a_tensor_is_read(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"a": A, "b": B}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"model.safetensors is damaged.*\b{length}\b"):
            folder.read(tmp_path)
    path.write_bytes(whole + b"0")
    with pytest.raises(ValueError, match=f"has {len(whole) + 1} bytes, but its header promises {len(whole)}"):
        folder.read(tmp_path)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, "a is of dtype F8_E4M3, not one of F64"),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, "a takes 8 bytes, but shape"),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [8, 0]}}, "a has no shape or place"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "leave gaps at byte 4"),
        ({"a": {"dtype": "F32", "shape": [2]}}, "damaged in its header"),
        ([1], "damaged in its header"),
        ({"a": 1}, "damaged in its header"),
    ],
)
def test_an_odd_header_is_one_sentence(tmp_path, header, sentence):
    head = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    with pytest.raises(ValueError, match=f"model.safetensors .*{sentence}"):
        folder.read(tmp_path)


def test_a_component_is_of_a_known_class(shared, tmp_path):
    known = ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler")
    path = shared / "golden/cog2b_tiny/scheduler"
    assert folder.component(path, "scheduler_config.json", known, "a scheduler")["snr_shift_scale"] == 3.0
    with pytest.raises(ValueError, match=r"of class 'CogVideoXDDIMScheduler', but a VAE \(Autoencoder\) is needed"):
        folder.component(path, "scheduler_config.json", ("Autoencoder",), "a VAE")
    with pytest.raises(FileNotFoundError, match="holds no config.json; name a folder of a VAE in the diffusers layout"):
        folder.component(tmp_path, "config.json", ("Autoencoder",), "a VAE")


def test_damage_and_absence_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} holds no config.json; name a folder of a thing"):
        folder.config(tmp_path, "bert", "a thing")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is no JSON file"):
        folder.config(tmp_path, "bert", "a thing")
    with pytest.raises(FileNotFoundError, match="holds no weights; one of model.safetensors"):
        folder.read(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0short")
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        folder.read(tmp_path)
