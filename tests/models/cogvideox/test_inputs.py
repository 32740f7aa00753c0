"""What a sampler of any form takes, leaves alone and refuses: arrays, seeds, pictures, sizes and damaged folders."""

import json
import shutil

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors import numpy as safetensors

from gvvad_jax.models import cogvideox
from gvvad_jax.models.cogvideox import config, pictures
from tests.models.cogvideox import random_folder

TOKENS = 5
SIZES = dict(frames=9, height=32, width=48)
LATENTS = (1, 3, 4, 4, 6)
TENSORS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_folder.make(tmp_path_factory.mktemp("2B") / "folder", max_text_seq_length=TOKENS)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """A form's, made once."""
    kept = {}

    def get(form):
        if form not in kept:
            path = tmp_path_factory.mktemp("form") / "folder"
            kept[form] = cogvideox.load(
                random_folder.make(path, max_text_seq_length=TOKENS, **random_folder.FORMS[form])
            )
        return kept[form]

    return get


@pytest.fixture
def other(folder, tmp_path):
    """A copy to damage."""
    return shutil.copytree(folder, tmp_path / "other")


def text(videos=1):
    return np.random.default_rng(0).normal(size=(videos, TOKENS, random_folder.TEXT)).astype(np.float32)


def sample(pipeline, videos=1, **options):
    return pipeline.sample(text(videos), **(SIZES | dict(steps=2, guidance=1, output="latents") | options))


@pytest.mark.parametrize("form", random_folder.FORMS)
def test_every_form_makes_as_many_frames_as_were_asked_for(pipelines, form):
    image = dict(image=np.zeros((1, 7, 9, 3), np.uint8)) if "image" in form else {}
    found = sample(pipelines(form), seed=0, output="uint8", **image)
    assert found.shape == (1, 9, 32, 48, 3) and found.dtype == np.uint8


@pytest.mark.parametrize("stepped", [False, True])
def test_latents_given_stay_as_they_are(pipelines, stepped):
    for kind in (np.float32, np.float64, jnp.float32):
        given = jnp.ones(LATENTS) if kind is jnp.float32 else np.ones(LATENTS, kind)
        sample(pipelines("2B"), latents=given, stepped=stepped)
        np.testing.assert_array_equal(given, np.ones(LATENTS))


def test_arrays_of_any_kind_are_the_same_run(pipelines):
    wide = np.random.default_rng(1).normal(size=LATENTS).astype(np.float32)
    wanted = sample(pipelines("2B"), latents=wide)
    for given in (jnp.asarray(wide), wide.astype(np.float64)):
        np.testing.assert_array_equal(sample(pipelines("2B"), latents=given), wanted)


@pytest.mark.parametrize("seed", [3, np.int64(3), np.array(3), [3], (3,), np.array([3]), [np.uint32(3)]])
def test_a_seed_of_any_kind_is_the_same_clip(pipelines, seed):
    wanted = sample(pipelines("2B"), seed=3, scheduler="dpm")
    np.testing.assert_array_equal(sample(pipelines("2B"), seed=seed, scheduler="dpm"), wanted)


def test_the_largest_seeds_are_clips_of_their_own(pipelines):
    found = [sample(pipelines("2B"), seed=seed, steps=1) for seed in (0, 2**31, 2**32 - 1)]
    assert all(np.abs(found[i] - found[i - 1]).max() > 0.1 for i in range(3))


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64 + 1, [2**63 + 1], np.array([-1]), True])
def test_what_is_no_seed_is_refused(pipelines, seed):
    """Beyond 32 bits JAX would take another's key, so that two seeds were one clip."""
    with pytest.raises(ValueError, match="from 0 to 4294967295"):
        sample(pipelines("2B"), seed=seed)


def test_noise_that_ddim_does_not_add_is_not_looked_at(pipelines):
    wanted = sample(pipelines("2B"), seed=0)
    np.testing.assert_array_equal(sample(pipelines("2B"), seed=0, noise=np.zeros((1, 1, 1, 1, 1, 1))), wanted)


