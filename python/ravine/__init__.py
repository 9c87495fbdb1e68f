"""Deep-learning optimizers in C, in place on NumPy arrays and torch tensors.

>>> w = numpy.random.randn(64, 32)
>>> opt = ravine.Optimizer({"w": w}, "adamw", lr=1e-3)
>>> for x, y in batches:
...     opt.step({"w": gradient(w, x, y)})
>>> print(ravine.explain("adamw"))

``ravine.torch`` has a torch.optim.Optimizer, ``ravine.optax`` pairs of pure functions.
"""
from . import _abi
from ._errors import ArgumentError, Error, FileError, NumericError, OutOfMemoryError, UnsupportedError
from ._handle import Row
from ._methods import Method, Param, Schedule, explain, method, methods, schedule, schedules, wrappers
from ._optimizer import Optimizer

__version__: str = _abi.text(_abi.lib.rv_version())

__all__ = ["ArgumentError", "Error", "FileError", "Method", "NumericError", "Optimizer", "OutOfMemoryError",
           "Param", "Row", "Schedule", "UnsupportedError", "explain", "method", "methods", "schedule", "schedules",
           "wrappers"]
