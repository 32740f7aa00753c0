"""Reads tensors from files that torch.save wrote, without torch and without running anything that a file asks for.

Both formats: the zip of torch >= 1.6 and the five pickles with raw storages before it. The pickle is read by the small
stack machine below, not by `pickle`: it knows tuples, dicts, numbers, strings and the two functions that rebuild a
tensor, and it calls nothing, so that any other name is refused before it could act.
"""

import io
import math
import mmap
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the legacy format
NESTED = ("state_dict", "model", "net")  # where training checkpoints keep the weights
DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


@dataclass(frozen=True)
class Global:
    """A name that the pickle mentions. It stands for itself: nothing is imported."""

    module: str
    name: str


@dataclass(frozen=True)
class Storage:
    """A run of numbers that tensors look into."""

    dtype: np.dtype
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides are counted in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


ORDERED_DICT = Global("collections", "OrderedDict")
REBUILD_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = Global("torch._utils", "_rebuild_parameter")
ALLOWED = {ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER} | {Global("torch", name) for name in DTYPES}


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The file's tensors by name, in the file's order, each contiguous and of its own dtype (bfloat16: ml_dtypes').

    A training checkpoint gives what lies under `state_dict`, `model` or `net`. Anything but tensors, a truncated or a
    big-endian file is a ValueError that names the file.
    """
    path = Path(path)
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise ValueError(f"{path} is empty; fetch it again.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _read_zip(path) if data[:4] == b"PK\x03\x04" else _read_legacy(data)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
                raise ValueError(f"{path} is a truncated or damaged torch file ({error}); fetch it again.") from error
            except (IndexError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError) as error:
                raise ValueError(f"{path} is no torch file, or a damaged one; fetch it again.") from error


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} members are called data.pkl where torch writes one.")
        root = pickles[0].removesuffix("/data.pkl")

        def member(name: str) -> bytes:
            if name not in names:
                raise ValueError(f"member {name} is missing; fetch the file again.")
            if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"member {name} is compressed, which torch never does.")
            return archive.read(name)

        if f"{root}/byteorder" in names and member(f"{root}/byteorder").strip() != b"little":
            raise ValueError("it was written on a big-endian machine; save it again on a little-endian one.")
        tree = _unpickle(io.BytesIO(member(pickles[0])))
        return _tensors(tree, lambda storage: _numbers(storage, member(f"{root}/data/{storage.key}")))


def _read_legacy(data: mmap.mmap) -> dict[str, np.ndarray]:
    if data[:5] != b"\x80\x02\x8a\x0al":
        raise ValueError("it is no file of torch.save (neither its zip nor its older format begins so).")
    magic, protocol, facts = _unpickle(data), _unpickle(data), _unpickle(data)
    if magic != MAGIC or protocol != PROTOCOL:
        raise ValueError(f"its protocol is {protocol}; {PROTOCOL} is the one that can be read.")
    if facts["little_endian"] is not True:
        raise ValueError("it was written on a big-endian machine; save it again on a little-endian one.")
    tree, keys = _unpickle(data), _unpickle(data)
    position, places = data.tell(), {}
    widths = {storage.key: storage.dtype.itemsize for storage in _storages(tree)}
    for key in keys:
        if key not in widths:
            raise ValueError(f"no tensor uses storage {key!r}, whose size is then unknown.")
        count = int.from_bytes(data[position : position + 8], "little", signed=True)
        end = position + 8 + count * widths[key]
        if count < 0 or end > len(data):
            raise ValueError(f"it is truncated: storage {key!r} ends at byte {end}, the file at {len(data)}.")
        places[key] = (position + 8, end)
        position = end
    return _tensors(tree, lambda storage: _numbers(storage, data[slice(*places[storage.key])]))


def _numbers(storage: Storage, raw: bytes) -> np.ndarray:
    if len(raw) != storage.count * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key!r} has {len(raw)} bytes, {storage.count} x {storage.dtype} expected.")
    return np.frombuffer(raw, storage.dtype)


def _weights(tree: Any) -> dict[str, Tensor]:
    """The dict of tensors inside what the pickle holds."""
    for key in NESTED:
        if isinstance(tree, dict) and isinstance(tree.get(key), dict):
            tree = tree[key]
    if not isinstance(tree, dict):
        raise ValueError(f"it holds a {type(tree).__name__.lower()}, no dict of tensors; save model.state_dict().")
    for name, value in tree.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(f"entry {name!r} is a {type(value).__name__}, not a tensor; save model.state_dict().")
    return tree


def _storages(tree: Any) -> list[Storage]:
    """Every storage that anything in the file uses: the sizes of the legacy format's storages follow from them."""
    found, todo = [], [tree]
    seen: set[int] = set()
    while todo:
        item = todo.pop()
        if isinstance(item, Tensor):
            found.append(item.storage)
        elif isinstance(item, dict | list | tuple) and id(item) not in seen:
            seen.add(id(item))
            todo += item.values() if isinstance(item, dict) else item
    return found


def _tensors(tree: Any, numbers: Callable[[Storage], np.ndarray]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    flat: dict[Storage, np.ndarray] = {}  # tensors may share one
    for name, tensor in _weights(tree).items():
        base = flat[tensor.storage] if tensor.storage in flat else numbers(tensor.storage)
        flat[tensor.storage] = base
        arrays[name] = _view(name, tensor, base)
    return arrays


def _view(name: str, tensor: Tensor, base: np.ndarray) -> np.ndarray:
    """Saved tensors may be transposed views: a plain reshape would give wrong weights of the right shape."""
    size, stride = tensor.size, tensor.stride
    if len(size) != len(stride) or min((tensor.offset, *size, *stride)) < 0:
        raise ValueError(f"tensor {name} has size {size}, stride {stride} and offset {tensor.offset}.")
    last = 1 + sum((d - 1) * s for d, s in zip(size, stride, strict=True)) if all(size) else 0
    if (
        tensor.offset + last > base.size or math.prod(size) > base.size
    ):  # the second: strides of 0 may ask for terabytes
        raise ValueError(f"tensor {name} of size {size} reaches past its storage of {base.size} numbers.")
    steps = [s * base.itemsize for s in stride]
    return np.lib.stride_tricks.as_strided(base[tensor.offset :], size, steps, writeable=False).copy()


def _unpickle(file: Any) -> Any:
    """One pickle from the file's position on, which is left behind its end."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    value: Any
    for opcode, value, _ in pickletools.genops(file):
        match opcode.name:
            case "PROTO":
                pass
            case "MARK":
                marks.append(len(stack))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case (
                "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING"
            ):
                stack.append(value)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                length = int(opcode.name[-1])
                stack[-length:] = [(*stack[-length:],)]
            case "APPEND":
                item = stack.pop()
                _only(list, stack[-1]).append(item)
            case "APPENDS":
                items = since_mark()
                _only(list, stack[-1]).extend(items)
            case "SETITEM":
                key, item = stack.pop(-2), stack.pop()
                _only(dict, stack[-1])[key] = item
            case "SETITEMS":
                items = since_mark()
                _only(dict, stack[-1]).update(zip(items[::2], items[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "GLOBAL":
                stack.append(_global(*value.split(" ", 1)))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_rebuild(stack.pop(), arguments))
            case "BUILD":
                stack.pop()  # an OrderedDict's attributes: torch keeps a table of versions there
                _only(dict, stack[-1])
            case "STOP":
                (result,) = stack
                return result
            case other:
                raise ValueError(f"its pickle uses {other}, which no file of tensors needs.")
    raise ValueError("its pickle has no end.")


def _only(kind: type, item: Any) -> Any:
    if type(item) is not kind:
        raise ValueError(
            f"its pickle treats a {type(item).__name__} as a {kind.__name__}, which no file of torch does."
        )
    return item


def _global(module: str, name: str) -> Global:
    found = Global(module, name)
    if found not in ALLOWED:
        raise ValueError(f"it asks for {module}.{name}, but a weight file may hold tensors alone; it was not run.")
    return found


def _storage(identity: Any) -> Storage:
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise ValueError("a persistent id is not that of a storage.")
    kind, key, _, count = identity[1:5]
    if not isinstance(kind, Global) or kind.name not in DTYPES or not isinstance(key, str) or type(count) is not int:
        raise ValueError("a storage has no dtype, key or count.")
    if identity[5:] not in ((), (None,)):
        raise ValueError(f"storage {key!r} is a view of another one, as very old files have it; save the file again.")
    return Storage(DTYPES[kind.name], key, count)


def _rebuild(function: Any, arguments: Any) -> Any:
    if function == ORDERED_DICT and arguments == ():
        return {}
    if function == REBUILD_PARAMETER and isinstance(arguments, tuple) and isinstance(arguments[0], Tensor):
        return arguments[0]
    if function == REBUILD_TENSOR and isinstance(arguments, tuple) and len(arguments) >= 4:
        storage, offset, size, stride = arguments[:4]
        whole = type(offset) is int and all(
            isinstance(n, tuple) and all(type(i) is int for i in n) for n in (size, stride)
        )
        if isinstance(storage, Storage) and whole:
            return Tensor(storage, offset, size, stride)
    raise ValueError("it calls something with arguments that rebuild no tensor.")
