"""GIT equals torch's on small models in both published spellings: every state, the logits and the greedy ids."""

import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from gvvad_jax.models import git
from tests.features import git_folder

SMALL = ("git_tiny", "git_tiny_v5")


def close(found, wanted, tolerance=1e-5):
    """Relative to the array's largest magnitude."""
    assert found.shape == wanted.shape
    assert np.abs(np.asarray(found) - wanted).max() <= tolerance * np.abs(wanted).max()


def frames(cases):
    return cases["pixel_values"].transpose(0, 1, 3, 4, 2)


@pytest.mark.parametrize("name", SMALL)
def test_every_state_and_logit_equals_torchs(shared, name):
    model, cases = git.load(shared / "golden" / name), np.load(shared / "golden" / name / "cases.npz")
    flat = frames(cases).reshape(-1, *frames(cases).shape[2:])

    def each(array):
        return array.reshape(*cases["pixel_values"].shape[:2], *array.shape[1:])

    embedded = model.vision.embed(flat)
    close(each(embedded), cases["vision.embeddings"])
    close(each(model.vision.before(embedded)), cases["vision.pre_layrnorm"])
    states = model.vision.blocks.states(model.vision.before(embedded))
    for number, state in enumerate(states):
        close(each(state), cases[f"vision.layer.{number}"])
    close(each(model.vision.after(states[-1])), cases["vision.post_layernorm"])
    close(images := model.encode_video(frames(cases)), cases["visual_projection"])
    close(model.embed_text(cases["input_ids"]), cases["text.embeddings"])
    found = model.states(images, cases["input_ids"], cases["attention_mask"])
    for number, state in enumerate(found):
        close(state, cases[f"decoder.layer.{number}"])
    close(model.logits(found[-1]), cases["logits"])


@pytest.mark.parametrize("name", SMALL)
def test_greedy_ids_are_torchs_and_end_where_the_limit_is(shared, name):
    model, cases = git.load(shared / "golden" / name), np.load(shared / "golden" / name / "cases.npz")
    wanted = cases["greedy_ids"]
    found = model.caption_ids(frames(cases), max_length=int(cases["max_length"]))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(model.caption_ids(frames(cases), max_length=5), wanted[:, :5])


def test_half_precision_stays_near(shared):
    cases = np.load(shared / "golden" / SMALL[0] / "cases.npz")
    model = git.load(shared / "golden" / SMALL[0], dtype="bfloat16")
    images = model.encode_video(frames(cases))
    assert images.dtype == jnp.bfloat16
    close(model.logits(model.states(images, cases["input_ids"], cases["attention_mask"])[-1]), cases["logits"], 0.05)


def test_every_published_tensor_has_its_place(shared):
    published = json.loads((shared / "golden" / "real_shapes" / "git_base_vatex.json").read_text())
    config = git.Config.of(published["config"], "git")
    for ignored in ({}, published["ignored"]):
        tensors = published["tensors"] | ignored
        assert {source for row in git.table(config, tensors) for source in row.sources} == set(tensors)
    assert sum(int(np.prod(shape)) for shape, _ in published["tensors"].values()) == published["parameters"]