def test_guidance_of_one_or_less_is_the_prompt_alone(pipelines):
    wanted = sample(pipelines("2B"), seed=0)
    for guidance in (0, 0.5, -1.0):
        found = sample(pipelines("2B"), seed=0, guidance=guidance, negative_embeds=text(), dynamic_guidance="ramp")
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("form", "options", "sentence"),
    [
        ("2B", dict(seed=[1, 2]), r"seeds of shape \(2,\) for 1 prompts"),
        ("2B", dict(steps=1001), "1001 sampling steps, but this network was trained on 1000"),
        ("2B", dict(steps=0), "0 sampling steps"),
        ("2B", dict(guidance=float("nan")), "guidance is nan"),
        ("2B", dict(scheduler=""), "scheduler ''; it is one of ddim, dpm"),
        ("2B", dict(videos=0), "of no prompt"),
        ("2B", dict(height=0), "a height of 0 pixels"),
        ("2B", dict(frames=-7), "a clip of -7 frames"),
        ("1.5", dict(frames=12), "a clip of 12 frames"),
        ("1.5", dict(height=80), "latents of 6x10, but only 8x8 have positions; take a smaller height"),
        ("1.5", dict(latents=np.zeros(LATENTS)), r"latents of shape \(1, 3, 4, 4, 6\), but \(1, 4, 4, 4, 6\)"),
        ("5B image", dict(width=32), "latents of 4x4, but this network's table of positions is for 6x4 alone"),
        ("5B image", {}, "give an image for each prompt"),
        ("5B image", dict(image=np.zeros((2, 9, 9, 3), np.uint8)), r"image of shape \(2, 9, 9, 3\)"),
        (
            "5B image",
            dict(image=np.zeros((1, 9, 9, 3), np.uint8), image_noise=np.zeros((1, 3, 4, 4, 6))),
            r"image_noise of shape .* \(1, 1, 4, 4, 6\) is needed",
        ),
    ],
)
def test_what_does_not_fit_is_refused(pipelines, form, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample(pipelines(form), **(dict(seed=0) | options))


def test_an_image_needs_noise_or_a_seed(pipelines):
    image = np.zeros((1, 9, 9, 3), np.uint8)
    with pytest.raises(ValueError, match="neither image_noise nor a seed"):
        sample(pipelines("5B image"), latents=np.zeros(LATENTS), image=image)


def test_a_picture_of_the_video_s_size_is_not_resampled():
    picture = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
    np.testing.assert_array_equal(pictures.prepared(picture, 2, 32, 48), picture.astype(np.float32) / 127.5 - 1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 9, 9), np.uint8),
        np.zeros((9, 9, 3), np.uint8),
        np.zeros((1, 9, 9, 4), np.uint8),
        np.zeros((1, 9, 9, 3), np.float32),
        np.zeros((2, 9, 9, 3), np.uint8),
        np.zeros((1, 0, 0, 3), np.uint8),
    ],
    ids=["grey", "one", "alpha", "float", "two", "empty"],
)
def test_what_are_no_pictures_of_the_prompts_is_refused(image):
    with pytest.raises(ValueError, match=r"image of shape .*; \[1, rows, columns, 3\] of uint8 is needed"):
        pictures.prepared(image, 1, 32, 48)


def test_a_folder_without_text_encoder_and_tokenizer_samples_vectors(other):
    for name in ("text_encoder", "tokenizer"):
        shutil.rmtree(other / name)
    pipeline = cogvideox.load(str(other))
    assert sample(pipeline, seed=0).shape == LATENTS
    with pytest.raises(OSError, match="text_encoder holds no config.json"):
        pipeline.encode(np.zeros((1, TOKENS), np.int32))
    with pytest.raises(OSError, match="tokenizer holds neither"):
        pipeline.tokenizer.ids(["a cat"])


@pytest.mark.parametrize("stored", [np.float16, ml_dtypes.bfloat16])
def test_weights_stored_as_halves_are_read(pipelines, other, stored):
    path = other / "transformer" / TENSORS
    safetensors.save_file({name: x.astype(stored) for name, x in safetensors.load_file(path).items()}, path)
    found, wanted = (sample(x, seed=0) for x in (cogvideox.load(other), pipelines("2B")))
    assert 0 < np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "half", None])
def test_only_two_precisions_are_offered(folder, dtype):
    with pytest.raises(ValueError, match="one of float32, bfloat16"):
        cogvideox.load(folder, dtype)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float32, np.dtype("float32"), "bfloat16"])
def test_a_precision_may_be_given_as_a_type(folder, dtype):
    assert cogvideox.load(folder, dtype).dtype == jnp.dtype(dtype)


def test_folders_and_weights_in_each_other_s_place_are_said_when_opened(other):
    weights = [other / part / TENSORS for part in ("transformer", "vae")]
    whole = [path.read_bytes() for path in weights]
    weights[0].write_bytes(whole[1])
    with pytest.raises(ValueError, match="transformer has tensors that this network does not know"):
        cogvideox.load(other)
    weights[0].write_bytes(whole[0])
    weights[1].write_bytes(whole[0])
    with pytest.raises(ValueError, match="vae has tensors that this network does not know"):
        cogvideox.load(other)
    weights[1].write_bytes(whole[1])
    for name, place in (("transformer", "elsewhere"), ("vae", "transformer"), ("elsewhere", "vae")):
        (other / name).rename(other / place)
    with pytest.raises(ValueError, match="is of class 'AutoencoderKLCogVideoX', but a CogVideoX transformer"):
        cogvideox.load(other)


def test_weights_that_lack_a_tensor_or_are_cut_are_said_when_opened(other):
    path = other / "transformer" / TENSORS
    arrays = safetensors.load_file(path)
    safetensors.save_file({name: x for name, x in arrays.items() if name != "proj_out.bias"}, path)
    with pytest.raises(ValueError, match="lacks tensors that this network needs: proj_out.bias"):
        cogvideox.load(other)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="is damaged"):
        cogvideox.load(other)
    path.rename(path.with_name("diffusion_pytorch_model-00001-of-00001.safetensors"))
    with pytest.raises(OSError, match="holds no weights; one of .*index.json"):
        cogvideox.load(other)


def test_a_vae_of_another_network_is_refused(other):
    path = other / "vae/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(temporal_compression_ratio=8)))
    with pytest.raises(ValueError, match="4 channels and a latent for 8 frames, but its transformer 4 and 4"):
        cogvideox.load(other)


@pytest.mark.parametrize("key", sorted(set(random_folder.TRANSFORMER) - {"_class_name", "patch_size_t"}))
def test_a_config_that_lacks_a_size_names_it(key):
    found = {name: value for name, value in random_folder.TRANSFORMER.items() if name != key}
    with pytest.raises(ValueError, match=f"here lacks a size of the network .*{key}"):
        config.Config.of(found, "here")


@pytest.mark.parametrize("change", [dict(patch_size=0), dict(temporal_compression_ratio=0), dict(sample_height=-1)])
def test_a_config_with_an_empty_size_is_refused(change):
    with pytest.raises(ValueError, match="here: .*, but at least 1 is needed"):
        config.Config.of(random_folder.TRANSFORMER | change, "here")
