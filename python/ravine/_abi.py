"""The C ABI as ctypes sees it: include/ravine/{core,param,tensor,optim}.h, said once.

Nothing else in the package knows a struct or a prototype.  tests/python/abi.py compares
every size, offset and name here with what a C compiler makes of the headers.
"""
from __future__ import annotations

import ctypes
import os
import pathlib
from ctypes import (
    CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint, c_uint64,
    c_void_p)
from typing import Any

ABI = 3
MAX_RANK, NAME_SIZE, PARAM_TEXT_SIZE = 5, 64, 256
F32, F64, BF16, I32, U8 = range(5)
DTYPES = ("f32", "f64", "bf16", "i32", "u8")
ITEM_SIZE = (4, 8, 2, 4, 1)
ROLES = ("hidden", "embedding", "input", "head", "conv", "first_conv", "norm", "bias", "point")
STATUS = ("ok", "argument", "range", "unknown", "shape", "io", "format", "mismatch", "memory", "numeric",
          "unsupported", "interrupted", "busy")
REAL, INT, BOOL, CHOICE, TEXT = range(5)  # types of a parameter
OPEN_LO, OPEN_HI, LOG = 1, 2, 4
PROBE_GRADIENT, PROBE_SAMPLED = range(2)  # those of factors need a layout, which is not offered here


class CError(Structure):
    _fields_ = [("status", c_int), ("message", c_char * 1024)]


class CShape(Structure):
    _fields_ = [("rank", c_int), ("dim", c_int64 * MAX_RANK)]


class CTensor(Structure):
    _fields_ = [("name", c_char * NAME_SIZE), ("role", c_int), ("shape", CShape), ("offset", c_int64),
                ("parts", c_int)]


class CArray(Structure):
    _fields_ = [("name", c_char * (2 * NAME_SIZE)), ("dtype", c_int), ("shape", CShape), ("data", c_void_p)]


class COptions(Structure):
    _fields_ = [("method", c_char_p), ("params", c_char_p), ("rules", c_char_p), ("dtype", c_int),
                ("pool", c_void_p), ("seed", c_uint64), ("state_dtype", c_int), ("wrappers", c_char_p),
                ("allocator", c_void_p)]


class CRow(Structure):
    _fields_ = [("tensor", c_char_p), ("role", c_char_p), ("method", c_char_p), ("shape", CShape),
                ("lr", c_double), ("weight_decay", c_double), ("bytes", c_size_t)]


class CParam(Structure):
    _fields_ = [("name", c_char_p), ("type", c_int), ("offset", c_size_t), ("lo", c_double), ("hi", c_double),
                ("flags", c_uint), ("choices", c_char_p), ("initial", c_char_p), ("help", c_char_p)]


class CParamTable(Structure):
    _fields_ = [("owner", c_char_p), ("rows", POINTER(CParam)), ("count", c_size_t), ("size", c_size_t)]


class CMethodInfo(Structure):
    _fields_ = [("name", c_char_p), ("version", c_int), ("title", c_char_p), ("equations", c_char_p),
                ("paper", c_char_p), ("reference", c_char_p), ("deviations", c_char_p),
                ("params", POINTER(CParamTable)), ("state", c_char_p), ("bytes_per_parameter", c_double)]


Factor = CFUNCTYPE(c_double, c_void_p, c_int64, c_int64)


class CScheduleInfo(Structure):
    _fields_ = [("name", c_char_p), ("title", c_char_p), ("equation", c_char_p), ("reference", c_char_p),
                ("params", POINTER(CParamTable)), ("factor", Factor)]


# (context, probe, w, g, loss, err) -> status
Closure = CFUNCTYPE(c_int, c_void_p, c_int, POINTER(c_void_p), POINTER(c_void_p), POINTER(c_double), POINTER(CError))

_pointers, _error = POINTER(c_void_p), POINTER(CError)
_out = POINTER(c_void_p)
_methods, _schedules = POINTER(CMethodInfo), POINTER(CScheduleInfo)

