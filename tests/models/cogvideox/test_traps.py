"""What a port gets wrong: each trap by its name, against equations in double precision and whole runs."""

import functools
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

from gvvad_jax.models import cogvideox
from gvvad_jax.models.cogvideox import denoise, positions, schedulers, transformer, weights
from gvvad_jax.models.cogvideox.layout import ONE_DEVICE
from tests.models.cogvideox import by_hand, random_folder

TOKENS = 5
SIZES = dict(frames=9, height=32, width=48)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A form's, made once."""
    kept = {}

    def get(form):
        if form not in kept:
            path = tmp_path_factory.mktemp("form") / "folder"
            options = random_folder.FORMS[form] | dict(max_text_seq_length=TOKENS)
            kept[form] = random_folder.make(path, **options)
            _narrow(path / "transformer/diffusion_pytorch_model.safetensors")
        return kept[form]

    return get


def _narrow(path):
    """Queries and keys so small that the epsilon of their norms is seen."""
    small = ("to_q.weight", "to_k.weight", "to_q.bias", "to_k.bias")
    arrays = safetensors.load_file(path)
    safetensors.save_file({name: x * (0.02 if name.endswith(small) else 1) for name, x in arrays.items()}, path)


@pytest.fixture(scope="module")
def pipelines(folders):
    kept = {}
    return lambda form: kept.setdefault(form, cogvideox.load(folders(form)))


@pytest.fixture(scope="module")
def answers(folders):
    """Ours of a form at one time step, and a function that gives what the equations say."""
    kept = {}

    def get(form):
        if form not in kept:
            part = folders(form) / "transformer"
            model, config = weights.load(part), json.loads((part / "config.json").read_text())
            random = np.random.default_rng(0)
            latents = random.normal(size=(2, 4, config["in_channels"], 4, 6)).astype(np.float32)
            text = random.normal(size=(2, TOKENS, random_folder.TEXT)).astype(np.float32)
            places, modulation = transformer.places(model.config, 4, 4, 6), model.modulator(np.array([417]))
            found = model.body(jnp.asarray(latents), model.body.encode_text(text), modulation, places)
            arrays = safetensors.load_file(part / "diffusion_pytorch_model.safetensors")
            kept[form] = found, functools.partial(by_hand.transformer, arrays, config, latents, text, 417)
        return kept[form]

    return get


@pytest.mark.parametrize("form", ["2B", "5B", "1.5", "1.5 image"])
def test_the_network_is_its_equations(answers, form):
    found, equations = answers(form)
    wanted = equations()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("trap", by_hand.TRAPS)
def test_the_network_is_told_from_one_without(answers, trap):
    found, equations = answers(by_hand.TRAPS[trap])
    wrong = equations(trap)
    assert np.abs(found - wrong).max() > 1e-3 * np.abs(wrong).max()


def test_text_comes_first_and_has_no_positions(folders):
    model = weights.load(folders("2B") / "transformer")
    text = model.body.encode_text(np.ones((1, TOKENS, random_folder.TEXT), np.float32))
    tokens = model.body.embed(jnp.zeros((1, 3, 4, 4, 6)), text, transformer.places(model.config, 3, 4, 6))
    np.testing.assert_array_equal(tokens[:, :TOKENS], text)


def test_another_number_of_frames_falls_back_to_the_sin_cos_table_without_a_word(folders):
    model = weights.load(folders("5B image") / "transformer")
    assert transformer.places(model.config, 3, 4, 6).table is None  # the stored one
    for frames in (1, 2, 5):
        table = np.asarray(transformer.places(model.config, frames, 4, 6).table)
        np.testing.assert_allclose(table[TOKENS:], positions.sin_cos(32, frames, 2, 3, 1.875, 1.0), atol=1e-6)
        assert not table[:TOKENS].any()
        latents, text = jnp.zeros((1, frames, 8, 4, 6)), jnp.zeros((1, TOKENS, 32))
        tokens = model.body.embed(latents, text, transformer.places(model.config, frames, 4, 6))
        wanted = table + np.pad(np.tile(model.body.patches.bias[...], (frames * 6, 1)), ((TOKENS, 0), (0, 0)))
        np.testing.assert_allclose(tokens[0], wanted, atol=1e-6)


@pytest.mark.parametrize(("form", "dropped"), [("1.5", 1), ("2B", 0)])
def test_one_five_s_first_latent_frame_is_dropped_and_not_its_last(pipelines, monkeypatch, form, dropped):
    pipeline = pipelines(form)
    text = np.random.default_rng(0).normal(size=(1, TOKENS, random_folder.TEXT)).astype(np.float32)
    options = SIZES | dict(seed=0, steps=2, guidance=1)
    latents = pipeline.sample(text, output="latents", **options)
    assert latents.shape[1] == 3 + dropped  # 3 for 9 frames, and one that makes pairs of them
    monkeypatch.setattr(pipeline, "decode", lambda latents, tiled: np.asarray(latents))
    np.testing.assert_array_equal(pipeline.sample(text, **options), latents[:, dropped:])


