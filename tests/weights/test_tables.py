import jax
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from gvvad_jax.weights import tables

TABLE = [
    tables.Row("kernel", ("fc.weight",), np.transpose),
    tables.Row("bias", ("fc.bias",)),
    tables.Row(None, ("steps",)),
]


def arrays():
    return {"fc.weight": np.arange(6.0).reshape(2, 3), "fc.bias": np.ones(2), "steps": np.array(7)}


def layer():
    return nnx.eval_shape(lambda: nnx.Linear(3, 2, rngs=nnx.Rngs(0)))


def test_an_abstract_module_is_filled_in_its_own_dtype():
    model = layer()
    tables.fill(model, arrays(), TABLE, origin="FILE")
    assert model.kernel.dtype == np.float32
    np.testing.assert_array_equal(jax.jit(lambda m, x: m(x))(model, np.ones((1, 3), np.float32)), [[4, 13]])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"extra": np.ones(1)}, "FILE has tensors that this network does not know: extra"),
        ({"fc.bias": None}, "FILE lacks tensors that this network needs: fc.bias"),
        ({"fc.bias": np.ones(3)}, r"FILE: fc.bias gives shape \(3,\) where \(2,\) is needed"),
    ],
)
def test_nothing_is_left_over_and_shapes_agree(change, sentence):
    changed = {name: array for name, array in (arrays() | change).items() if array is not None}
    with pytest.raises(ValueError, match=sentence):
        tables.fill(layer(), changed, TABLE, origin="FILE")


def test_a_table_must_name_every_variable():
    with pytest.raises(ValueError, match="does not match the network at .'bias'"):
        tables.fill(layer(), {"fc.weight": np.ones((2, 3))}, TABLE[:1], origin="FILE")


def test_a_failing_row_names_its_tensors():
    def refuse(array):
        raise ValueError("too odd")

    with pytest.raises(ValueError, match=r"FILE: fc.weight \(2, 3\) do not make a kernel of \(3, 2\) \(too odd\)"):
        tables.fill(layer(), arrays(), [tables.Row("kernel", ("fc.weight",), refuse), *TABLE[1:]], origin="FILE")


def test_stacked_layers_join_their_parts_and_take_the_wanted_dtype_first():
    class Layers(nnx.Module):
        def __init__(self):
            self.kernel = nnx.Param(np.zeros((2, 3, 4), ml_dtypes.bfloat16))
            self.scale = nnx.Param(np.zeros((2, 3), np.float32))

    random = np.random.default_rng(0)
    names = [f"layers.{i}.{part}" for i in range(2) for part in ("q", "k")]
    given = {name: random.normal(size=(2, 3)).astype(np.float32) for name in names}
    given |= {f"layers.{i}.norm": np.arange(3, dtype=np.float16) + i for i in range(2)}
    seen = []
    kernel = tables.stacked("kernel", "layers", 2, ["q", "k"])
    watched = tables.Row("kernel", kernel.sources, lambda *arrays: (seen.extend(arrays), kernel.make(*arrays))[1])
    model = Layers()
    tables.fill(model, given, [watched, tables.stacked("scale", "layers", 2, ["norm"])], origin="FILE")
    assert {array.dtype for array in seen} == {np.dtype(ml_dtypes.bfloat16)}
    wanted = np.stack([np.concatenate([given[f"layers.{i}.{part}"] for part in "qk"]).T for i in range(2)])
    np.testing.assert_array_equal(model.kernel[...], wanted.astype(ml_dtypes.bfloat16))
    assert model.scale.dtype == np.float32 and model.scale[...].tolist() == [[0, 1, 2], [1, 2, 3]]


@pytest.mark.parametrize("wrong", [np.ones((2, 3, 1), np.float32), np.ones((2, 3), np.int32)])
def test_layers_that_do_not_stack_name_a_tensor_and_shapes(wrong):
    class Layers(nnx.Module):
        def __init__(self):
            self.kernel = nnx.Param(np.zeros((2, 3, 2), np.float32))

    given = {"layers.0.q": np.ones((2, 3), np.float32), "layers.1.q": wrong}
    row = tables.stacked("kernel", "layers", 2, ["q"])
    if wrong.ndim == 2:
        given["layers.0.q"], given["layers.1.q"] = wrong, given["layers.0.q"]
    with pytest.raises(ValueError, match=r"FILE: layers.0.q \(2, 3\), layers.1.q .* do not make a kernel"):
        tables.fill(Layers(), given, [row], origin="FILE")
