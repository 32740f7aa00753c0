import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gvvad_jax.doctor import weights
from tests.features import bert_folder, git_folder
from tests.models import clip_folder
from tests.models.cogvideox import random_folder


def said(path):
    found = list(weights.inspect(path))
    return "\n".join(map(str, found)), any(f.problem for f in found)


def test_whole_weights_are_counted(tmp_path):
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float16)}, tmp_path / "model.safetensors")
    text, wrong = said(tmp_path)
    assert not wrong and "2 tensors, 10 numbers" in text


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.safetensors", b"", "empty"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer"),
        ("a.pth", b"<!DOCTYPE html><html>", "web page"),
        ("a.bin", b"PK\x03\x04 cut off", "a.bin"),
        ("a.safetensors", b"\xff" * 100, "not a safetensors"),
    ],
)
def test_dead_downloads_are_told(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    text, wrong = said(tmp_path)
    assert wrong and words in text


def test_a_cut_file_is_told_with_both_sizes(tmp_path):
    save_file({"a": np.zeros(100, np.float32)}, tmp_path / "m.safetensors")
    data = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(data[:-10])
    text, wrong = said(tmp_path / "m.safetensors")
    assert wrong and f"{len(data) - 10:,}" in text and f"{len(data):,}" in text


def test_a_missing_shard_is_named(tmp_path):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "m-1.safetensors")
    index = {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    text, wrong = said(tmp_path)
    assert wrong and "m-2.safetensors" in text


def test_a_folder_without_weights_is_a_problem_and_no_folder_an_error(tmp_path):
    assert said(tmp_path)[1]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(weights.inspect(tmp_path / "nowhere"))


def test_a_published_networks_every_tensor_is_placed_and_it_runs(shared, tmp_path):
    text, wrong = said(shared / "golden" / "clip_tiny")
    assert not wrong and "every tensor has its place" in text and "gives 40 numbers" in text
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((shared / "golden" / "clip_tiny" / name).read_bytes())
    arrays = load_file(tmp_path / "model.safetensors")
    del arrays["logit_scale"]
    save_file(arrays, tmp_path / "model.safetensors")
    text, wrong = said(tmp_path)
    assert wrong and "logit_scale" in text


def test_clips_tokenizer_and_pixels_are_looked_at_too(shared, tmp_path):
    folder = clip_folder.make(shared / "golden" / "clip_tiny", tmp_path / "clip")
    text, wrong = said(folder)
    assert not wrong and "40 numbers of length" in text and "'a person walks' gives 40 numbers" in text
    (folder / "preprocessor_config.json").write_text('{"image_mean": [1, 2]}')
    text, wrong = said(folder)
    assert wrong and "not three numbers each" in text
    (folder / "preprocessor_config.json").unlink()
    (folder / "vocab.json").write_text("{")
    text, wrong = said(folder)
    assert wrong and "its tokenizer is damaged" in text
    (folder / "config.json").write_text('{"model_type": [1]}')
    assert "model type [1], which this version does not run" in said(folder)[0]


def test_git_says_a_sentence_of_a_known_picture(tmp_path):
    text, wrong = said(git_folder.make(tmp_path / "git"))
    assert not wrong and "git, every tensor has its place; a picture of two gradients in 6 frames gives '" in text
    ids = text.rpartition("(ids ")[2].rstrip(")").split()
    assert ids[0] == str(bert_folder.WORDS.index("[CLS]")) and len(ids) <= 12


def test_berts_pooling_is_said_and_an_unknown_one_is_a_problem(tmp_path):
    folder = bert_folder.make(tmp_path / "bert")
    text, wrong = said(folder)
    assert not wrong and "'a person walks' gives 16 numbers" in text and "(pooling: pooler)" in text
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    text, wrong = said(folder)
    assert wrong and "asks for Dense" in text


def test_every_tensor_of_a_video_generator_is_placed(tmp_path):
    random_folder.make(tmp_path)
    text, wrong = said(tmp_path)
    assert not wrong and "is CogVideoXPipeline of diffusers" in text
    for part in ("t5", "CogVideoXTransformer3DModel", "AutoencoderKLCogVideoX"):
        assert f"{part}, every tensor has its place" in text
    file = tmp_path / "vae/diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {"odd": np.zeros(1, np.float32)}, file)
    text, wrong = said(tmp_path)
    assert wrong and "has tensors that this network does not know: odd" in text


def test_a_generators_missing_part_is_a_problem_and_another_model_is_named(tmp_path):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert "'llama', which this version does not run" in said(tmp_path)[0]
    (tmp_path / "config.json").unlink()
    index = {"_class_name": "CogVideoXPipeline", "vae": ["diffusers", "AutoencoderKLCogVideoX"], "x": [None, None]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    text, wrong = said(tmp_path)
    assert wrong and "names vae, but there is no such folder" in text
