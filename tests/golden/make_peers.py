#!/usr/bin/env python3
"""Trajectories of reference implementations, in the format of this folder.

    make_peers.py [--timm FOLDER] [--nag-gs FOLDER] [OUT]

Runs what can be imported here (optax with JAX, torch with timm's and NAG-GS's sources, unchanged
unless a file says otherwise) in float64 on problem_main.json's fixed gradients, and writes
one file each.  Only needed when a trajectory is added; tests read the files.
"""
import argparse
import importlib.util
import json
import pathlib
import sys
import types

HERE = pathlib.Path(__file__).parent
STEPS = (1, 2, 3, 5, 10, 20)


def write(out, problem, name, optimizer, hyper, reference, params, notes=""):
    fields = {"name": name, "optimizer": optimizer, "hyperparameters": hyper, "reference": reference,
              "dtype": "float64", "independent_third_party": True, "notes": notes, "problem": "problem_main.json",
              "tensors": problem["tensors"], "initial_params": problem["initial_params"],
              "gradients": {"fixed": "problem_main.json: fixed.gradients"}, "cases": {"fixed": {"params": params}}}
    (out / f"{name}.json").write_text(json.dumps(fields, separators=(",", ":")) + "\n")
    print(name)


def shaped(values, tensor, array):
    return array(values).reshape(tensor["shape"])


# ---- optax ----------------------------------------------------------------


def run_jax(problem, transform):
    import jax.numpy as jnp
    import optax
    params = {t["name"]: shaped(problem["initial_params"][t["name"]], t, jnp.array) for t in problem["tensors"]}
    state, stored = transform.init(params), {}
    for step, gradient in enumerate(problem["fixed"]["gradients"][:max(STEPS)], 1):
        g = {t["name"]: shaped(gradient[t["name"]], t, jnp.array) for t in problem["tensors"]}
        updates, state = transform.update(g, state, params)
        params = optax.apply_updates(params, updates)
        if step in STEPS:
            stored[str(step)] = {k: [float(x) for x in v.ravel()] for k, v in params.items()}
    return stored


def with_optax(problem, out):
    import jax
    jax.config.update("jax_enable_x64", True)
    import optax
    version = {"repo": "google-deepmind/optax", "version": optax.__version__}
    cases = [
        ("fromage_optax", "Fromage (optax)", optax.fromage, {"learning_rate": 0.02, "min_norm": 1e-6}),
        ("adagrad_optax", "Adagrad (optax)", optax.adagrad,
         {"learning_rate": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-3}),
        ("amsgrad_optax", "AMSGrad (optax)", optax.amsgrad, {"learning_rate": 0.01, "b1": 0.9, "b2": 0.99, "eps": 1e-8}),
    ]
    for name, optimizer, make, given in cases:
        hyper = {("lr" if k == "learning_rate" else k): v for k, v in given.items()}
        reference = dict(version, path=f"optax.{make.__name__}", how="run unchanged, JAX in float64")
        write(out, problem, name, optimizer, hyper, reference, run_jax(problem, make(**given)))


def nag_gs_jax(problem, out, folder):
    """The module of its repository with what newer JAX has renamed, and gamma in float64."""
    import jax
    import optax
    path = pathlib.Path(folder) / "nag_gs" / "nag_gs_jax.py"
    source = path.read_text().replace("jax.tree_map", "jax.tree_util.tree_map").replace("jnp.float32", "jnp.float64")
    source = source.replace("safe_int32_increment", "safe_increment")
    module = types.ModuleType("nag_gs_jax")
    exec(compile(source, str(path), "exec"), module.__dict__)
    hyper = {"lr": 0.05, "mu": 1.0, "gamma": 1.5}
    reference = {"repo": "skolai/nag-gs", "path": "nag_gs/nag_gs_jax.py", "commit": "095235e1",
                 "how": f"run with patch: gamma in float64, names of jax {jax.__version__} and optax {optax.__version__}"}
    transform = module.nag_gs(alpha=hyper["lr"], mu=hyper["mu"], gamma=hyper["gamma"])
    write(out, problem, "nag_gs_jax", "NAG-GS (JAX)", hyper, reference, run_jax(problem, transform))


