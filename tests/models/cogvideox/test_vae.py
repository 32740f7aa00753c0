import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.models.cogvideox import vae, vae_layers, vae_tiles
from gvvad_jax.weights import folder, tables

CONFIG = dict(
    _class_name="AutoencoderKLCogVideoX",
    act_fn="silu",
    block_out_channels=[4, 8, 8],
    layers_per_block=1,
    latent_channels=2,
    norm_num_groups=2,
    norm_eps=1e-6,
    temporal_compression_ratio=4,
    scaling_factor=0.7,
    sample_height=16,
    sample_width=24,
)


def close(ours, theirs, what="", tolerance=1e-5):
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max(), err_msg=what)


def last(x):
    """Channels to the end."""
    return np.asarray(x, np.float32).transpose(0, 2, 3, 4, 1)


@pytest.fixture(scope="module")
def loaded():
    """Read once a run, so that programs compile once."""
    return {}


@pytest.fixture
def case(shared, loaded):
    tiny = shared / "golden/cog2b_tiny"
    if not loaded:
        loaded.update(model=vae.load(tiny / "vae"), wanted=np.load(tiny / "components.npz"))
    return loaded["model"], loaded["wanted"]


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 7])
def test_decoded_frames_equal_the_reference(case, frames):
    model, wanted = case
    close(model.decode(last(wanted[f"vae.decode.{frames}.latents"])), last(wanted[f"vae.decode.{frames}.video"]))


@pytest.mark.parametrize("frames", [1, 8, 9, 13, 17, 25])
def test_encoded_moments_equal_the_reference(case, frames):
    model, wanted = case
    mean, logvar = model.encode(last(wanted[f"vae.encode.{frames}.video"]))
    close(mean, last(wanted[f"vae.encode.{frames}.mean"]), "mean")
    close(logvar, last(wanted[f"vae.encode.{frames}.logvar"]), "logvar")


def test_the_first_piece_and_its_caches_equal_the_reference(case):
    model, wanted = case
    z = jnp.asarray(last(wanted["vae.decode.5.latents"])[:, :3])
    frames, caches = model.decoder.first(model.decoder.params, z)
    close(frames, last(wanted["vae.decode.5.chunk0"]))
    for name in ("conv_in", "mid.0.conv1", "blocks.3.1.conv2", "conv_out"):
        close(caches[name], last(wanted[f"vae.decode.5.cache.{published(name)}"]), name)


def test_caches_are_the_reference_s_without_those_of_single_places(case):
    model, wanted = case
    shapes = json.loads(str(wanted["vae.decode.5.cache_shapes"]))
    ours = model.decoder.caches((1, 3, 6, 8, 4))
    names = {name: published(name) for name in ours}
    kept = {name: shape for name, shape in shapes.items() if not name.endswith(("conv_y", "conv_b"))}
    assert sorted(names.values()) == sorted(kept)
    for name, cache in ours.items():
        videos, channels, frames, rows, columns = kept[names[name]]
        assert cache.shape == (videos, frames, rows, columns, channels), name


def published(name):
    """blocks.3.1.conv2 -> up_block_3.resnet_1.conv2."""
    match name.split("."):
        case ["blocks", block, resnet, conv]:
            return f"up_block_{block}.resnet_{resnet}.{conv}"
        case ["mid", resnet, conv]:
            return f"mid_block.resnet_{resnet}.{conv}"
    return name


def test_later_pieces_keep_the_caches_shapes(case):
    model = case[0].decoder
    for frames in (1, 2, 3):
        caches = model.caches((1, frames, 6, 8, 4))
        after = jax.eval_shape(model.next, model.params, caches, jax.ShapeDtypeStruct((1, 2, 6, 8, 4), jnp.float32))
        assert {n: c.shape for n, c in after[1].items()} == {n: c.shape for n, c in caches.items()}


def test_two_videos_decode_as_one_by_one(case):
    model, wanted = case
    latents = last(wanted["vae.decode.3.latents"])
    both = model.decode(np.concatenate([latents[:, ::-1], latents]))
    close(both[1:], last(wanted["vae.decode.3.video"]))
    close(both[:1], model.decode(latents[:, ::-1]))


