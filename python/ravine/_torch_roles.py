"""What the parameters of a torch module are, read off the kinds of its layers."""
from __future__ import annotations

from typing import Any

import torch
from torch import nn

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def describe(model: nn.Module) -> dict[str, dict[str, Any]]:
    """{"roles": ..., "parts": ...} of a module's parameters, for ravine.torch.Optimizer.

    >>> known = ravine.torch.describe(model)
    >>> known["roles"]["lm_head.weight"] = "head"
    >>> opt = ravine.torch.Optimizer(model.named_parameters(), "muon", **known)
    >>> print(opt.table())

    The last linear layer is taken for the head, the first convolution for the one that reads the
    image, and the first linear layer for the input where no embedding or convolution stands
    before it.  Query, key and value of an nn.MultiheadAttention are three matrices in one.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    roles: dict[str, str] = {}
    parts: dict[str, int] = {}

    def give(param: torch.Tensor | None, role: str) -> None:
        if param is not None and id(param) in names:
            roles.setdefault(names[id(param)], role)  # a tied table is an embedding, not a head

    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    read = False  # whether a layer that reads the input came by
    for module in model.modules():
        if isinstance(module, _EMBEDDINGS):
            give(module.weight, "embedding")
            read = True
        elif isinstance(module, _CONVOLUTIONS):
            give(module.weight, "conv" if read else "first_conv")
            read = True
        elif isinstance(module, nn.Linear):
            give(module.weight, "head" if module is linear[-1] else "hidden" if read else "input")
            read = True
        elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            give(module.in_proj_weight, "hidden")
            parts[names[id(module.in_proj_weight)]] = 3
        elif "Norm" in type(module).__name__:
            for param in module.parameters(recurse=False):
                give(param, "norm")
    return {"roles": roles, "parts": parts}