# ---- torch ----------------------------------------------------------------


def run_torch(problem, make, hyper):
    import torch
    torch.set_default_dtype(torch.float64)
    params = {t["name"]: torch.nn.Parameter(shaped(problem["initial_params"][t["name"]], t, torch.tensor))
              for t in problem["tensors"]}
    optimizer, stored = make(params.values(), **hyper), {}
    for step, gradient in enumerate(problem["fixed"]["gradients"][:max(STEPS)], 1):
        for t in problem["tensors"]:
            params[t["name"]].grad = shaped(gradient[t["name"]], t, torch.tensor)
        optimizer.step()
        if step in STEPS:
            stored[str(step)] = {k: v.detach().ravel().tolist() for k, v in params.items()}
    return stored


def with_timm(problem, out, folder):
    """timm's optimizers alone: the package itself would import torchvision."""
    package = types.ModuleType("timm_optim")
    package.__path__ = [str(pathlib.Path(folder) / "timm" / "optim")]
    sys.modules["timm_optim"] = package
    cases = [
        ("rmsprop_tf", "RMSpropTF", "rmsprop_tf", {"lr": 0.01, "alpha": 0.9, "eps": 1e-10}),
        ("rmsprop_tf_centered_momentum", "RMSpropTF", "rmsprop_tf",
         {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "momentum": 0.9, "centered": True, "weight_decay": 0.01}),
        ("laprop_cautious_timm", "LaProp", "laprop",
         {"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1, "caution": True}),
    ]
    for name, optimizer, module, hyper in cases:
        reference = {"repo": "huggingface/pytorch-image-models", "path": f"timm/optim/{module}.py",
                     "commit": "aa4b5850", "how": "run unchanged"}
        make = getattr(importlib.import_module(f"timm_optim.{module}"), optimizer)
        write(out, problem, name, optimizer, hyper, reference, run_torch(problem, make, hyper))


def nag_gs_torch(problem, out, folder):
    sys.path.insert(0, str(pathlib.Path(folder) / "nag_gs"))
    module = importlib.import_module("nag_gs_pytorch")
    unpatched = module.nag_gs

    def keeps_gammas(state, params, grads, lr, gammas, mu):
        gammas[:] = unpatched(state, params, grads, lr, gammas, mu)

    module.nag_gs = keeps_gammas
    reference = {"repo": "skolai/nag-gs", "path": "nag_gs/nag_gs_pytorch.py", "commit": "095235e1"}
    hyper = {"lr": 0.05, "mu": 2.0, "gamma": 1.5}
    write(out, problem, "nag_gs", "NAG-GS", hyper, dict(reference, how="run with patch: the gammas that the step returns "
          "are kept; unpatched they are dropped, which is NAG4"), run_torch(problem, module.NAGGS, hyper))
    write(out, problem, "nag4", "NAG4", hyper, dict(reference, how="run unchanged"), run_torch(problem, module.NAG4, hyper))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", default=HERE, type=pathlib.Path)
    parser.add_argument("--timm", help="checkout of pytorch-image-models")
    parser.add_argument("--nag-gs", help="checkout of nag-gs")
    args = parser.parse_args()
    problem = json.loads((HERE / "problem_main.json").read_text())
    if importlib.util.find_spec("optax"):
        with_optax(problem, args.out)
        if args.nag_gs:
            nag_gs_jax(problem, args.out, args.nag_gs)
    if importlib.util.find_spec("torch"):
        if args.timm:
            with_timm(problem, args.out, args.timm)
        if args.nag_gs:
            nag_gs_torch(problem, args.out, args.nag_gs)


main()