def test_bfloat16_stays_near_float32(shared, case):
    model = vae.load_decoder(shared / "golden/cog2b_tiny/vae", "bfloat16")
    latents, wanted = (last(case[1][f"vae.decode.1.{name}"]) for name in ("latents", "video"))
    frames = model.decode(latents)
    assert frames.dtype == np.float32
    assert np.sqrt(np.square(frames - wanted).mean()) < 0.02 * np.abs(wanted).max()


# What is easily got wrong.


def test_statistics_are_a_piece_s_own_so_other_pieces_give_other_values(case):
    model, wanted = case
    latents = last(wanted["vae.decode.3.latents"])
    parts = np.concatenate([np.asarray(part) for part in model.decoder.run(latents, [1, 2])], 1)
    together = last(wanted["vae.decode.3.video"])
    assert parts.shape == together.shape
    assert np.abs(parts - together).max() > 1e-2 * np.abs(together).max()


def test_what_is_left_over_joins_the_first_piece():
    assert vae.pieces(13, vae.LATENT_FRAMES) == [3, 2, 2, 2, 2, 2]
    assert vae.pieces(49, vae.FRAMES) == [9, 8, 8, 8, 8, 8]
    assert vae.pieces(15, vae.FRAMES) == [15]
    assert [vae.pieces(n, vae.LATENT_FRAMES) for n in (1, 2, 3, 4)] == [[1], [2], [3], [2, 2]]


def test_four_latent_frames_give_sixteen_and_not_thirteen(case):
    model, wanted = case
    assert model.decode(last(wanted["vae.decode.4.latents"])).shape[1] == 16


def test_halving_pads_below_and_to_the_right_only():
    layer = vae_layers.Downsample(1, False, jnp.float32)
    x = np.arange(1.0, 25).reshape(1, 1, 4, 6, 1).astype(np.float32)
    layer.conv.kernel[...] = jnp.zeros((3, 3, 1, 1)).at[0, 0].set(1)
    close(layer([jnp.asarray(x)])[0], x[:, :, ::2, ::2])
    layer.conv.kernel[...] = jnp.zeros((3, 3, 1, 1)).at[2, 2].set(1)
    close(layer([jnp.asarray(x)])[0], np.pad(x, [(0, 0), (0, 0), (0, 2), (0, 2), (0, 0)])[:, :, 2::2, 2::2])


def frames_through(layer, given, tap):
    """What becomes of frames that are the same everywhere, where the convolution passes them on."""
    layer.conv.kernel[...] = jnp.zeros((3, 3, 1, 1)).at[tap, tap].set(1)
    x = jnp.asarray(given, jnp.float32)[None, :, None, None, None] * jnp.ones((2, 2, 1))
    return jnp.concatenate(layer(vae_layers.split(x)), 1)[0, :, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("given", "means"),
    [([5], [5]), ([1, 3], [2]), ([7, 1, 3], [7, 2]), ([1, 3, 5, 9], [2, 7]), ([8, 1, 3, 5, 9], [8, 2, 7])],
)
def test_the_first_of_an_odd_number_of_frames_stays_alone_when_time_is_halved(given, means):
    assert frames_through(vae_layers.Downsample(1, True, jnp.float32), given, 0) == means


@pytest.mark.parametrize(("given", "doubled"), [([5], [5]), ([1, 3], [1, 1, 3, 3]), ([7, 1, 3], [7, 1, 1, 3, 3])])
def test_the_first_of_an_odd_number_of_frames_stays_alone_when_time_is_doubled(given, doubled):
    assert frames_through(vae_layers.Upsample(1, True, jnp.float32), given, 1) == doubled


def test_latents_spread_from_the_first_frame_to_the_first_and_from_the_rest_to_the_rest():
    layer = vae_layers.SpatialNorm(2, 1, 1, 1e-6, jnp.float32)
    layer.shift.kernel[...] = jnp.ones((1, 2))
    z = jnp.arange(3.0)[None, :, None, None, None] * jnp.ones((1, 2, 1))
    x = jnp.ones((1, 9, 2, 4, 2))
    found = np.concatenate(layer(vae_layers.split(x), vae_layers.split(z)), 1)
    assert found.shape == x.shape
    wanted = np.array([0, 1, 1, 1, 1, 2, 2, 2, 2])
    close(found[0, :, 1, 3, 1], wanted / (1 + np.exp(-wanted)))


