"""CLIP equals torch's on small models in the published layout, and its pixels equal the published processor's bits."""

import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from gvvad_jax.models import clip

SMALL = ("clip_tiny", "clip_tiny_eos")


def close(found, wanted, tolerance=1e-5):
    """Relative to the array's largest magnitude."""
    assert found.shape == wanted.shape
    assert np.abs(np.asarray(found) - wanted).max() <= tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("name", SMALL)
def test_every_state_embedding_and_logit_equals_torchs(shared, name):
    model, cases = clip.load(shared / "golden" / name), np.load(shared / "golden" / name / "cases.npz")
    pixels = cases["pixel_values"].transpose(0, 2, 3, 1)
    embedded = model.vision.embed(pixels)
    close(embedded, cases["vision.embeddings"])
    close(model.vision.before(embedded), cases["vision.pre_layrnorm"])
    for number, state in enumerate(model.vision.blocks.states(model.vision.before(embedded))):
        close(state, cases[f"vision.layer.{number}"])
    close(images := model.encode_image(pixels), cases["image_embeds"])
    ids, mask = cases["input_ids"], cases["attention_mask"]
    close(model.embed_text(ids), cases["text.embeddings"])
    for number, state in enumerate(model.text.states(model.embed_text(ids), model.visible(ids, mask))):
        close(state, cases[f"text.layer.{number}"])
    close(texts := model.encode_text(ids, mask), cases["text_embeds"])
    close(model.encode_text(ids), cases["nomask.text_embeds"])
    close(model.logits(images, texts), cases["logits_per_image"])


def test_half_precision_stays_near(shared):
    cases = np.load(shared / "golden" / SMALL[0] / "cases.npz")
    model = clip.load(shared / "golden" / SMALL[0], dtype="bfloat16")
    assert model.vision.blocks.fc1_kernel.dtype == jnp.bfloat16 and model.logit_scale.dtype == jnp.float32
    close(model.encode_image(cases["pixel_values"].transpose(0, 2, 3, 1)), cases["image_embeds"], 0.05)


@pytest.mark.parametrize("name", ["vit_base_patch32", "vit_base_patch16", "vit_large_patch14", "vit_large_patch14_336"])
def test_every_published_tensor_has_its_place(shared, name):
    published = json.loads((shared / "golden" / "real_shapes" / f"clip_{name}.json").read_text())
    config = clip.Config.of(published["config"], name)
    named = {source for row in clip.table(config, published["tensors"]) for source in row.sources}
    assert named == set(published["tensors"])
    assert sum(int(np.prod(shape)) for shape, _ in published["tensors"].values()) == published["parameters"]


def test_preprocessing_is_the_published_processors_to_the_bit(shared):
    cases = np.load(shared / "golden" / "clip_preprocess" / "cases.npz")
    rows = [row for row in json.loads(str(cases["meta"])) if row["processor"] == "clip"]
    assert len(rows) > 5
    for row in rows:
        found = clip.preprocess(cases[f"image_{row['index']}"], row["size"])
        assert hashlib.sha256(np.ascontiguousarray(found).tobytes()).hexdigest() == row["sha256_float32_hwc"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_mean": [1, 2]}, "image_mean and image_std are not three numbers each"),
        ({"image_mean": ["a", 1, 1]}, "image_mean and image_std are not three numbers each"),
        ({"image_std": [None, 1, 1]}, "image_mean and image_std are not three numbers each"),
        ({"image_mean": [float("nan"), 1, 1]}, "image_mean and image_std are not three numbers each"),
        ({"image_std": [0, 1, 1]}, "image_mean and image_std are not three numbers each"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor is .*, but bytes are divided by 255"),
        ({"do_normalize": False}, "do_normalize is off"),
        ({"resample": 2}, "resample is 2, but frames for CLIP are resized by 3"),
    ],
)
def test_pixels_that_are_made_in_another_way_are_refused(tmp_path, settings, sentence):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=f"preprocessor_config.json: {sentence}"):
        clip.pixel_statistics(tmp_path)


def test_a_folders_own_statistics_count_in_either_file(tmp_path):
    assert clip.pixel_statistics(tmp_path) == (clip.MEAN, clip.STD)
    own = {"image_mean": [0, 0.5, 1], "image_std": [1, 2, 3], "rescale_factor": 0.00392156862745098, "resample": 3}
    for name, found in (("processor_config.json", {"image_processor": own}), ("preprocessor_config.json", own)):
        (tmp_path / name).write_text(json.dumps(found))
        assert clip.pixel_statistics(tmp_path) == ((0, 0.5, 1), (1, 2, 3))
        (tmp_path / name).unlink()


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "cut"])
def test_weights_that_do_not_fit_are_one_sentence(shared, tmp_path, change):
    source, path = shared / "golden" / SMALL[0], tmp_path / "model.safetensors"
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    arrays = safetensors.numpy.load_file(source / "model.safetensors")
    if change == "missing":
        del arrays["logit_scale"]
    elif change == "extra":
        arrays["more"] = np.zeros(1, np.float32)
    elif change == "shape":
        arrays["logit_scale"] = np.zeros(2, np.float32)
    safetensors.numpy.save_file(arrays, path)
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="lacks tensors|does not know|gives shape|damaged"):
        clip.load(tmp_path)


def test_another_size_of_image_and_too_long_a_text_are_refused(shared):
    model = clip.load(shared / "golden" / SMALL[0])
    with pytest.raises(ValueError, match=r"pixels of shape \[n, 40, 40, 3\], but this network takes \[n, 32, 32, 3\]"):
        model.encode_image(np.zeros((1, 40, 40, 3), np.float32))
    with pytest.raises(ValueError, match="16 positions"):
        model.encode_text(np.zeros((1, 17), np.int32))


def test_no_image_and_no_text_give_no_vector(shared):
    model = clip.load(shared / "golden" / SMALL[0])
    assert model.encode_image(np.zeros((0, 32, 32, 3), np.float32)).shape == (0, 40)
    assert model.encode_text(np.zeros((0, 5), np.int32), np.zeros((0, 5), np.int32)).shape == (0, 40)


def test_a_picture_may_be_grey_in_one_channel_and_nothing_else_than_bytes():
    grey = np.random.default_rng(0).integers(0, 256, (9, 12, 1), np.uint8)
    np.testing.assert_array_equal(clip.preprocess(grey, 8), clip.preprocess(grey[..., 0], 8))
    for wrong in (np.zeros((3, 9, 12), np.uint8), np.zeros((2, 9, 12, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"give uint8 \[height, width, 3\], or Pillow's"):
            clip.preprocess(wrong, 8)
    with pytest.raises(ValueError, match="has no pixels"):
        clip.preprocess(np.zeros((0, 12, 3), np.uint8), 8)


@pytest.mark.parametrize("change", ["axes", "whole numbers"])
def test_a_kernel_of_patches_in_another_order_or_type_is_refused(shared, tmp_path, change):
    source, name = shared / "golden" / SMALL[0], "vision_model.embeddings.patch_embedding.weight"
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    arrays = safetensors.numpy.load_file(source / "model.safetensors")
    other = arrays[name].transpose(0, 2, 3, 1) if change == "axes" else arrays[name].astype(np.int8)
    arrays[name] = np.ascontiguousarray(other)
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"not \[width, 3, patch, patch\]|stored as int8"):
        clip.load(tmp_path)
