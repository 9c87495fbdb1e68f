"""Arrays of others as addresses: NumPy arrays, torch CPU tensors, any writable buffer.

Invariant: nothing is copied.  What cannot be used in place is refused with a message that
names the array, what was expected and what was found.
"""
from __future__ import annotations

import ctypes
import sys
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from . import _abi
from ._errors import ArgumentError

_TYPES = {"<f4": _abi.F32, "<f8": _abi.F64, "f": _abi.F32, "d": _abi.F64, "<f": _abi.F32, "<d": _abi.F64,
          "torch.float32": _abi.F32, "torch.float64": _abi.F64}
_BITS = {"<u2": _abi.BF16, "H": _abi.BF16, "<H": _abi.BF16, "torch.bfloat16": _abi.BF16}  # in saved states


class View(NamedTuple):
    """Memory of somebody else's array; ``owner`` keeps it alive."""

    name: str
    address: int
    shape: tuple[int, ...]
    dtype: int
    owner: Any

    @property
    def size(self) -> int:
        n = 1
        for extent in self.shape:
            n *= extent
        return n

    @property
    def nbytes(self) -> int:
        return self.size * _abi.ITEM_SIZE[self.dtype]


def named(arrays: Any) -> list[tuple[str, Any]]:
    """(name, array) of a mapping, of pairs, or of plain arrays, which are called "0", "1", ..."""
    if isinstance(arrays, Mapping):
        return [(str(name), array) for name, array in arrays.items()]
    if hasattr(arrays, "shape") or isinstance(arrays, (memoryview, bytearray)):
        raise ArgumentError("expected a list or a mapping of arrays, found one array; write [array]")
    pairs = []
    for i, item in enumerate(arrays):
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            pairs.append(item)
        else:
            pairs.append((str(i), item))
    return pairs


def is_torch(array: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def view(array: Any, name: str, writable: bool, *, bits: bool = False) -> View:
    """The memory of array; ArgumentError when it cannot be used where it lies.  bits: it may
    be bfloat16, outside of torch as unsigned 16-bit words."""
    types = {**_TYPES, **_BITS} if bits else _TYPES
    if is_torch(array):
        made = _view_torch(array, name, types)
    elif hasattr(array, "__array_interface__"):
        made = _view_interface(array, name, writable, types)
    else:
        made = _view_buffer(array, name, types)
    if len(made.shape) > _abi.MAX_RANK:
        raise ArgumentError(f"{name}: at most {_abi.MAX_RANK} dimensions are possible, found shape {made.shape}")
    if made.size and made.address % _abi.ITEM_SIZE[made.dtype]:
        raise ArgumentError(f"{name}: its memory is not aligned to its elements; pass a copy")
    return made


def _dtype(found: str, name: str, types: Mapping[str, int]) -> int:
    if found not in types:
        raise ArgumentError(f"{name}: expected float32 or float64 in this machine's byte order, found {found}")
    return types[found]


def _view_torch(tensor: Any, name: str, types: Mapping[str, int]) -> View:
    if tensor.device.type != "cpu":
        raise ArgumentError(f"{name}: expected a CPU tensor, found device {tensor.device}; move it with .cpu()")
    if str(tensor.layout) != "torch.strided":
        raise ArgumentError(f"{name}: expected a dense tensor, found layout {tensor.layout}; use .to_dense()")
    dtype = _dtype(str(tensor.dtype), name, types)
    if not tensor.is_contiguous():
        raise ArgumentError(f"{name}: not contiguous (shape {tuple(tensor.shape)}, strides {tensor.stride()}); "
                            "pass .contiguous()")
    return View(name, tensor.data_ptr(), tuple(tensor.shape), dtype, tensor)


def _view_interface(array: Any, name: str, writable: bool, types: Mapping[str, int]) -> View:
    fields = array.__array_interface__
    dtype = _dtype(fields["typestr"], name, types)
    shape = tuple(fields["shape"])
    strides = fields.get("strides")
    if strides is not None and not _row_major(shape, strides, _abi.ITEM_SIZE[dtype]):
        raise ArgumentError(f"{name}: not contiguous (shape {shape}, strides {tuple(strides)} bytes); "
                            "pass numpy.ascontiguousarray of it")
    address, read_only = fields["data"]
    if writable and read_only:
        raise ArgumentError(f"{name}: read-only; it is updated in place")
    return View(name, address, shape, dtype, array)


def _row_major(shape: Sequence[int], strides: Sequence[int], step: int) -> bool:
    if 0 in shape:
        return True
    for extent, stride in zip(reversed(shape), reversed(strides)):
        if extent != 1 and stride != step:
            return False
        step *= extent
    return True


def _view_buffer(array: Any, name: str, types: Mapping[str, int]) -> View:
    try:
        buffer = memoryview(array)
    except TypeError:
        raise ArgumentError(f"{name}: expected a NumPy array, a torch CPU tensor or a buffer, "
                            f"found {type(array).__name__}") from None
    dtype = _dtype(buffer.format, name, types)
    if not buffer.c_contiguous:
        raise ArgumentError(f"{name}: not contiguous (shape {buffer.shape}, strides {buffer.strides} bytes)")
    if buffer.readonly:
        raise ArgumentError(f"{name}: read-only buffer")
    shape = tuple(buffer.shape or ())
    if 0 in shape:
        return View(name, 0, shape, dtype, buffer)
    held = (ctypes.c_char * buffer.nbytes).from_buffer(buffer)
    return View(name, ctypes.addressof(held), shape, dtype, held)


def one_dtype(views: Sequence[View]) -> int:
    """The type that all have; float32 of none."""
    for other in views[1:]:
        if other.dtype != views[0].dtype:
            raise ArgumentError(f"{other.name}: expected {_abi.DTYPES[views[0].dtype]} like {views[0].name}, "
                                f"found {_abi.DTYPES[other.dtype]}; use one optimizer for each type")
    return views[0].dtype if views else _abi.F32


def same_form(found: View, expected: View) -> None:
    if found.shape != expected.shape:
        raise ArgumentError(f"{found.name}: expected shape {expected.shape}, found {found.shape}")
    if found.dtype != expected.dtype:
        raise ArgumentError(f"{found.name}: expected {_abi.DTYPES[expected.dtype]}, found {_abi.DTYPES[found.dtype]}")


def disjoint(written: Iterable[View], read: Iterable[View] = ()) -> None:
    """No written memory may overlap any other; what is only read may."""
    spans = [(v.address, v.address + v.nbytes, True, v.name) for v in written if v.nbytes]
    spans += [(v.address, v.address + v.nbytes, False, v.name) for v in read if v.nbytes]
    spans.sort()
    reached, reached_written = 0, 0  # ends of all spans so far, and of the written ones
    last, last_written = "", ""
    for begin, end, is_written, name in spans:
        if begin < reached_written or (is_written and begin < reached):
            other = last_written if begin < reached_written else last
            raise ArgumentError(f"{name}: its memory overlaps that of {other}")
        if end > reached:
            reached, last = end, name
        if is_written and end > reached_written:
            reached_written, last_written = end, name