# name: (result, arguments).  A c_int result before an rv_error is a status.
PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "rv_optim_abi": (c_int, ()),
    "rv_version": (c_char_p, ()),
    "rv_pool_new": (c_int, (_out, c_int, _error)),
    "rv_pool_free": (None, (c_void_p,)),
    "rv_optimizer_new": (c_int, (_out, POINTER(COptions), POINTER(CTensor), c_int, _pointers, _error)),
    "rv_optimizer_free": (None, (c_void_p,)),
    "rv_optimizer_step": (c_int, (c_void_p, _pointers, _pointers, _error)),
    "rv_optimizer_wants_closure": (c_bool, (c_void_p,)),
    "rv_optimizer_step_closure": (c_int, (c_void_p, _pointers, _pointers, Closure, c_void_p, _error)),
    "rv_optimizer_steps": (c_int64, (c_void_p,)),
    "rv_optimizer_set_lr_factor": (None, (c_void_p, c_double)),
    "rv_optimizer_set": (c_int, (c_void_p, c_char_p, c_double, _error)),
    "rv_optimizer_get": (c_int, (c_void_p, c_char_p, POINTER(c_double), _error)),
    "rv_optimizer_evaluation_weights": (c_int, (c_void_p, _pointers, _pointers, POINTER(c_bool))),
    "rv_optimizer_state": (c_int, (c_void_p, POINTER(CArray), c_int)),
    "rv_optimizer_restore": (c_int, (c_void_p, POINTER(CArray), c_int, _error)),
    "rv_optimizer_bytes": (c_size_t, (c_void_p,)),
    "rv_optimizer_rows": (c_int, (c_void_p, POINTER(CRow), c_int)),
    "rv_optimizer_config": (c_void_p, (c_void_p,)),
    "rv_method_at": (_methods, (c_int,)),
    "rv_method_find": (_methods, (c_char_p,)),
    "rv_wrapper_at": (_methods, (c_int,)),
    "rv_wrapper_find": (_methods, (c_char_p,)),
    "rv_schedule_at": (_schedules, (c_int,)),
    "rv_schedule_find": (_schedules, (c_char_p,)),
    "rv_params_init": (None, (POINTER(CParamTable), c_void_p)),
    "rv_params_set": (c_int, (POINTER(CParamTable), c_void_p, c_char_p, c_char_p, _error)),
    "rv_optimizer_save": (c_int, (c_void_p, c_char_p, _error)),
    "rv_optimizer_load": (c_int, (c_void_p, c_char_p, _error)),
}


def _load() -> ctypes.CDLL:
    """The library inside the package, or the one that RAVINE_LIBRARY names."""
    path = os.environ.get("RAVINE_LIBRARY") or str(pathlib.Path(__file__).parent / "_lib" / "libravine.so")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{error}; install the wheel (make wheel), or name a library by RAVINE_LIBRARY") from None
    for name, (result, arguments) in PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"{path} has no {name}: it is another version of Ravine") from None
        function.restype, function.argtypes = result, arguments
    if library.rv_optim_abi() != ABI:
        raise ImportError(f"{path} has optimizer ABI {library.rv_optim_abi()}, this package needs {ABI}")
    return library


lib = _load()
# Of the C library: what rv_optimizer_config returns is the caller's to free.
_free = ctypes.CDLL(None).free
_free.restype, _free.argtypes = None, (c_void_p,)


def take_text(address: int | None) -> str:
    """The text at an address that is ours to free."""
    if not address:
        raise MemoryError("out of memory")
    try:
        return ctypes.string_at(address).decode()
    finally:
        _free(address)


def text(value: bytes | None) -> str:
    return value.decode() if value else ""


def shape_of(shape: CShape) -> tuple[int, ...]:
    return tuple(shape.dim[: shape.rank])


def to_shape(shape: tuple[int, ...]) -> CShape:
    return CShape(len(shape), (c_int64 * MAX_RANK)(*shape))


def addresses(values: Any) -> Any:
    """A C array of addresses, never of length zero."""
    return (c_void_p * max(len(values), 1))(*values)
