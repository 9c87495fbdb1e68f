"""A torch.optim.Optimizer over Ravine's methods, in place on CPU tensors.

Invariant: self.state holds views of the library's own memory, and scalars as of the last
time that they were asked for (state_dict); loading copies values, it never keeps a tensor.
"""
from __future__ import annotations

import ctypes
import os
from collections import defaultdict
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

import torch

from . import _arrays
from ._errors import ArgumentError
from ._groups import REFERENCE, Plan
from ._handle import Handle, Memory, Pool, Row, describe as describe_tensor, short_name, table
from ._optimizer import look
from ._torch_roles import describe

__all__ = ["Optimizer", "describe"]


class _Entry(NamedTuple):
    """A parameter that is being optimized."""

    param: torch.Tensor
    name: str   # the user's
    group: int

    @property
    def key(self) -> str:
        """Its name in the library."""
        return f"{self.group}.{self.name}"


class Optimizer(torch.optim.Optimizer):
    """Any of ravine.methods() as a torch optimizer.

    params: a module, ``model.named_parameters()``, tensors, or parameter groups.  With a module,
    embeddings, heads, norms and fused matrices are known to methods that treat them apart
    (muon); with names alone, rules by name work.  Every group has its own hyperparameters, and
    what schedulers do to group["lr"] acts on all learning rates of the group.

    >>> opt = ravine.torch.Optimizer(model, "muon", lr=0.02, adamw={"lr": 3e-3})
    >>> scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=1000)
    >>> for x, y in batches:
    ...     loss_of(model, x, y).backward()
    ...     opt.step(); scheduler.step(); opt.zero_grad()

    method, roles, parts, rules, wrappers, state_dtype, seed, threads and hyperparameters are
    those of ravine.Optimizer; betas=(0.9, 0.95) is beta1, beta2.  Float32 and float64 parameters,
    one of the two at a time.  A parameter without gradient keeps its weights and state in that
    step; the count of steps is the optimizer's.  Methods that evaluate again (the wrapper sam)
    need step(closure).
    """

    def __init__(self, params: Any, method: str = "adamw", *, roles: Mapping[str, str] | None = None,
                 parts: Mapping[str, int] | None = None, rules: Sequence[Mapping[str, Any]] | str | None = None,
                 wrappers: Sequence[Any] | str | None = None, state_dtype: str | None = None, seed: int = 0,
                 threads: int = 1, **hyper: Any) -> None:
        if isinstance(params, torch.nn.Module):
            known = describe(params)
            roles = {**(roles or {}), **{n: r for n, r in known["roles"].items() if n not in (roles or {})}}
            parts = {**(parts or {}), **{n: k for n, k in known["parts"].items() if n not in (parts or {})}}
            params = params.named_parameters()
        self._options: dict[str, Any] = {
            "method": method, "roles": roles, "parts": parts, "rules": rules, "wrappers": wrappers,
            "state_dtype": state_dtype, "seed": seed, "threads": threads, "hyper": hyper}
        self._prepare()
        super().__init__(params, self._plan.defaults())
        self._build()

    def _prepare(self) -> None:
        """What follows from the options alone."""
        o = self._options
        self._plan = Plan(o["method"], o["rules"], o["wrappers"], o["hyper"])
        self._pool = Pool(o["threads"])
        self._handle: Handle | None = None
        self._entries: list[_Entry] = []
        self._apart: tuple[list[int], list[int]] | None = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """A further group; the state of the others stays as it is."""
        given = {k: v for k, v in param_group.items() if k not in ("params", "param_names")}
        kept = {k: v for k, v in param_group.items() if k in ("params", "param_names")}
        super().add_param_group({**kept, **self._plan.group_values(given)})
        if self._handle is not None:
            self._build()

    # ---- the library's optimizer ---------------------------------------------------

    def _listed(self) -> Iterable[_Entry]:
        number = 0
        for k, group in enumerate(self.param_groups):
            for i, param in enumerate(group["params"]):
                names = group.get("param_names")
                yield _Entry(param, names[i] if names else f"param{number}", k)
                number += 1

    def _build(self, also: Iterable[torch.Tensor] = ()) -> None:
        """Makes the library's optimizer for all parameters that want a gradient, are known already,
        or are in also; state that is there goes over."""
        wanted = {id(e.param) for e in self._entries} | {id(p) for p in also}
        entries = [e for e in self._listed() if e.param.requires_grad or id(e.param) in wanted]
        views = [_arrays.view(e.param, e.name, True) for e in entries]
        _arrays.disjoint(views)
        for group in self.param_groups:
            if "lr" in group:
                group.setdefault(REFERENCE, float(group["lr"]))
        o, before = self._options, self._handle
        tensors = [describe_tensor(e.name, v.shape, o["roles"], o["parts"])._replace(name=e.key)
                   for e, v in zip(entries, views)]
        handle = Handle(tensors, _arrays.one_dtype(views), [v.address for v in views], method=self._plan.full_method,
                        params=self._plan.wrapper_params, rules=self._plan.rule_list(self.param_groups),
                        wrappers=o["wrappers"], state_dtype=o["state_dtype"], seed=o["seed"], pool=self._pool)
        if before is not None:
            _carry(before, handle)
        self._handle, self._entries, self._apart = handle, entries, None
        self._sent = [self._plan.values(rule, self.param_groups[k])
                      for _, k, rule in self._plan.labelled(self.param_groups)]
        self._show()

    def _show(self) -> None:
        """self.state as views of the library's memory."""
        assert self._handle is not None
        entries = {short_name(e.key): e for e in self._entries}
        methods = dict(zip(entries, (row.method for row in self._handle.rows())))
        self._scalars: dict[str, Memory] = {}
        for entry in self._entries:
            self.state[entry.param] = {}
        for array in self._handle.state():
            head, *rest = array.name.split(".", 2)
            if len(rest) < 2:
                self._scalars["step" if array.name == "steps" else array.name] = array
                continue
            slot, tensor = rest
            key = slot if head.split("#")[0] == methods[tensor] else f"{head}.{slot}"
            self.state[entries[tensor].param][key] = look(self._handle.memory(array), array, True)
        self._publish()

    def _publish(self) -> None:
        """Counts and scalars into self.state: plain numbers there, so that no cast changes them."""
        values = {name: ctypes.c_double.from_address(array.address).value for name, array in self._scalars.items()}
        values["step"] = int(values["step"])
        for entry in self._entries:
            self.state[entry.param].update(values)

    def _sync(self) -> Handle:
        """The groups' values into the library.  One schedule for all is its factor, which more than
        learning rates may follow; otherwise every learning rate is set."""
        assert self._handle is not None
        factors = [self._plan.schedule(g) if "lr" in g else 1.0 for g in self.param_groups]
        common = factors[0] if factors and max(factors) == min(factors) else 1.0
        wanted = []
        for _, k, rule in self._plan.labelled(self.param_groups):
            values = self._plan.values(rule, self.param_groups[k])
            if common == 1.0 and "lr" in values:
                values["lr"] *= factors[k]
            wanted.append(values)
        if wanted != self._sent:
            self._send(wanted)
        self._handle.set_lr_factor(common)
        return self._handle

    def _send(self, wanted: list[dict[str, Any]]) -> None:
        assert self._handle is not None
        rules = list(self._plan.labelled(self.param_groups))
        changed = {(rule.method, name) for (_, _, rule), old, new in zip(rules, self._sent, wanted)
                   for name, value in new.items() if value != old[name]}
        if any(isinstance(wanted[i][name], (str, bool)) for method, name in changed
               for i, (_, _, rule) in enumerate(rules) if rule.method == method):
            self._build()  # the library changes numbers only
            if wanted == self._sent:
                return
        for (label, _, rule), values in zip(rules, wanted):
            # The first label of a method addresses all its rules, so the later ones follow it.
            for name in values:
                if (rule.method, name) in changed and not isinstance(values[name], (str, bool)):
                    self._handle.set(f"{label}.{name}", values[name])
        self._sent = wanted

    # ---- steps ---------------------------------------------------------------------

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None, *,
             sampled: Callable[[], Any] | None = None) -> Any:
        """One step; closure clears gradients, computes the loss, calls backward and returns the loss.

        sampled is the same with labels drawn from the model's own output (Sophia-G's estimate).
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        known = {id(e.param) for e in self._entries}
        late = [p for g in self.param_groups for p in g["params"] if p.grad is not None and id(p) not in known]
        if late:  # unfrozen since
            self._build(late)
        handle = self._sync()
        idle = [e for e in self._entries if e.param.grad is None]
        if len(idle) == len(self._entries):
            return loss
        kept = [(t, t.clone()) for e in idle for t in (e.param.data, *self.state[e.param].values())
                if isinstance(t, torch.Tensor)]
        grads = [torch.zeros_like(e.param) if e.param.grad is None else e.param.grad for e in self._entries]
        try:
            self._step(handle, grads, closure, sampled)
        finally:
            for tensor, value in kept:
                tensor.copy_(value)
        torch.autograd.graph.increment_version([e.param for e in self._entries if e.param.grad is not None])
        return loss

    def _step(self, handle: Handle, grads: list[torch.Tensor], closure: Any, sampled: Any) -> None:
        for entry, grad in zip(self._entries, grads):
            p = entry.param
            if grad.is_sparse or not (p.is_contiguous() and grad.is_contiguous() and grad.dtype == p.dtype
                                      and grad.shape == p.shape):
                param = _arrays.view(p, entry.name, True)
                _arrays.same_form(_arrays.view(grad, f"gradient of {entry.name}", False), param)
        w = [e.param.data_ptr() for e in self._entries]
        g = [grad.data_ptr() for grad in grads]
        if (w, g) != self._apart:
            params = [_arrays.view(e.param, e.name, True) for e in self._entries]
            _arrays.disjoint(params, [_arrays.view(t, f"gradient of {e.name}", False)
                                      for e, t in zip(self._entries, grads)])
            self._apart = (w, g)
        if handle.wants_closure():
            handle.step_closure(w, g, self._probe(closure, sampled))
        else:
            handle.step(w, g)

    def _probe(self, closure: Any, sampled: Any) -> Callable[[bool, list[int], list[int]], float]:
        def probe(draw: bool, at: list[int], into: list[int]) -> float:
            function = sampled if draw else closure
            if function is None:
                raise ArgumentError(f"step: {self._options['method']} needs "
                                    + ("step(closure, sampled=...)" if draw else "step(closure)"))
            held = [(e.param, e.param.data, e.param.grad) for e in self._entries]
            try:
                for entry, address in zip(self._entries, at):
                    entry.param.data, entry.param.grad = self._elsewhere(entry.param, address), None
                with torch.enable_grad():
                    loss = function()
                for entry, address in zip(self._entries, into):
                    grad = entry.param.grad
                    view = _arrays.view(torch.zeros_like(entry.param) if grad is None else grad.contiguous(),
                                        f"gradient of {entry.name}", False)
                    ctypes.memmove(address, view.address, view.nbytes)
            finally:
                for param, data, grad in held:
                    param.data, param.grad = data, grad
            return float(loss)

        return probe

    def _elsewhere(self, param: torch.Tensor, address: int) -> torch.Tensor:
        """The weights that the library asks a gradient at, where they lie."""
        assert self._handle is not None
        if address == param.data_ptr():
            return param.data
        array = Memory("", self._handle.dtype, tuple(param.shape), address)
        return look(self._handle.memory(array), array, True)  # type: ignore[no-any-return]

    # ---- state -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As every torch optimizer's: tensors are the live ones, torch.save and deepcopy copy them."""
        self._publish()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Everything from a state_dict; what does not fit is listed, and changes nothing."""
        groups, own = self.param_groups, self.state
        super().load_state_dict(state_dict)
        loaded = self.state
        self.state = own
        try:
            self._adopt(loaded)
        except Exception:
            self.param_groups = groups
            self._build()
            raise

    def _adopt(self, loaded: Mapping[torch.Tensor, Mapping[str, Any]]) -> None:
        self._build(loaded)
        faults = []
        for entry in self._entries:
            own, found = self.state[entry.param], loaded.get(entry.param, {})
            faults += [f"{entry.name}: {key} is missing" for key in own if key not in found]
            faults += [f"{entry.name}: {key} belongs to another method" for key in found if key not in own]
            faults += [f"{entry.name}: {key}: expected shape {tuple(value.shape)}, found {tuple(found[key].shape)}"
                       for key, value in own.items() if isinstance(value, torch.Tensor) and key in found
                       and tuple(getattr(found[key], "shape", ())) != tuple(value.shape)]
        if faults:
            more = f" and {len(faults) - 8} more" if len(faults) > 8 else ""
            raise ArgumentError("state: " + "; ".join(faults[:8]) + more)
        for entry in self._entries:
            for key, value in self.state[entry.param].items():
                if isinstance(value, torch.Tensor):
                    value.copy_(loaded[entry.param][key])
                else:
                    number = float(loaded[entry.param][key])
                    ctypes.c_double.from_address(self._scalars[key].address).value = number
        self._publish()

    def __getstate__(self) -> dict[str, Any]:
        self._publish()
        state = {p: {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in values.items()}
                 for p, values in self.state.items()}
        return {**super().__getstate__(), "state": state, "_options": self._options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_options" in state:  # a copy is being made; load_state_dict comes here too, without
            loaded = self.state
            self._prepare()
            self.state = defaultdict(dict)
            self._adopt(loaded)

    # ---- what is being done ------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Which tensor got which method, as the rules decided."""
        rows = zip(self._entries, self._sync().rows())
        return [row._replace(tensor=entry.name) for entry, row in rows]

    def table(self) -> str:
        """rows() as text, to print before training."""
        return table(self.rows())

    def config(self) -> dict[str, Any]:
        """Method, parameters and rules with every default filled in; group k's names start with "k."."""
        return self._sync().config()

    @torch.no_grad()
    def evaluation_weights(self) -> dict[str, torch.Tensor]:
        """Copies of the weights to evaluate, by name: the average where the method has one.

        >>> opt = ravine.torch.Optimizer(model, "schedule_free_adamw")
        >>> train(model, opt)
        >>> weights = opt.evaluation_weights()
        >>> y = torch.func.functional_call(model, weights, (x,))
        >>> model.load_state_dict(weights, strict=False)       # or for good, when training is over
        """
        copies = {e.name: e.param.detach().clone() for e in self._listed()}
        self._sync().evaluation_weights([e.param.data_ptr() for e in self._entries],
                                        [copies[e.name].data_ptr() for e in self._entries])
        return copies

    def save(self, path: str | os.PathLike[str]) -> None:
        """The state (not the groups) as a safetensors file that others can read."""
        self._sync().save(path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """The state from a file that save() wrote."""
        self._sync().load(path)
        self._publish()


def _carry(before: Handle, after: Handle) -> None:
    """Copies what both have under the same name, shape and type."""
    new = {array.name: array for array in after.state()}
    for old in before.state():
        into = new.get(old.name)
        if into is not None and (into.shape, into.dtype) == (old.shape, old.dtype):
            ctypes.memmove(into.address, old.address, old.nbytes)
