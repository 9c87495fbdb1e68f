"""Optimizers in place on NumPy arrays, torch CPU tensors and other writable buffers."""
from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Callable, Mapping, Sequence

from . import _arrays
from ._errors import ArgumentError
from ._handle import Handle, Memory, Pool, Row, describe, hyperparameters, table


class Optimizer:
    """Steps named arrays in place; nothing is copied.

    params: a mapping of names to arrays, a list of (name, array), or a list of arrays (called
    "0", "1", ...).  All must be contiguous, of one type (float32 or float64), and apart from
    each other in memory.  Hyperparameters go by their names (``ravine.explain("adamw")``); those
    of the method of another rule by a dictionary, ``adamw={"lr": 3e-4}``.

    >>> w = {"weight": numpy.ones((64, 32)), "bias": numpy.zeros(64)}
    >>> opt = ravine.Optimizer(w, "muon", lr=0.02, adamw={"lr": 3e-3})
    >>> print(opt.table())          # which tensor gets which method
    >>> opt.step({"weight": g_weight, "bias": g_bias})
    >>> opt.save("muon.safetensors")

    roles, parts: what tensors are, by a name pattern: ``roles={"*.embed": "embedding"}``,
        ``parts={"*.qkv": 3}``.  The usual role of the rank otherwise: bias, hidden, conv.
    rules: a list of one's own, ``[{"role": "bias", "method": "adamw"}, {"method": "muon"}]``;
        the first that matches a tensor takes it, and a tensor that none takes is refused.
    wrappers: what stands around the method, ``"clip_norm(max_norm=1),ema(decay=0.999)"``.
    state_dtype: "bf16" keeps elementwise state in half the memory, rounded by seed.
    threads: workers; their number changes no bit of the result.
    """

    def __init__(self, params: Any, method: str = "adamw", *, roles: Mapping[str, str] | None = None,
                 parts: Mapping[str, int] | None = None, rules: Sequence[Mapping[str, Any]] | str | None = None,
                 wrappers: Sequence[Any] | str | None = None, state_dtype: str | None = None, seed: int = 0,
                 threads: int = 1, **hyper: Any) -> None:
        pairs = _arrays.named(params)
        self._params = [_arrays.view(array, name, True) for name, array in pairs]
        self._arrays = [array for _, array in pairs]
        self._names = [name for name, _ in pairs]
        _arrays.disjoint(self._params)
        self._seen: dict[str, tuple[Any, _arrays.View]] = {}  # gradients of the last step
        self._apart: tuple[list[int], list[int]] | None = None  # addresses that are known not to overlap
        self._handle = Handle(
            [describe(v.name, v.shape, roles, parts) for v in self._params], _arrays.one_dtype(self._params),
            [v.address for v in self._params], method=method, params=hyperparameters(hyper), rules=rules,
            wrappers=wrappers, state_dtype=state_dtype, seed=seed, pool=Pool(threads))

    # ---- steps ---------------------------------------------------------------

    def step(self, grads: Any, *, closure: Callable[[Any], tuple[float, Any]] | None = None,
             sampled: Callable[[Any], tuple[float, Any]] | None = None) -> None:
        """One step of all arrays from their gradients, given in the form of params.

        closure, for methods that evaluate again (the wrapper sam): a function of weights, given
        as a dictionary of arrays to read, that returns (loss, gradients).  sampled is the same
        with labels drawn from the model's own output (sophia_g).

        >>> grads = {"w": x.T @ (x @ w - y)}
        >>> opt.step(grads)
        >>> sam = ravine.Optimizer({"w": w}, "sgd", wrappers="sam")
        >>> sam.step(grads, closure=loss_and_gradients)
        """
        self._refresh()
        views = self._gradients(grads)
        w, g = [v.address for v in self._params], [v.address for v in views]
        if (w, g) != self._apart:
            _arrays.disjoint(self._params, views)
            self._apart = (w, g)
        if self._handle.wants_closure():
            self._handle.step_closure(w, g, self._probe(closure, sampled))
        else:
            self._handle.step(w, g)

    def _refresh(self) -> None:
        """Torch tensors may have moved; NumPy arrays cannot while they are referred to."""
        for i, array in enumerate(self._arrays):
            if _arrays.is_torch(array) and array.data_ptr() != self._params[i].address:
                moved = _arrays.view(array, self._names[i], True)
                _arrays.same_form(moved, self._params[i])
                self._params[i] = moved

    def _gradients(self, grads: Any) -> list[_arrays.View]:
        given = dict(_arrays.named(grads))
        if not isinstance(grads, Mapping) and list(given) == [str(i) for i in range(len(given))]:
            given = dict(zip(self._names, given.values())) if len(given) == len(self._names) else given
        if given.keys() != set(self._names):
            missing, extra = [n for n in self._names if n not in given], [n for n in given if n not in self._names]
            raise ArgumentError(f"gradients: missing {missing}, not a parameter {extra}")
        return [self._gradient(param, given[param.name]) for param in self._params]

    def _gradient(self, param: _arrays.View, array: Any) -> _arrays.View:
        known = self._seen.get(param.name)
        if known and known[0] is array and not _arrays.is_torch(array):
            return known[1]
        made = _arrays.view(array, f"gradient of {param.name}", False)
        _arrays.same_form(made, param)
        self._seen[param.name] = (array, made)
        return made

    def _probe(self, closure: Callable[[Any], tuple[float, Any]] | None,
               sampled: Callable[[Any], tuple[float, Any]] | None) -> Any:
        def probe(draw: bool, at: list[int], into: list[int]) -> float:
            function = sampled if draw else closure
            if function is None:
                raise ArgumentError(f"step: this method needs {'sampled' if draw else 'closure'}=")
            weights = {v.name: self._look(Memory(v.name, v.dtype, v.shape, a)) for v, a in zip(self._params, at)}
            loss, grads = function(weights)
            for view, address in zip(self._gradients(grads), into):
                ctypes.memmove(address, view.address, view.nbytes)
            return float(loss)

        return probe

    def _look(self, array: Memory) -> Any:
        """An array over memory of the library, of the library that the params are from."""
        torch_like = bool(self._arrays) and _arrays.is_torch(self._arrays[0])
        return look(self._handle.memory(array), array, torch_like)

    # ---- values --------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self._handle.steps

    @property
    def bytes(self) -> int:
        """Bytes of state."""
        return self._handle.bytes

    @property
    def wants_closure(self) -> bool:
        """Whether step needs closure (or sampled)."""
        return self._handle.wants_closure()

    def set(self, name: str, value: float) -> None:
        """Sets a hyperparameter: ``opt.set("lr", 1e-4)``, ``opt.set("adamw.beta1", 0.8)``."""
        self._handle.set(name, value)

    def get(self, name: str) -> float:
        """The value in force, learning rates with their factor."""
        return self._handle.get(name)

    def set_lr_factor(self, factor: float) -> None:
        """Multiplies every learning rate, from the next step on; what schedules act on."""
        self._handle.set_lr_factor(factor)

    def rows(self) -> list[Row]:
        """The rules as they were applied, tensor by tensor."""
        return self._handle.rows()

    def table(self) -> str:
        """rows() as text, to print before training."""
        return table(self.rows())

    def config(self) -> dict[str, Any]:
        """Method, version, parameters and rules with every default filled in."""
        return self._handle.config()

    # ---- weights to evaluate, state --------------------------------------------

    def evaluation_weights(self) -> dict[str, Any]:
        """Copies of the weights to evaluate: the average where the method has one.

        >>> opt = ravine.Optimizer({"w": w}, "schedule_free_adamw", lr=0.01)
        >>> for grad in gradients:
        ...     opt.step({"w": grad})
        >>> x = opt.evaluation_weights()["w"]     # training goes on with w
        >>> print(loss(x), loss(w))
        """
        self._refresh()
        room = [(ctypes.c_char * v.nbytes)() for v in self._params]
        self._handle.evaluation_weights([v.address for v in self._params], [ctypes.addressof(b) for b in room])
        torch_like = bool(self._arrays) and _arrays.is_torch(self._arrays[0])
        return {v.name: look(b, Memory(v.name, v.dtype, v.shape, 0), torch_like) for v, b in zip(self._params, room)}

    def state(self) -> dict[str, Any]:
        """A copy of all state, by name; bfloat16 as unsigned 16-bit words outside of torch.

        >>> saved = opt.state()
        >>> opt.step(grads)
        >>> opt.load_state(saved)       # as it was, bit for bit (the weights are yours)
        >>> print(saved["adamw.m.weight"])
        >>> print(opt.steps)
        """
        torch_like = bool(self._arrays) and _arrays.is_torch(self._arrays[0])
        return {a.name: look((ctypes.c_char * a.nbytes).from_buffer_copy(self._handle.memory(a)), a, torch_like)
                for a in self._handle.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Everything from what state() returned; what does not fit is listed and changes nothing."""
        self._handle.restore([stored(name, array) for name, array in state.items()])

    def save(self, path: str | os.PathLike[str]) -> None:
        """State as a safetensors file, written beside and renamed; others can read it."""
        self._handle.save(path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """State from a file that save() wrote."""
        self._handle.load(path)


def stored(name: str, array: Any) -> Memory:
    """An array of a saved state, ready to be restored."""
    view = _arrays.view(array, name, False, bits=True)
    return Memory(name, view.dtype, view.shape, view.address)


def look(buffer: Any, array: Memory, torch_like: bool) -> Any:
    """buffer as a torch tensor, a NumPy array (where NumPy is in use), or a memoryview."""
    library = sys.modules["torch"] if torch_like else sys.modules.get("numpy")
    if library is not None:
        types = ("float32", "float64", "bfloat16") if torch_like else ("float32", "float64", "uint16")
        kind = getattr(library, types[array.dtype])
        if array.nbytes == 0:
            return library.empty(array.shape, dtype=kind)
        return library.frombuffer(buffer, dtype=kind).reshape(array.shape)
    code: Any = "fdH"[array.dtype]
    flat = memoryview(buffer).cast("B")
    return flat.cast(code) if 0 in array.shape else flat.cast(code, array.shape)