@pytest.mark.parametrize("frames", [2, 3])
def test_a_convolution_sees_no_later_frame_and_begins_with_the_first_twice(frames):
    layer = vae_layers.CausalConv("c", 1, 1, jnp.float32)
    layer.kernel[...] = jnp.zeros((3, 3, 3, 1, 1)).at[:, 1, 1, 0, 0].set(jnp.array([100.0, 10.0, 1.0]))
    x, new = jnp.arange(1.0, 4)[None, :, None, None, None], {}
    found = layer(vae_layers.split(x[:, :frames]), None, new)
    assert jnp.concatenate(found, 1).ravel().tolist() == [111, 112, 123][:frames]
    assert new["c"].ravel().tolist() == [frames - 1, frames]
    assert layer([x[:, :1]], new, new)[0].item() == 100 * (frames - 1) + 10 * frames + 1
    assert new["c"].ravel().tolist() == [frames, 1]


def test_normalisation_takes_frames_rows_and_columns_together():
    layer = vae_layers.Norm(6, 3, 1e-6, jnp.float32)
    layer.scale[...] = jnp.arange(1.0, 7)
    layer.bias[...] = jnp.arange(6.0)
    x = np.random.default_rng(0).normal(100, 1, (2, 3, 4, 5, 6))
    parts = x.reshape(2, 3, 4, 5, 3, 2)
    centred = parts - parts.mean((1, 2, 3, 5), keepdims=True)
    y = (centred / np.sqrt(np.square(centred).mean((1, 2, 3, 5), keepdims=True) + 1e-6)).reshape(x.shape)
    y = y * np.arange(1, 7) + np.arange(6)
    close(
        np.concatenate(layer(vae_layers.split(jnp.asarray(x, jnp.float32))), 1), y / (1 + np.exp(-y)), tolerance=1e-4
    )  # the input's own rounding


# Tiles.


def settings(wanted):
    found = json.loads(str(wanted["vae.tiled.settings"]))
    sizes = [found[f"tile_sample_min_{side}"] for side in ("height", "width")]
    return vae_tiles.Tiles(*sizes, *(found[f"overlap_{side}"] for side in ("height", "width")))


def test_tiles_of_what_is_the_same_everywhere_join_to_the_whole():
    x = np.random.default_rng(0).normal(size=(1, 2, 10, 14, 3)).astype(np.float32)
    sides = vae_tiles.Tiles(48, 40).decoding(8)
    joined = vae_tiles.tiled(lambda tile: tile.repeat(8, 1).repeat(8, 2), x[0], sides)
    close(joined, x[0].repeat(8, 1).repeat(8, 2))


@pytest.mark.slow
def test_tiles_decode_as_the_reference_s_and_not_as_the_whole(case):
    model, wanted = case
    frames = model.decode(last(wanted["vae.tiled.latents"]), settings(wanted))
    close(frames, last(wanted["vae.tiled.video"]))
    assert np.abs(frames - last(wanted["vae.tiled.untiled"])).max() > 0.01


@pytest.mark.slow
def test_tiles_encode_as_the_reference_s(case):
    model, wanted = case
    mean, logvar = model.encode(last(wanted["vae.tiled.encode_video"]), settings(wanted))
    close(mean, last(wanted["vae.tiled.encode_mean"]))
    assert logvar.shape == mean.shape


def test_a_video_no_larger_than_a_tile_is_decoded_whole(case):
    model, wanted = case
    latents = last(wanted["vae.decode.1.latents"])
    assert (model.tiles.rows, model.tiles.columns) == (32, 48)
    np.testing.assert_array_equal(model.decode(latents, vae_tiles.Tiles(48, 80)), model.decode(latents))
    with pytest.raises(ValueError, match="tiles of 32 .* do not join"):
        model.decode(latents, model.tiles)


def test_published_tiles_are_of_240_by_360():
    rows, columns = vae_tiles.Tiles(240, 360).decoding(8)
    assert rows == vae_tiles.Side(tile=30, stride=25, blend=40, keep=200)
    assert columns == vae_tiles.Side(tile=45, stride=36, blend=72, keep=288)


def test_tiles_that_would_not_join_are_refused():
    with pytest.raises(ValueError, match="tiles of 32 that overlap by 0.1667 do not join"):
        vae_tiles.Tiles(32, 48).decoding(8)


