"""Parameter groups in torch's sense as rules of one optimizer.

Every group repeats the rule list for its own tensors, whose names start with the group's
number; so norms and estimates over all tensors stay over all tensors.  Invariant: a rule's
label, under which the library addresses its values, stays when groups are added.
"""
from __future__ import annotations

import json
import math
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ._errors import ArgumentError, error
from ._handle import Handle, hyperparameters

REFERENCE = "reference_lr"  # of a group: the lr that all its learning rates were given for


class Rule(NamedTuple):
    """A rule of the list that every group repeats."""

    method: str
    match: dict[str, Any]   # role, rank, name, as the library reads them
    params: dict[str, Any]  # every value, defaults included
    own: frozenset[str]     # the values that the rule itself gives: a group cannot change them


def flatten(given: Mapping[str, Any]) -> dict[str, Any]:
    """adamw={"lr": 1} as {"adamw.lr": 1}."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            made.update({f"{name}.{key}": v for key, v in hyperparameters(value).items()})
        else:
            made[name] = value
    return made


def _own_names(params: Mapping[str, Any] | str) -> frozenset[str]:
    if isinstance(params, str):
        return frozenset(item.split("=")[0].strip() for item in params.split(","))
    return frozenset(params)


def _bare(name: Any) -> str:
    return str(name).split("@")[0]


class Plan:
    """The rule list of one method, to be repeated for every group."""

    def __init__(self, method: str, rules: Sequence[Mapping[str, Any]] | str | None, wrappers: Any,
                 hyper: Mapping[str, Any]) -> None:
        listed = json.loads(rules) if isinstance(rules, str) else rules
        # The library checks everything, and tells the rules and values that follow.
        config = Handle([], 0, [], method=method, params=hyperparameters(hyper), rules=listed,
                        wrappers=wrappers).config()
        self.method = _bare(config["method"])
        self.full_method, self.wrappers = method, wrappers
        own = [_own_names(rule.get("params", {})) for rule in listed or config["rules"]]
        self.rules = [Rule(_bare(rule["method"]), {k: v for k, v in rule.items() if k != "params"}, rule["params"],
                           names if listed else frozenset()) for rule, names in zip(config["rules"], own)]
        self._params: dict[str, Any] = config["params"]
        self._betas = [f"beta{i}" for i in range(1, 9) if f"beta{i}" in self._params]
        around = {_bare(w["name"]): w["params"] for w in config.get("wrappers", [])}
        self.wrapper_params = {k: v for k, v in flatten(hyper).items() if k.split(".")[0].split("#")[0] in around}
        self._others = {k: v for k, v in flatten(hyper).items() if "." in k and k not in self.wrapper_params}

    # ---- groups as users see them ------------------------------------------------

    def group_values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a group gives, as it stands there: betas as torch has them, "adamw.lr" of other methods."""
        made = flatten({k: v for k, v in given.items() if k != "betas"})
        single = {name: made.pop(name) for name in self._betas if name in made}
        betas = given.get("betas")
        if betas is None and not single:
            return made
        if betas is not None and (single or len(betas) != len(self._betas)):
            raise ArgumentError(f"betas: expected {', '.join(self._betas) or 'none'} of {self.method}, "
                                f"found {betas!r}{' and ' + ', '.join(single) if single else ''}")
        made["betas"] = tuple(betas) if betas is not None else tuple(
            single.get(name, self._params[name]) for name in self._betas)
        return made

    def defaults(self) -> dict[str, Any]:
        """What a group gets where it gives nothing."""
        made = {**self.group_values(self._params), **self._others}
        for rule in self.rules:
            if rule.method != self.method and "lr" in rule.params and "lr" not in rule.own:
                made.setdefault(rule.method + ".lr", rule.params["lr"])
        return made

    # ---- groups as the library sees them -------------------------------------------

    def values(self, rule: Rule, group: Mapping[str, Any]) -> dict[str, Any]:
        """All values of a rule in a group, learning rates before the group's schedule."""
        made = dict(rule.params)
        given = {**group, **dict(zip(self._betas, group.get("betas", ())))}
        if "lr" in group:
            given["lr"] = group.get(REFERENCE) or group["lr"]  # of 0 no schedule can be a factor
        for name in made:
            key = name if rule.method == self.method else f"{rule.method}.{name}"
            if name not in rule.own and key in given:
                made[name] = given[key]
        return hyperparameters(made)

    @staticmethod
    def schedule(group: Mapping[str, Any]) -> float:
        """What schedulers have made of the group's learning rate, as a factor."""
        lr, reference = float(group["lr"]), float(group.get(REFERENCE, 0))
        if not 0 <= lr < math.inf:
            raise error("range", f"lr must be a number in [0, inf), not {lr}")
        return lr / reference if reference else 1.0

    def labelled(self, groups: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int, Rule]]:
        """(label, number of the group, rule) of every rule, in the library's order."""
        seen: dict[str, int] = {}
        for number in range(len(groups)):
            for rule in self.rules:
                seen[rule.method] = seen.get(rule.method, 0) + 1
                count = seen[rule.method]
                yield rule.method if count == 1 else f"{rule.method}#{count}", number, rule

    def rule_list(self, groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What the library gets: the list once for every group, for names that start with its number."""
        return [{**rule.match, "name": f"{number}.{rule.match.get('name', '*')}",
                 "params": self.values(rule, groups[number])} for _, number, rule in self.labelled(groups)]
