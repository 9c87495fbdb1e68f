"""Pairs of pure functions (init, update) over Ravine's methods, as optax has them.

``ravine.optax.NAME(learning_rate, ...)`` for every name in ravine.methods().  Parameters are
nested containers of NumPy or jax arrays, float32 or float64.  jax is used where it has been
imported, also inside jit (the step then runs on the host, by pure_callback); without it NumPy
is enough.  Invariant: nothing that is passed in is changed.

>>> tx = ravine.optax.adamw(1e-3, weight_decay=0.1)
>>> state = tx.init(params)
>>> for batch in batches:
...     updates, state = tx.update(gradient(params, batch), state, params)
...     params = ravine.optax.apply_updates(params, updates)    # or optax.apply_updates
"""
from __future__ import annotations

import sys
import threading
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy

from . import _arrays, _tree
from ._errors import ArgumentError, UnsupportedError
from ._handle import Handle, Memory, Pool, describe, hyperparameters
from ._methods import methods

__all__ = ["GradientTransformation", "State", "apply_updates", "evaluation_params", "transformation"]


class State(NamedTuple):
    """All that a method remembers, as arrays.

    count: steps made.  scalars: [n, 2], the float64 scalars as pairs of 32-bit words, so that a
    jax without 64-bit types carries them unchanged.  slots: the arrays, by the library's names.
    """

    count: Any
    scalars: Any
    slots: dict[str, Any]


class GradientTransformation(NamedTuple):
    """init(params) -> state; update(grads, state, params) -> (updates, state)."""

    init: Callable[[Any], State]
    update: Callable[..., "tuple[Any, State]"]


class _Method:
    """What init and update share: the options, and an optimizer of the library for each layout."""

    def __init__(self, learning_rate: Any, options: dict[str, Any], roles: Any, parts: Any) -> None:
        self.learning_rate, self.options, self.roles, self.parts = learning_rate, options, roles, parts
        self._made: dict[Any, Handle] = {}
        self._lock = threading.RLock()  # jax may call from several threads
        self.handle([], [])  # a mistyped name is told of here

    def handle(self, names: Sequence[str], w: Sequence[numpy.ndarray]) -> Handle:
        key = tuple((name, a.shape, a.dtype.str) for name, a in zip(names, w))
        if key not in self._made:
            views = [_arrays.view(a, name, False) for name, a in zip(names, w)]
            tensors = [describe(v.name, v.shape, self.roles, self.parts) for v in views]
            made = Handle(tensors, _arrays.one_dtype(views), [v.address for v in views], **self.options)
            if made.wants_closure():
                raise UnsupportedError("this method evaluates again within a step, which update(grads, state, params) "
                                       "has no way to; ravine.Optimizer.step(closure=...) has")
            self._made[key] = made
        return self._made[key]

    # ---- on the host, with NumPy arrays --------------------------------------------

    def start(self, names: Sequence[str], w: Sequence[numpy.ndarray]) -> State:
        with self._lock:
            self._made.clear()  # a new optimizer: methods that keep a copy of the weights read these
            return _read(self.handle(names, w))

    def step(self, names: Sequence[str], g: Sequence[numpy.ndarray], state: State,
             w: Sequence[numpy.ndarray]) -> tuple[list[numpy.ndarray], State]:
        moved = [a.copy() for a in w]
        expected = [_arrays.view(a, name, False) for name, a in zip(names, w)]
        views = [_arrays.view(a, f"gradient of {name}", False) for name, a in zip(names, g)]
        for view, form in zip(views, expected):
            _arrays.same_form(view, form)
        with self._lock:
            handle = self.handle(names, w)
            _write(handle, state)
            if callable(self.learning_rate):
                handle.set("lr", float(self.learning_rate(int(state.count))))
            handle.step([a.ctypes.data for a in moved], [v.address for v in views])
            after = _read(handle)
        return [numpy.asarray(new - old) for new, old in zip(moved, w)], after

    def evaluate(self, names: Sequence[str], state: State, w: Sequence[numpy.ndarray]) -> list[numpy.ndarray]:
        copies = [a.copy() for a in w]
        with self._lock:
            handle = self.handle(names, w)
            _write(handle, state)
            handle.evaluation_weights([a.ctypes.data for a in w], [a.ctypes.data for a in copies])
        return copies

    # ---- as optax calls them ---------------------------------------------------------

    def init(self, params: Any) -> State:
        names, leaves, _ = _tree.flatten(params)
        if not _traced(leaves):
            return self.start(names, _host(leaves))
        forms = self.start(names, [numpy.zeros(a.shape, a.dtype) for a in leaves])
        return _callback(lambda *w: self.start(names, _host(w)), forms, *leaves)  # type: ignore[no-any-return]

    def update(self, updates: Any, state: State, params: Any = None, **_extra: Any) -> tuple[Any, State]:
        if params is None:
            raise ArgumentError("update needs the parameters: update(grads, state, params)")
        names, w, rebuild = _tree.flatten(params)
        found, g, _ = _tree.flatten(updates)
        if found != names:
            raise ArgumentError(f"gradients: expected {names}, found {found}")
        if not _traced([*w, *g, state.count]):
            moved, after = self.step(names, _host(g), _host_state(state), _host(w))
            return rebuild([_like(a, b) for a, b in zip(moved, w)]), after
        n = len(w)

        def host(s: State, *arrays: Any) -> tuple[list[numpy.ndarray], State]:
            return self.step(names, _host(arrays[:n]), _host_state(s), _host(arrays[n:]))

        moved, after = _callback(host, (list(w), state), state, *g, *w)
        return rebuild(moved), after


