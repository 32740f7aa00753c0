import jax
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

    with pytest.raises(ValueError, match="FILE: fc.weight: too odd"):
        tables.fill(layer(), arrays(), [tables.Row("kernel", ("fc.weight",), refuse), *TABLE[1:]], origin="FILE")
