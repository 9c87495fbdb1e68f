"""Every status of the library as an exception that Python code already knows how to catch."""
from __future__ import annotations

from . import _abi


class Error(Exception):
    """What the library reports; ``status`` is its short name ("range", "mismatch", ...).

    >>> try:
    ...     ravine.Optimizer({"w": w}, "adamw", lr=-1)
    ... except ravine.Error as error:
    ...     print(error.status, error)
    """

    status = "argument"


class ArgumentError(Error, ValueError):
    """A name, value, shape, file format or saved state that does not fit."""


class NumericError(Error, ArithmeticError):
    """A gradient or an update is not finite; the weights hold no such value."""

    status = "numeric"


class FileError(Error, OSError):
    """The system refused to read or write."""

    status = "io"


class OutOfMemoryError(Error, MemoryError):
    """Not enough memory."""

    status = "memory"


class UnsupportedError(Error, NotImplementedError):
    """This cannot be done here, such as a closure that is not there."""

    status = "unsupported"


_CLASSES: dict[str, type[Error]] = {
    "io": FileError, "memory": OutOfMemoryError, "numeric": NumericError, "unsupported": UnsupportedError,
    "interrupted": Error}


def error(status: str, message: str) -> Error:
    made = _CLASSES.get(status, ArgumentError)(message)
    made.status = status
    return made


def check(status: int, err: _abi.CError) -> None:
    """Raises what a status other than 0 means."""
    if status:
        raise error(_abi.STATUS[status], err.message.decode(errors="replace"))
