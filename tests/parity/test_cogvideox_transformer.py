"""CogVideoX's transformer beside diffusers' own, random small weights in every published form."""

import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.models.cogvideox import transformer, weights

pytest.importorskip("torch")
pytest.importorskip("diffusers")

SMALL = dict(
    num_attention_heads=2, attention_head_dim=16, num_layers=2, in_channels=4, out_channels=4, time_embed_dim=12
)
SMALL |= dict(text_embed_dim=24, sample_height=8, sample_width=12, sample_frames=9, max_text_seq_length=6)
ROTARY = dict(use_rotary_positional_embeddings=True)
FORMS = {
    "2B": {},
    "5B": ROTARY,
    "5B image": ROTARY | dict(in_channels=8, use_learned_positional_embeddings=True),
    "1.5": ROTARY | dict(patch_size_t=2, patch_bias=False, sample_height=20, sample_width=20),
    "1.5 image": ROTARY
    | dict(patch_size_t=2, patch_bias=False, sample_height=20, sample_width=20, in_channels=8, ofs_embed_dim=12),
}
CASES = [(name, 3, 8, 12) for name in FORMS if "1.5" not in name]
CASES += [("2B", 2, 6, 10), ("5B", 2, 6, 10), ("5B", 5, 10, 8), ("1.5", 4, 6, 10), ("1.5 image", 2, 8, 12)]


def published(form, folder):
    import torch
    from diffusers import CogVideoXTransformer3DModel

    torch.manual_seed(0)
    model = CogVideoXTransformer3DModel(**(SMALL | FORMS[form])).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder, max_shard_size="60KB")
    return model


def turns(config, frames, rows, columns):
    """As the published pipelines ask for them."""
    from diffusers.models.embeddings import get_3d_rotary_pos_embed
    from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid

    if not config.use_rotary_positional_embeddings:
        return None
    grid, base = (rows // 2, columns // 2), (config.sample_height // 2, config.sample_width // 2)
    if config.patch_size_t is None:
        region = get_resize_crop_region_for_grid(grid, base[1], base[0])
        return get_3d_rotary_pos_embed(config.attention_head_dim, region, grid, frames, device="cpu")
    return get_3d_rotary_pos_embed(
        config.attention_head_dim,
        None,
        grid,
        frames // config.patch_size_t,
        grid_type="slice",
        max_size=base,
        device="cpu",
    )


@pytest.mark.parametrize(("form", "frames", "rows", "columns"), CASES)
def test_every_form_equals_diffusers(tmp_path, form, frames, rows, columns):
    import torch

    theirs = published(form, tmp_path)
    ours = weights.load(tmp_path)
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(2, frames, theirs.config.in_channels, rows, columns)).astype(np.float32)
    text, steps = rng.normal(size=(2, 6, 24)).astype(np.float32), np.array([999, 17])
    with torch.no_grad():
        wanted = theirs(
            torch.from_numpy(latents),
            torch.from_numpy(text),
            torch.from_numpy(steps),
            ofs=torch.full((1,), 2.0) if theirs.config.ofs_embed_dim else None,
            image_rotary_emb=turns(theirs.config, frames, rows, columns),
        ).sample.numpy()
    places = transformer.places(ours.config, frames, rows, columns)
    found = ours.body(jnp.asarray(latents), ours.body.encode_text(text), ours.modulator(steps), places)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_another_number_of_frames_falls_back_to_the_sin_cos_table(tmp_path):
    import torch

    theirs = published("5B image", tmp_path)
    ours = weights.load(tmp_path)
    latents = np.random.default_rng(0).normal(size=(1, 2, 8, 8, 12)).astype(np.float32)
    text = np.zeros((1, 6, 24), np.float32)
    with torch.no_grad():
        wanted = theirs(
            torch.from_numpy(latents),
            torch.from_numpy(text),
            torch.tensor([5]),
            image_rotary_emb=turns(theirs.config, 2, 8, 12),
        ).sample.numpy()
    places = transformer.places(ours.config, 2, 8, 12)
    found = ours.body(jnp.asarray(latents), ours.body.encode_text(text), ours.modulator(np.array([5])), places)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
