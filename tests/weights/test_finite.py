import pytest
from flax import nnx

from gvvad_jax.weights import finite


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_parameter_that_is_no_number_is_refused_with_the_folder(value):
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    finite.require(model, "some/folder")
    model.bias.set_value(model.bias.get_value().at[1].set(value))
    with pytest.raises(ValueError, match="some/folder: its weights hold NaN or infinite values; fetch them again."):
        finite.require(model, "some/folder")