# ---- state ---------------------------------------------------------------------------


def _array(handle: Handle, memory: Memory) -> numpy.ndarray:
    kind = ("<f4", "<f8", "<u2")[memory.dtype]
    if memory.nbytes == 0:
        return numpy.empty(memory.shape, kind)
    return numpy.frombuffer(handle.memory(memory), kind).reshape(memory.shape)


def _split(handle: Handle) -> tuple[list[Memory], list[Memory]]:
    """Scalars ("steps", "method.scalar") and slots."""
    arrays = handle.state()
    return [a for a in arrays if a.name.count(".") < 2], [a for a in arrays if a.name.count(".") >= 2]


def _read(handle: Handle) -> State:
    scalars, slots = _split(handle)
    words = numpy.array([_array(handle, a) for a in scalars]).view("<u4").reshape(len(scalars), 2)
    return State(numpy.asarray(handle.steps, "int32"), words, {a.name: _array(handle, a).copy() for a in slots})


def _write(handle: Handle, state: State) -> None:
    scalars, slots = _split(handle)
    if set(state.slots) != {a.name for a in slots} or state.scalars.shape != (len(scalars), 2):
        raise ArgumentError("this state belongs to other parameters or another method")
    values = numpy.asarray(state.scalars, "<u4", order="C").view("<f8").ravel()
    kept = [numpy.asarray(state.slots[a.name], order="C") for a in slots]
    handle.restore([Memory(a.name, a.dtype, (), values[i:].ctypes.data) for i, a in enumerate(scalars)]
                   + [Memory(a.name, a.dtype, k.shape, k.ctypes.data) for a, k in zip(slots, kept)])


# ---- jax, where it is ----------------------------------------------------------------


def _host(arrays: Any) -> list[numpy.ndarray]:
    return [numpy.asarray(a, order="C") for a in arrays]


def _host_state(state: State) -> State:
    return State(numpy.asarray(state.count), numpy.asarray(state.scalars),
                 {name: numpy.asarray(a) for name, a in state.slots.items()})


def _traced(leaves: Sequence[Any]) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and any(isinstance(a, jax.core.Tracer) for a in leaves)


def _callback(function: Callable[..., Any], like: Any, *args: Any) -> Any:
    jax = sys.modules["jax"]
    forms = jax.tree_util.tree_map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), like)
    return jax.pure_callback(function, forms, *args)


def _like(array: numpy.ndarray, example: Any) -> Any:
    jax = sys.modules.get("jax")
    return jax.numpy.asarray(array) if jax is not None and isinstance(example, jax.Array) else array


# ---- what users call -----------------------------------------------------------------


def transformation(method: str, learning_rate: float | Callable[[int], float] | None = None, *,
                   roles: Mapping[str, str] | None = None, parts: Mapping[str, int] | None = None,
                   rules: Sequence[Mapping[str, Any]] | str | None = None, wrappers: Sequence[Any] | str | None = None,
                   state_dtype: str | None = None, seed: int = 0, threads: int = 1,
                   **hyper: Any) -> GradientTransformation:
    """The pair of a method by its name; learning_rate may be a schedule, a function of the count.

    >>> tx = ravine.optax.transformation("muon", 0.02, adamw={"lr": 3e-3})
    >>> factor = ravine.schedule("warmup_cosine", total=1000)
    >>> tx = ravine.optax.adamw(lambda count: 1e-3 * factor(count))
    >>> tx = optax.chain(optax.clip_by_global_norm(1.0), tx)
    >>> state = tx.init(params)
    """
    if learning_rate is not None and not callable(learning_rate):
        hyper["lr"] = learning_rate
    options = {"method": method, "params": hyperparameters(hyper), "rules": rules, "wrappers": wrappers,
               "state_dtype": state_dtype, "seed": seed, "pool": Pool(threads)}
    made = _Method(learning_rate, options, roles, parts)
    return GradientTransformation(made.init, made.update)


def __getattr__(name: str) -> Callable[..., GradientTransformation]:
    """ravine.optax.adamw and so on, one for every method."""
    if name.startswith("_") or name not in methods():
        raise AttributeError(f"ravine.optax has no {name!r}; methods: {', '.join(methods())}")

    def factory(learning_rate: float | Callable[[int], float] | None = None, **options: Any) -> GradientTransformation:
        return transformation(name, learning_rate, **options)

    factory.__name__ = factory.__qualname__ = name
    factory.__doc__ = f"transformation({name!r}, learning_rate, ...): see ravine.explain({name!r})."
    return factory


def __dir__() -> list[str]:
    return sorted([*__all__, *methods()])


def apply_updates(params: Any, updates: Any) -> Any:
    """params + updates, leaf by leaf."""
    _, w, rebuild = _tree.flatten(params)
    _, moved, _ = _tree.flatten(updates)
    return rebuild([a + b for a, b in zip(w, moved)])


def evaluation_params(tx: GradientTransformation, state: State, params: Any) -> Any:
    """The weights to evaluate: the average where the method has one (schedule_free_adamw).

    >>> tx = ravine.optax.schedule_free_adamw(0.01)
    >>> state = tx.init(params)
    >>> updates, state = tx.update(grads, state, params)
    >>> params = ravine.optax.apply_updates(params, updates)
    >>> x = ravine.optax.evaluation_params(tx, state, params)
    """
    method: _Method = tx.update.__self__  # type: ignore[attr-defined]
    names, w, rebuild = _tree.flatten(params)
    copies = method.evaluate(names, _host_state(state), _host(w))
    return rebuild([_like(a, b) for a, b in zip(copies, w)])
