"""Files as torch.save writes them, in both formats, with stand-ins for its names, since torch is not installed."""

import collections
import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile

from gvvad_jax.weights import torch_file


class Storage:
    def __init__(self, kind, array):
        self.kind, self.array, self.key = kind, array, str(id(array))


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, size, stride, False, collections.OrderedDict())


@contextlib.contextmanager
def names_of_torch():
    """Modules that a pickle may name, as long as it is written."""
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


KINDS = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}


def save(path, arrays, write=zipped):
    """A state dict of NumPy arrays as a file."""
    with names_of_torch():
        state = {name: contiguous(KINDS[a.dtype.str[1:]], a) for name, a in arrays.items()}
        path.write_bytes(write(collections.OrderedDict(state)))
    return path
