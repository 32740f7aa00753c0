"""CogVideoX's VAE beside diffusers' on random weights of a shape of our own (extra `parity`)."""

import numpy as np
import pytest

from gvvad_jax.models.cogvideox import vae, vae_tiles

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

SHAPE = dict(
    block_out_channels=(8, 16, 16),
    down_block_types=("CogVideoXDownBlock3D",) * 3,
    up_block_types=("CogVideoXUpBlock3D",) * 3,
    layers_per_block=2,
    latent_channels=3,
    norm_num_groups=4,
    norm_eps=1e-5,
    temporal_compression_ratio=2,
    sample_height=32,
    sample_width=40,
    scaling_factor=0.7,
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderKLCogVideoX(**SHAPE).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("vae")
    theirs.save_pretrained(folder)
    return theirs, vae.load(folder)


def close(ours, theirs):
    theirs = theirs.detach().numpy().transpose(0, 2, 3, 4, 1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def torch_layout(x):
    return torch.from_numpy(x.transpose(0, 4, 1, 2, 3).copy())


@pytest.mark.parametrize("frames", [1, 5, 6])
def test_decoded_frames_are_equal(both, frames):
    theirs, ours = both
    latents = random(2, frames, 5, 6, 3)
    with torch.no_grad():
        close(ours.decode(latents), theirs.decode(torch_layout(latents)).sample)


@pytest.mark.parametrize("frames", [1, 11, 19])
def test_encoded_moments_are_equal(both, frames):
    theirs, ours = both
    video = random(1, frames, 16, 24, 3)
    with torch.no_grad():
        wanted = theirs.encode(torch_layout(video)).latent_dist
    mean, logvar = ours.encode(video)
    close(mean, wanted.mean)
    close(logvar, wanted.logvar)


def test_tiles_are_equal(both):
    theirs, ours = both
    latents = random(1, 1, 3, 7, 3)  # in tiles of two shapes only
    tiles = vae_tiles.Tiles(16, 16, 1 / 4, 1 / 4)
    theirs.enable_tiling(16, 16, 1 / 4, 1 / 4)
    with torch.no_grad():
        close(ours.decode(latents, tiles), theirs.decode(torch_layout(latents)).sample)
    theirs.disable_tiling()