def test_fading_begins_with_the_tile_before():
    before, after = np.zeros((1, 8, 2, 1), np.float32), np.ones((1, 5, 2, 1), np.float32)
    assert vae_tiles.faded(before, after, 1, 4)[0, :, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert vae_tiles.faded(before[:, :2], after, 1, 4)[0, :, 0, 0].tolist() == [0, 0.5, 1, 1, 1]


# Weights.


@pytest.mark.parametrize("part", vae.PARTS)
def test_every_published_tensor_has_its_place(shared, part):
    real = json.loads((shared / "golden/real_shapes/cogvideox_vae.json").read_text())
    arrays = {name: np.broadcast_to(np.float16(0), shape) for name, (shape, _) in real["tensors"].items()}
    config = vae.Config.of(real["config"], "config.json")
    module = vae.abstract(config, part, "bfloat16")
    tables.fill(module, arrays, vae.table(config, part), "vae")
    counts = {"decoder": 123_368_451, "encoder": 92_215_456}
    assert len(arrays) == 436 and sum(counts.values()) == real["parameters"] == 215_583_907
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module))) == counts[part]


def test_the_decoder_alone_reads_no_tensor_of_the_encoder(shared, case, monkeypatch):
    read = []

    class Watched(dict):
        def __getitem__(self, name):
            read.append(name)
            return super().__getitem__(name)

    real = folder.read
    monkeypatch.setattr(folder, "read", lambda *args, **named: Watched(real(*args, **named)))
    model = vae.load_decoder(shared / "golden/cog2b_tiny/vae")
    assert {name.split(".")[0] for name in read} == {"decoder"} and model.encoder is None
    latents = last(case[1]["vae.decode.1.latents"])
    np.testing.assert_array_equal(model.decode(latents), case[0].decode(latents))
    with pytest.raises(ValueError, match="without its encoder"):
        model.encode(np.zeros((1, 1, 8, 8, 3), np.float32))


def test_a_tensor_too_few_is_refused(shared, monkeypatch):
    real = folder.read
    monkeypatch.setattr(
        folder, "read", lambda *args, **named: {k: v for k, v in real(*args, **named).items() if "conv_in" not in k}
    )
    with pytest.raises(ValueError, match="lacks tensors .*decoder.conv_in.conv.bias"):
        vae.load_decoder(shared / "golden/cog2b_tiny/vae")


def test_config_s_fields_are_kept():
    config = vae.Config.of(CONFIG | {"invert_scale_latents": True, "temporal_compression_ratio": 4.0}, "config.json")
    assert (config.scaling_factor, config.invert_scale_latents, config.time_levels, config.shrink) == (0.7, True, 2, 4)
    assert not vae.Config.of(CONFIG, "config.json").invert_scale_latents


def test_a_config_without_a_picture_s_size_has_the_published_tiles():
    config = vae.Config.of({k: v for k, v in CONFIG.items() if not k.startswith("sample_")}, "config.json")
    assert (config.rows, config.columns) == (480, 720)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"act_fn": "gelu"}, "c.json: act_fn is 'gelu', but this network has 'silu'"),
        ({"use_quant_conv": True}, "use_quant_conv is True"),
        ({"temporal_compression_ratio": 3}, "temporal_compression_ratio is 3"),
        ({"up_block_types": ["Other"]}, "up_block_types is"),
        ({"norm_num_groups": 3}, "do not divide into 3 groups"),
        ({"norm_eps": None}, "c.json lacks a size"),
    ],
)
def test_another_network_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        vae.Config.of(CONFIG | change, "c.json")


def test_a_folder_of_another_class_is_refused(shared, tmp_path):
    shutil.copyfile(shared / "golden/cog2b_tiny/transformer/config.json", tmp_path / "config.json")
    with pytest.raises(ValueError, match="AutoencoderKLCogVideoX"):
        vae.load(tmp_path)


@pytest.mark.parametrize("shape", [(1, 0, 6, 8, 4), (1, 3, 6, 8, 3), (0, 3, 6, 8, 4)])
def test_latents_without_frames_or_of_other_channels_are_refused(case, shape):
    with pytest.raises(ValueError, match=r"latents of shape .* rows, columns, 4\] is needed"):
        case[0].decode(np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(1, 0, 8, 8, 3), (1, 1, 8, 8, 4), (1, 1, 8, 12, 3)])
def test_a_video_without_frames_of_other_channels_or_odd_size_is_refused(case, shape):
    with pytest.raises(ValueError, match="a video of shape .* multiples of 8"):
        case[0].encode(np.zeros(shape, np.float32))
