"""What the library declares of itself: methods, wrappers and schedules, as data and as text."""
from __future__ import annotations

import ctypes
import difflib
import math
from typing import Any, Callable, Iterator, NamedTuple

from . import _abi
from ._abi import lib, text
from ._errors import ArgumentError, check


class Param(NamedTuple):
    """A hyperparameter: its default as text, what is allowed, and what it means."""

    name: str
    default: str
    allowed: str
    help: str


class Method(NamedTuple):
    """Everything that is declared of a method or a wrapper."""

    name: str
    version: int
    title: str
    equations: str
    paper: str
    reference: str
    deviations: str
    state: str
    bytes_per_parameter: float  # of float32 state; NaN: depends on shape
    params: tuple[Param, ...]


class Schedule(NamedTuple):
    """Everything that is declared of a schedule."""

    name: str
    title: str
    equation: str
    reference: str
    params: tuple[Param, ...]


def _walk(at: Callable[[int], Any]) -> Iterator[Any]:
    i = 0
    while at(i):
        yield at(i).contents
        i += 1


def _number(x: float) -> str:
    return f"{x:g}"


def _allowed(row: _abi.CParam) -> str:
    if row.type == _abi.CHOICE:
        return text(row.choices)
    if row.type not in (_abi.REAL, _abi.INT):
        return "true|false" if row.type == _abi.BOOL else "text"
    opening = "(" if row.flags & _abi.OPEN_LO else "["
    closing = ")" if row.flags & _abi.OPEN_HI or math.isinf(row.hi) else "]"
    scale = " log" if row.flags & _abi.LOG else ""
    return f"{opening}{_number(row.lo)}, {_number(row.hi)}{closing}{scale}"


def _params(table: Any) -> tuple[Param, ...]:
    if not table:
        return ()
    rows = table.contents.rows[: table.contents.count]
    return tuple(Param(text(r.name), text(r.initial), _allowed(r), text(r.help)) for r in rows)


def _method(info: _abi.CMethodInfo) -> Method:
    return Method(text(info.name), info.version, text(info.title), text(info.equations), text(info.paper),
                  text(info.reference), text(info.deviations), text(info.state), info.bytes_per_parameter,
                  _params(info.params))


def _schedule(info: _abi.CScheduleInfo) -> Schedule:
    return Schedule(text(info.name), text(info.title), text(info.equation), text(info.reference),
                    _params(info.params))


def methods() -> list[str]:
    """Names of all methods, in the order of their families.

    >>> "adamw" in ravine.methods()
    True
    >>> for name in ravine.methods():
    ...     print(name, ravine.method(name).title)
    >>> ravine.wrappers()[:2], ravine.schedules()[:2]
    """
    return [text(info.name) for info in _walk(lib.rv_method_at)]


def wrappers() -> list[str]:
    """Names of what may stand around any method."""
    return [text(info.name) for info in _walk(lib.rv_wrapper_at)]


def schedules() -> list[str]:
    """Names of all schedules."""
    return [text(info.name) for info in _walk(lib.rv_schedule_at)]


def _unknown(name: str, known: list[str]) -> ArgumentError:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    made = ArgumentError(f"nothing is called {name!r}{hint}")
    made.status = "unknown"
    return made


def _find(name: str, kinds: str) -> Method | Schedule:
    """kinds: m, w, s, those that may be meant."""
    key = name.encode()
    for kind, find, make, names in (("m", lib.rv_method_find, _method, methods),
                                    ("w", lib.rv_wrapper_find, _method, wrappers),
                                    ("s", lib.rv_schedule_find, _schedule, schedules)):
        found = find(key) if kind in kinds else None
        if found:
            made: Method | Schedule = make(found.contents)
            return made
    known = {"m": methods, "w": wrappers, "s": schedules}
    raise _unknown(name, [n for kind in kinds for n in known[kind]()])


def method(name: str) -> Method:
    """Everything that is declared of a method or a wrapper.

    >>> adamw = ravine.method("adamw")
    >>> adamw.equations
    >>> adamw.reference             # what it was proved against
    >>> adamw.bytes_per_parameter   # of state
    >>> [p.name for p in adamw.params]
    """
    found = _find(name, "mw")
    assert isinstance(found, Method)
    return found


def explain(name: str) -> str:
    """Equations, defaults, state, reference and deviations of a method, wrapper or schedule.

    >>> print(ravine.explain("muon"))
    >>> print(ravine.explain("clip_norm"))
    >>> print(ravine.explain("warmup_cosine"))
    >>> "beta1" in ravine.explain("adamw")
    True
    """
    found = _find(name, "mws")
    lines = [f"{found.name}{f'@{found.version}' if isinstance(found, Method) else ''}: {found.title}"]
    if isinstance(found, Method):
        parts = [("equations", found.equations), ("paper", found.paper), ("proved against", found.reference),
                 ("deviations", found.deviations), ("state", found.state)]
    else:
        parts = [("equation", found.equation), ("source", found.reference)]
    for head, body in parts:
        if body:
            lines += ["", head, *("    " + line for line in body.splitlines())]
    if found.params:
        cells = [("parameter", "default", "allowed", "meaning"), *found.params]
        widths = [max(len(row[i]) for row in cells) for i in range(4)]
        lines += ["", *("  ".join(c.ljust(n) for c, n in zip(row, widths)).rstrip() for row in cells)]
    return "\n".join(lines)


def schedule(name: str, total: int, **params: Any) -> Callable[[int], float]:
    """The factor on the learning rate as a function of the step, counted from 0.

    >>> factor = ravine.schedule("warmup_cosine", total=1000)
    >>> scheduler = torch.optim.lr_scheduler.LambdaLR(opt, factor)      # or, without torch:
    >>> for step in range(1000):
    ...     opt.set_lr_factor(factor(step))
    ...     opt.step(gradients(step))
    """
    _find(name, "s")
    info = lib.rv_schedule_find(name.encode()).contents
    table, err = info.params, _abi.CError()
    values = ctypes.create_string_buffer(max(table.contents.size, 1) if table else 1)
    if table:
        lib.rv_params_init(table, values)
    for key, value in params.items():
        if not table:
            raise ArgumentError(f"{name} has no parameters, found {key!r}")
        given = str(value).lower() if isinstance(value, bool) else str(value)
        check(lib.rv_params_set(table, values, key.encode(), given.encode(), err), err)

    def factor(step: int) -> float:
        return float(info.factor(ctypes.cast(values, ctypes.c_void_p), step, total))

    return factor