def image_latents(pipeline, monkeypatch, noise):
    """What the loop is given beside the latents."""
    seen = []
    monkeypatch.setattr(denoise, "run", lambda *given, **_: seen.append(given[3].image) or given[5])
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), np.uint8)
    text = np.zeros((1, TOKENS, random_folder.TEXT), np.float32)
    options = dict(image_noise=noise, seed=0, steps=1, guidance=1, output="latents")
    pipeline.sample(text, image=image, **SIZES, **options)
    return np.asarray(seen[0])


def test_the_scaling_factor_is_inverted_for_the_image_alone_and_not_in_decoding(folders, tmp_path, monkeypatch):
    path = shutil.copytree(folders("5B image"), tmp_path / "inverted")
    settings = json.loads((path / "vae/config.json").read_text())
    (path / "vae/config.json").write_text(json.dumps(settings | dict(invert_scale_latents=True)))
    plain, inverted = cogvideox.load(folders("5B image")), cogvideox.load(path)
    noise = np.ones((1, 1, 4, 4, 6), np.float32)
    wanted = image_latents(plain, monkeypatch, noise) / settings["scaling_factor"] ** 2
    np.testing.assert_allclose(image_latents(inverted, monkeypatch, noise), wanted, atol=1e-6 * np.abs(wanted).max())
    latents = np.random.default_rng(0).normal(size=(1, 3, 4, 4, 6)).astype(np.float32)
    np.testing.assert_array_equal(plain.decode(latents), inverted.decode(latents))


def test_the_image_is_in_the_first_latent_frame_that_one_five_drops_and_zeros_follow(pipelines, monkeypatch):
    found = image_latents(pipelines("1.5 image"), monkeypatch, np.zeros((1, 1, 4, 4, 6), np.float32))
    assert found.shape == (1, 4, 4, 4, 6)
    assert found[:, 0].any() and not found[:, 1:].any()


def test_the_image_s_latents_are_drawn_and_not_their_mean(pipelines, monkeypatch):
    pipeline = pipelines("5B image")
    noise = np.random.default_rng(1).normal(size=(1, 1, 4, 4, 6)).astype(np.float32)
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), np.uint8)
    mean, logvar = (
        x.transpose(0, 1, 4, 2, 3) for x in pipeline.vae.encode(image[:, None].astype(np.float32) / 127.5 - 1)
    )
    wanted = (mean + np.exp(logvar / 2) * noise) * pipeline.vae.config.scaling_factor
    found = image_latents(pipeline, monkeypatch, noise)[:, :1]
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_the_image_s_channels_come_after_the_noise_s(folders):
    """Their columns of the patches' kernel: another image changes nothing where those are zero."""
    model = weights.load(folders("5B image") / "transformer")
    kernel = model.body.patches.kernel[...].reshape(8, 4, -1).at[4:].set(0).reshape(32, -1)
    model.body.patches.kernel.set_value(kernel)
    given = denoise.Given(
        text=model.body.encode_text(jnp.zeros((1, TOKENS, random_folder.TEXT))),
        image=jnp.ones((1, 3, 4, 4, 6)),
        keys=None,
        places=transformer.places(model.config, 3, 4, 6),
    )
    plan = schedulers.plan(random_folder.SCHEDULER, 1, "ddim")
    coefficients = type(plan.coefficients)(**{name: column[0] for name, column in vars(plan.coefficients).items()})
    modulation = model.modulator(plan.timesteps)
    row = denoise.Row(0, coefficients, type(modulation)(*(part[0] for part in modulation)), 1.0, None)
    carry = jnp.ones((1, 3, 4, 4, 6)), jnp.zeros((1, 3, 4, 4, 6))
    ones, _ = denoise.step(model.body, ONE_DEVICE, given, row, carry)
    twos, _ = denoise.step(model.body, ONE_DEVICE, given._replace(image=given.image * 2), row, carry)
    np.testing.assert_array_equal(ones, twos)


def test_in_half_precision_pictures_are_rounded_once(folders):
    pipeline = cogvideox.load(folders("2B"), "bfloat16")
    latents = np.random.default_rng(0).normal(size=(1, 1, 4, 4, 6)).astype(np.float32)
    scaled = jnp.asarray(latents, jnp.bfloat16) * jnp.asarray(1 / pipeline.vae.config.scaling_factor, jnp.bfloat16)
    single = pipeline.vae.decode(scaled.transpose(0, 1, 3, 4, 2)).astype(np.float64)
    wanted = np.rint(np.clip(single / 2 + 0.5, 0, 1) * 255)
    assert np.abs(pipeline.decode(latents) - wanted).max() <= 1
    assert (pipeline.decode(latents) == wanted).mean() > 0.999
