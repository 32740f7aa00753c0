"""CogVideoX's clips: what a record says, made again alone, vectors kept, and what is refused before anything is."""

import hashlib
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from gvvad_jax import records
from gvvad_jax.models.cogvideox import pipeline
from gvvad_jax.synthesis import generators
from gvvad_jax.synthesis.generators import cogvideox
from gvvad_jax.video import decode
from tests.models.cogvideox import random_folder
from tests.synthesis.generators import clips


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_folder.make(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def generate(tmp_path, weights):
    """Makes tmp_path/set of tmp_path/d.jsonl with few steps."""
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1")

    def run(name="set", **options):
        given = generators.Options(**{"weights": weights, "steps": 2, "shards": 1} | options)
        return generators.generate(tmp_path / "d.jsonl", "cogvideox", tmp_path / name, given)

    return run


@pytest.fixture
def encoded(monkeypatch):
    """How many prompts each call of the text encoder had."""
    calls, encode = [], pipeline.Pipeline.encode
    monkeypatch.setattr(pipeline.Pipeline, "encode", lambda self, ids: calls.append(len(ids)) or encode(self, ids))
    return calls


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_record_says_all_that_its_clip_depends_on(generate, tmp_path, weights):
    summary = generate(mp4=tmp_path / "files", negative="blurred")
    assert str(summary) == f"2 clips made: {tmp_path / 'set'}"
    anomalous, normal = records.reader(tmp_path / "set")
    assert (anomalous.label, anomalous.category, anomalous.intervals) == (1, "Fire", None)
    assert (normal.label, normal.category, normal.intervals, normal.captions) == (0, "Normal", [], None)
    assert (normal.num_frames, normal.fps, normal.height, normal.width, normal.split) == (9, 8.0, 32, 48, "train")
    assert decode.frames(normal.video).shape == (9, 32, 48, 3)
    source = dict(normal.source)
    settings = source.pop("settings")
    assert source == {
        "generator": "cogvideox",
        "seed": cogvideox.seed_of("n1", 0),
        "description_id": "n1",
        "pair_id": "1",
        "text": "The text of n1.",
    }
    stem = "diffusion_pytorch_model.safetensors"
    digests = {part: sha256(weights / part / stem) for part in ("transformer", "vae")}
    assert settings.pop("weights_sha256") == digests | {
        "text_encoder": sha256(weights / "text_encoder" / "model.safetensors")
    }
    assert (
        settings.pop("version")
        and len(settings.pop("configs_sha256")) == 64
        and settings
        == {
            "model": "tiny",
            "platform": "cpu",
            "tiled": False,
            "dtype": "float32",
            "negative": "blurred",
            "frames": 9,
            "height": 32,
            "width": 48,
            "steps": 2,
            "guidance": 6.0,
            "dynamic_guidance": "off",
            "scheduler": "ddim",
        }
    )
    assert (tmp_path / "files" / "n1.mp4").read_bytes() == normal.video
    assert (tmp_path / "set" / "preview-00000.png").exists()


def test_a_clip_is_the_same_made_alone_and_another_by_another_seed(generate, tmp_path):
    generate()
    clips.descriptions(tmp_path / "d.jsonl", "n1")
    generate("alone")
    generate("other", seed=1)
    among, alone, other = (
        decode.frames(records.reader(tmp_path / name).by_id("n1").video).astype(int)
        for name in ("set", "alone", "other")
    )
    assert np.abs(among - alone).max() <= 1 and np.abs(alone - other).mean() > 5


def test_prompts_are_encoded_once_and_a_damaged_file_anew(generate, encoded, tmp_path):
    generate()
    assert encoded == [3]  # two texts and the empty prompt
    shutil.rmtree(tmp_path / "set")
    generate()
    assert encoded == [3]
    shutil.rmtree(tmp_path / "set")
    file = sorted((tmp_path / "set.cache").iterdir())[0]
    file.write_bytes(file.read_bytes()[:-99])
    generate()
    assert encoded == [3, 1]


def test_a_stopped_run_goes_on_with_what_is_missing(generate, encoded, tmp_path, monkeypatch):
    made, make = [], cogvideox.Maker.__call__

    def stopped(self, description):
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(description.id)
        return make(self, description)

    monkeypatch.setattr(cogvideox.Maker, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        generate()
    monkeypatch.setattr(cogvideox.Maker, "__call__", make)
    with pytest.raises(ValueError, match=r"begun with other options: steps \(2 before, 3 now\)"):
        generate(steps=3)
    summary = generate(mp4=tmp_path / "files")
    assert (summary.made, summary.there, made, encoded) == (1, 1, ["a1"], [3])
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["a1.mp4", "n1.mp4"]


def test_another_config_of_the_sampler_is_another_set_and_another_writer_s_version_is_not(generate, tmp_path, weights):
    weights = shutil.copytree(weights, tmp_path / "copy")
    generate(weights=weights, guidance=1, steps=1)
    file = weights / "scheduler" / "scheduler_config.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"_diffusers_version": "0.99"}))
    assert generate(weights=weights, guidance=1, steps=1).there == 2
    file.write_text(json.dumps(told | {"snr_shift_scale": 1.0}))
    with pytest.raises(ValueError, match="begun with other options: configs_sha256"):
        generate(weights=weights, guidance=1, steps=1)


def test_version_1_5_plays_twice_as_fast_and_no_guidance_needs_no_negative_prompt(generate, encoded, tmp_path):
    pairs = random_folder.make(tmp_path / "pairs", patch_size_t=2, use_rotary_positional_embeddings=True)
    generate(weights=pairs, guidance=1, steps=1)
    assert encoded == [2] and {video.fps for video in records.reader(tmp_path / "set")} == {16.0}


def test_a_clip_too_large_for_the_device_ends_the_run_in_a_sentence(generate, monkeypatch):
    def sample(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(pipeline.Pipeline, "sample", sample)
    with pytest.raises(OSError, match="a1: a clip of 9 frames of 48x32 does not fit the memory of these devices"):
        generate()


def test_a_text_encoder_too_large_for_the_device_ends_the_run_in_a_sentence(generate, monkeypatch):
    def encode(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(pipeline.Pipeline, "encode", encode)
    with pytest.raises(OSError, match="^the text encoder does not fit the memory of these devices; take"):
        generate()


def test_steps_one_by_one_show_how_far_a_clip_is(generate, capsys):
    generate(stepped=True, guidance=1)
    shown = capsys.readouterr().err
    assert "a1: 100%" in shown and "n1: 100%" in shown and "2/2" in shown


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(tiled=True), "tiles of 16 .* do not join"),
        (dict(frames=12), "a clip of 12 frames; 8·n \\+ 1"),
        (dict(height=40), "a height of 40 pixels"),
        (dict(steps=1001), "1001 sampling steps"),
        (dict(scheduler="euler"), "scheduler 'euler'"),
        (dict(dynamic_guidance="on"), "dynamic guidance 'on'"),
        (dict(guidance=float("nan")), "guidance is nan"),
        (dict(dtype="float16"), "dtype 'float16'; it is one of float32, bfloat16"),
        (dict(negative="smoke rises " * 200), "more than 226 tokens: the negative prompt \\("),
        (dict(root=Path("clips")), "--root does not go with --generator=cogvideox"),
        (dict(weights=None), "needs --weights"),
        (dict(weights="nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_settings_that_cannot_work_are_refused_and_nothing_is_written(generate, tmp_path, options, sentence):
    with pytest.raises((ValueError, OSError), match=sentence):
        generate(**options)
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_long_prompts_are_named_by_their_descriptions(generate, tmp_path):
    long = [
        records.Description(id=f"a{n}", pair_id=str(n), label=1, text="A man walks. " * (200 if n else 1))
        for n in range(8)
    ]
    records.write_descriptions(tmp_path / "d.jsonl", long)
    with pytest.raises(ValueError, match=r"more than 226 tokens: description a1 \(\d+\), .* a5 \(\d+\) and 2 more"):
        generate()
    assert not (tmp_path / "set").exists() and not (tmp_path / "set.cache").exists()


def without(name):
    return lambda path: shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink()


def shards_missing(path):
    (path / "text_encoder" / "model.safetensors").unlink()
    index = {"weight_map": {"shared.weight": "model-00001-of-00002.safetensors"}}
    (path / "text_encoder" / "model.safetensors.index.json").write_text(json.dumps(index))


def cut(name):
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:-10])


def one_layer_more(path):
    config = json.loads((path / "transformer" / "config.json").read_text())
    (path / "transformer" / "config.json").write_text(json.dumps(config | {"num_layers": 2}))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without("tokenizer/spiece.model"), "holds neither tokenizer.json nor spiece.model"),
        (without("text_encoder"), "holds no config.json; name a folder of a T5"),
        (without("vae"), "holds no folder vae"),
        (shards_missing, "lacks model-00001-of-00002.safetensors"),
        (cut("text_encoder/model.safetensors"), "model.safetensors is damaged"),
        (cut("transformer/diffusion_pytorch_model.safetensors"), "model.safetensors is damaged"),
        (one_layer_more, "lacks tensors that this network needs"),
    ],
)
def test_incomplete_weights_are_refused_and_nothing_is_written(generate, weights, tmp_path, spoil, sentence):
    shutil.copytree(weights, tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    with pytest.raises((ValueError, OSError), match=sentence):
        generate(weights=tmp_path / "spoilt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.jsonl", "spoilt"]


def test_image_to_video_weights_are_refused_as_descriptions_have_no_image(generate, tmp_path):
    images = random_folder.make(tmp_path / "images", in_channels=8)
    with pytest.raises(ValueError, match="makes video of a first frame, which descriptions lack"):
        generate(weights=images)


@pytest.mark.parametrize(
    ("count", "branches", "shape"), [(8, 2, (2, 4)), (8, 1, (1, 8)), (3, 2, (1, 3)), (2, 2, (2, 1))]
)
def test_guidance_is_laid_over_an_even_number_of_devices(count, branches, shape):
    mesh = cogvideox.for_devices(list(range(count)), branches).mesh
    assert (mesh.shape["cfg"], mesh.shape["seq"]) == shape
    assert cogvideox.for_devices(jax.devices()[:1], 2).mesh is None
