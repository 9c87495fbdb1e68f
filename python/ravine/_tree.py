"""Nested containers of arrays: flattened by jax where it is in use, else by the same rules."""
from __future__ import annotations

import sys
from typing import Any, Callable

Rebuild = Callable[["list[Any]"], Any]


def flatten(tree: Any) -> tuple[list[str], list[Any], Rebuild]:
    """(names, leaves, what puts leaves back).  Names are paths, such as "layer0.w"."""
    jax = sys.modules.get("jax")
    if jax is not None:
        pairs, structure = jax.tree_util.tree_flatten_with_path(tree)
        return [_path(path) for path, _ in pairs], [leaf for _, leaf in pairs], structure.unflatten
    names: list[str] = []
    leaves: list[Any] = []
    build = _walk(tree, "", names, leaves)
    return names, leaves, lambda values: build(iter(values))


def _path(path: Any) -> str:
    words = []
    for key in path:
        for field in ("key", "idx", "name"):
            if hasattr(key, field):
                words.append(str(getattr(key, field)))
                break
    return ".".join(words) or "w"


def _walk(tree: Any, prefix: str, names: list[str], leaves: list[Any]) -> Any:
    """As jax does it: dictionaries by sorted key, None is no leaf."""
    def inner(key: Any, value: Any) -> Any:
        return _walk(value, f"{prefix}.{key}" if prefix else str(key), names, leaves)

    if tree is None:
        return lambda values: None
    if isinstance(tree, dict):
        keys = sorted(tree)
        parts = [inner(k, tree[k]) for k in keys]
        return lambda values: type(tree)((k, part(values)) for k, part in zip(keys, parts))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        parts = [inner(k, v) for k, v in zip(tree._fields, tree)]
        return lambda values: type(tree)(*(part(values) for part in parts))
    if isinstance(tree, (list, tuple)):
        parts = [inner(i, v) for i, v in enumerate(tree)]
        return lambda values: type(tree)(part(values) for part in parts)
    names.append(prefix or "w")
    leaves.append(tree)
    return lambda values: next(values)