def test_frames_of_videomaes_defaults_are_the_published_processors_to_the_bit(shared, tmp_path):
    cases = np.load(shared / "golden" / "clip_preprocess" / "cases.npz")
    row = next(row for row in json.loads(str(cases["meta"])) if row["processor"].startswith("videomae"))
    settings = {"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 224}, "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    pixels = git.pixels(tmp_path, 224)
    np.testing.assert_array_equal([pixels.crop(frame) for frame in cases["video"]], cases["video_uint8_224"])
    found = np.stack([pixels(frame) for frame in cases["video"]])
    assert hashlib.sha256(found.tobytes()).hexdigest() == row["sha256_float32_fhwc"]


def test_a_folders_own_pixels_count_and_bad_ones_are_refused(tmp_path):
    assert git.pixels(tmp_path, 32) == git.clip_pixels(32) == git.Pixels(32, 32, 3)
    file = tmp_path / "preprocessor_config.json"
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    file.write_text(json.dumps({"size": 40, "crop_size": {"height": 32, "width": 32}, "image_mean": [0, 0, 0]}))
    assert git.pixels(tmp_path, 32) == git.Pixels(40, 32, 3, (0.0, 0.0, 0.0))
    assert git.pixels(tmp_path, 32)(frame).shape == (32, 32, 3)
    file.write_text(json.dumps({"size": {"height": 32, "width": 32}, "do_center_crop": False}))
    stretched = np.asarray(Image.fromarray(frame).resize((32, 32), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(git.pixels(tmp_path, 32).crop(frame), stretched)
    wrong = [
        {"size": 24},
        {"crop_size": 30},
        {"resample": 9},
        {"image_std": [1, 0, 1]},
        {"size": "large"},
        {"image_std": [1, "a", 1]},
    ]
    for settings in [*wrong, {"do_rescale": False}, {"size": {"height": 32, "width": 30}}, {"do_center_crop": False}]:
        file.write_text(json.dumps(settings))
        with pytest.raises(ValueError, match="fetch it again"):
            git.pixels(tmp_path, 32)


def test_pixels_are_also_read_from_the_file_that_transformers_5_writes(tmp_path):
    settings = {"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 40}, "crop_size": 32}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert git.pixels(tmp_path, 32) == git.Pixels(40, 32, 2, git.HALF, git.HALF)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 32}))
    assert git.pixels(tmp_path, 32) == git.clip_pixels(32)
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": 5}))
    with pytest.raises(ValueError, match="image_processor is 5, but no object"):
        git.pixels(tmp_path, 32)


def test_a_model_of_still_images_takes_one_without_a_temporal_embedding(tmp_path):
    model = git.load(git_folder.make(tmp_path / "git", frames=0))
    ids = model.caption_ids(np.random.default_rng(0).normal(size=(2, 1, 16, 16, 3)).astype(np.float32), max_length=4)
    assert ids.shape[0] == 2 and 2 <= ids.shape[1] <= 4 and (ids[:, 0] == model.config.first).all()


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "frame", "cut"])
def test_weights_that_do_not_fit_are_one_sentence(shared, tmp_path, change):
    source, path = shared / "golden" / SMALL[0], tmp_path / "model.safetensors"
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    arrays = safetensors.numpy.load_file(source / "model.safetensors")
    if change == "missing":
        del arrays["output.bias"]
    elif change == "frame":
        del arrays["git.img_temperal_embedding.5"]
    elif change == "extra":
        arrays["more"] = np.zeros(1, np.float32)
    elif change == "shape":
        arrays["output.bias"] = np.zeros(2, np.float32)
    safetensors.numpy.save_file(arrays, path)
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="lacks tensors|does not know|gives shape|damaged"):
        git.load(tmp_path)


def test_no_clip_gives_no_caption_and_a_frames_embedding_of_another_shape_is_refused(shared, tmp_path):
    source, name = shared / "golden" / SMALL[0], "git.img_temperal_embedding"
    assert git.load(source).caption_ids(np.zeros((0, 6, 32, 32, 3), np.float32)).shape == (0, 1)
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    arrays = safetensors.numpy.load_file(source / "model.safetensors")
    arrays |= {f"{name}.{i}": arrays[f"{name}.{i}"][0, 0] for i in range(6)}
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="do not make a times of"):
        git.load(tmp_path)


def test_other_clips_and_lengths_are_refused(shared):
    model = git.load(shared / "golden" / SMALL[0])
    with pytest.raises(ValueError, match=r"\[n, 5, 32, 32, 3\], but this GIT takes \[n, 6, 32, 32, 3\]"):
        model.caption_ids(np.zeros((1, 5, 32, 32, 3), np.float32))
    with pytest.raises(ValueError, match="writes 1 to 40 tokens"):
        model.caption_ids(np.zeros((1, 6, 32, 32, 3), np.float32), max_length=41)
