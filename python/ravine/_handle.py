"""One rv_optimizer: names, shapes and addresses.  Invariant: it knows no array library, and
its memory lives as long as anything that looks into it.
"""
from __future__ import annotations

import ctypes
import fnmatch
import hashlib
import json
import math
import os
import weakref
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from . import _abi
from ._abi import lib
from ._errors import ArgumentError, check, error


class Tensor(NamedTuple):
    """What the library is told of a tensor."""

    name: str
    role: str
    shape: tuple[int, ...]
    parts: int = 0


class Row(NamedTuple):
    """Which method a tensor got, as the rules decided."""

    tensor: str
    role: str
    method: str
    shape: tuple[int, ...]
    lr: float
    weight_decay: float
    bytes: int


class Memory(NamedTuple):
    """A named array of the state, or one to restore from."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    address: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * _abi.ITEM_SIZE[self.dtype]


# What a closure of the library is turned into: (sampled, addresses of w, addresses of g) -> loss.
Probe = Callable[[bool, "list[int]", "list[int]"], float]


def short_name(name: str) -> str:
    """A name that the library has room for: long ones keep their end and get a hash."""
    room = _abi.NAME_SIZE - 1
    data = name.encode()
    if len(data) <= room:
        return name
    mark = hashlib.sha256(data).hexdigest()[:8]
    return mark + ".." + data[-(room - len(mark) - 2):].decode(errors="ignore")


def find_by_glob(table: Mapping[str, Any] | None, name: str) -> Any:
    """The value of the first pattern that matches name, or None."""
    for pattern, value in (table or {}).items():
        if fnmatch.fnmatchcase(name, pattern):
            return value
    return None


def describe(name: str, shape: tuple[int, ...], roles: Mapping[str, str] | None,
             parts: Mapping[str, int] | None) -> Tensor:
    """A tensor with the role that roles give it, or else the usual one of its rank."""
    role = find_by_glob(roles, name)
    if role is None:
        role = "bias" if len(shape) < 2 else "hidden" if len(shape) == 2 else "conv"
    if role not in _abi.ROLES:
        raise ArgumentError(f"{name}: no role is called {role!r}; there are {', '.join(_abi.ROLES)}")
    return Tensor(name, role, shape, int(find_by_glob(parts, name) or 0))


# ---- hyperparameters as JSON ------------------------------------------------


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return hyperparameters(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name}: expected a number, a truth value or a word, found {value!r}") from None
    return number if math.isfinite(number) else str(number)


def hyperparameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values; betas=(0.9, 0.95) is another way to write beta1=0.9, beta2=0.95."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name == "betas":
            for i, beta in enumerate(value, 1):
                if f"beta{i}" in given:
                    raise ArgumentError(f"betas and beta{i} are both given")
                made[f"beta{i}"] = _plain("betas", beta)
        else:
            made[name] = _plain(name, value)
    return made


def _json(value: Any) -> bytes | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value)).encode()


# ---- the handle --------------------------------------------------------------


class Pool:
    """Worker threads; None stands for one, the calling thread."""

    def __init__(self, threads: int) -> None:
        self.address = None
        if threads == 1:
            return
        out, err = ctypes.c_void_p(), _abi.CError()
        check(lib.rv_pool_new(out, threads, err), err)
        self.address = out.value
        weakref.finalize(self, lib.rv_pool_free, out.value)


class Handle:
    def __init__(self, tensors: Sequence[Tensor], dtype: int, w: Sequence[int], *, method: str,
                 params: Mapping[str, Any] | None = None, rules: Any = None, wrappers: Any = None,
                 state_dtype: str | None = None, seed: int = 0, pool: Pool | None = None) -> None:
        self.tensors, self.dtype, self.pool = list(tensors), dtype, pool
        if state_dtype not in (None, "bf16"):
            raise ArgumentError(f"state_dtype: expected None or 'bf16', found {state_dtype!r}")
        options = _abi.COptions(
            method.encode(), _json(dict(params)) if params else None, _json(rules), dtype,
            pool.address if pool else None, seed, _abi.BF16 if state_dtype else dtype, _json(wrappers), None)
        listed = (_abi.CTensor * max(len(tensors), 1))()
        for row, tensor in zip(listed, tensors):
            row.name, row.role = short_name(tensor.name).encode(), _abi.ROLES.index(tensor.role)
            row.shape, row.parts = _abi.to_shape(tensor.shape), tensor.parts
        out, err = ctypes.c_void_p(), _abi.CError()
        check(lib.rv_optimizer_new(out, options, listed, len(tensors), _abi.addresses(w), err), err)
        self.address = out.value
        weakref.finalize(self, lib.rv_optimizer_free, out.value)

    # -- stepping

    def step(self, w: Sequence[int], g: Sequence[int]) -> None:
        err = _abi.CError()
        check(lib.rv_optimizer_step(self.address, _abi.addresses(w), _abi.addresses(g), err), err)

    def wants_closure(self) -> bool:
        return bool(lib.rv_optimizer_wants_closure(self.address))

    def step_closure(self, w: Sequence[int], g: Sequence[int], probe: Probe) -> None:
        """A step that may call probe; what probe raises is raised here."""
        raised: list[BaseException] = []
        count = len(self.tensors)

        def call(_context: Any, kind: int, at: Any, into: Any, loss: Any, _err: Any) -> int:
            try:
                loss[0] = probe(kind == _abi.PROBE_SAMPLED, [at[i] or 0 for i in range(count)],
                                [into[i] or 0 for i in range(count)])
                return 0
            except BaseException as exception:  # noqa: B036  raised again below, outside of the library
                raised.append(exception)
                return _abi.STATUS.index("interrupted")

        err = _abi.CError()
        status = lib.rv_optimizer_step_closure(self.address, _abi.addresses(w), _abi.addresses(g),
                                               _abi.Closure(call), None, err)
        if raised:
            raise raised[0]
        check(status, err)

    def evaluation_weights(self, w: Sequence[int], dst: Sequence[int]) -> bool:
        """Copies them to dst; whether they differ from w."""
        differs = ctypes.c_bool()
        status = lib.rv_optimizer_evaluation_weights(self.address, _abi.addresses(w), _abi.addresses(dst), differs)
        if status:
            raise error(_abi.STATUS[status], "evaluation weights")
        return differs.value

    # -- values

    @property
    def steps(self) -> int:
        return int(lib.rv_optimizer_steps(self.address))

    @property
    def bytes(self) -> int:
        return int(lib.rv_optimizer_bytes(self.address))

    def set_lr_factor(self, factor: float) -> None:
        lib.rv_optimizer_set_lr_factor(self.address, factor)

    def set(self, name: str, value: float) -> None:
        err = _abi.CError()
        check(lib.rv_optimizer_set(self.address, name.encode(), float(value), err), err)

    def get(self, name: str) -> float:
        value, err = ctypes.c_double(), _abi.CError()
        check(lib.rv_optimizer_get(self.address, name.encode(), value, err), err)
        return value.value

    def rows(self) -> list[Row]:
        count = len(self.tensors)
        rows = (_abi.CRow * max(count, 1))()
        lib.rv_optimizer_rows(self.address, rows, count)
        return [Row(tensor.name, _abi.text(r.role), _abi.text(r.method), _abi.shape_of(r.shape), r.lr,
                    r.weight_decay, r.bytes) for tensor, r in zip(self.tensors, rows)]

    def config(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(_abi.take_text(lib.rv_optimizer_config(self.address)))
        return made

    # -- state

    def state(self) -> list[Memory]:
        """Every array of the state where it lies; memory() makes it something to look into."""
        count = lib.rv_optimizer_state(self.address, None, 0)
        arrays = (_abi.CArray * count)()
        lib.rv_optimizer_state(self.address, arrays, count)
        return [Memory(a.name.decode(), a.dtype, _abi.shape_of(a.shape), a.data or 0) for a in arrays]

    def memory(self, array: Memory) -> Any:
        """A buffer over an array of the state, which keeps the optimizer alive."""
        buffer: Any = (ctypes.c_char * array.nbytes).from_address(array.address)
        buffer._owner = self
        return buffer

    def restore(self, arrays: Sequence[Memory]) -> None:
        """All of the state from arrays, or, when a name, shape or type does not fit, nothing."""
        listed = (_abi.CArray * max(len(arrays), 1))()
        for row, array in zip(listed, arrays):
            row.name, row.dtype, row.shape, row.data = (array.name.encode(), array.dtype,
                                                        _abi.to_shape(array.shape), array.address)
        err = _abi.CError()
        check(lib.rv_optimizer_restore(self.address, listed, len(arrays), err), err)

    def save(self, path: str | os.PathLike[str]) -> None:
        err = _abi.CError()
        check(lib.rv_optimizer_save(self.address, os.fsencode(path), err), err)

    def load(self, path: str | os.PathLike[str]) -> None:
        err = _abi.CError()
        check(lib.rv_optimizer_load(self.address, os.fsencode(path), err), err)


def table(rows: Sequence[Row]) -> str:
    """Rows as text, one tensor a line."""
    cells: list[tuple[str, ...]] = [("tensor", "role", "method", "shape", "lr", "weight_decay", "bytes")]
    for row in rows:
        cells.append((row.tensor, row.role, row.method, str(list(row.shape)),
                      *("-" if math.isnan(x) else f"{x:g}" for x in (row.lr, row.weight_decay)), str(row.bytes)))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)
