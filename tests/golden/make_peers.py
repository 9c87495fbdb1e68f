#!/usr/bin/env python3
"""Trajectories of reference implementations, in the format of this folder.

    make_peers.py [--timm FOLDER] [--nag-gs FOLDER] [OUT]
    (pip install --no-deps prodigyopt dadaptation timm dog-optimizer pytorch_optimizer, beside torch)

Runs what can be imported here (optax with JAX, torch with timm's and NAG-GS's sources, unchanged
unless a file says otherwise) in float64 on problem_main.json's fixed gradients, and writes
one file each.  Only needed when a trajectory is added; tests read the files.
"""
import argparse
import importlib.metadata
import importlib.util
import json
import pathlib
import sys
import types

HERE = pathlib.Path(__file__).parent
STEPS = (1, 2, 3, 5, 10, 20)


def write(out, problem, name, optimizer, hyper, reference, params, notes="", averages=None):
    fields = {"name": name, "optimizer": optimizer, "hyperparameters": hyper, "reference": reference,
              "dtype": "float64", "independent_third_party": True, "notes": notes, "problem": "problem_main.json",
              "tensors": problem["tensors"], "initial_params": problem["initial_params"],
              "gradients": {"fixed": "problem_main.json: fixed.gradients"}, "cases": {"fixed": {"params": params}}}
    if averages:
        fields["cases"]["fixed"]["eval_params"] = averages
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


def run_torch(problem, make, hyper, before=None, after=None):
    """before(parameters) changes gradients, after(step, parameters by name) looks at the new weights."""
    import torch
    torch.set_default_dtype(torch.float64)
    params = {t["name"]: torch.nn.Parameter(shaped(problem["initial_params"][t["name"]], t, torch.tensor))
              for t in problem["tensors"]}
    optimizer, stored = make(params.values(), **hyper), {}
    for step, gradient in enumerate(problem["fixed"]["gradients"][:max(STEPS)], 1):
        for t in problem["tensors"]:
            params[t["name"]].grad = shaped(gradient[t["name"]], t, torch.tensor)
        if before:
            before(list(params.values()))
        optimizer.step()
        if after:
            after(step, params)
        if step in STEPS:
            stored[str(step)] = {k: v.detach().ravel().tolist() for k, v in params.items()}
    return stored


def installed(package, folder, name):
    """A file of a package of PyPI: how it is said in `reference`, and the file as a module of its own
    (the package would import what is not needed)."""
    top, *below = folder.split("/")
    place = pathlib.Path(importlib.util.find_spec(top).origin).parent.joinpath(*below)
    spec = importlib.util.spec_from_file_location(name, place / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {"package": package, "path": f"{folder}/{name}.py", "version": importlib.metadata.version(package),
            "how": "run unchanged"}, module


def with_estimates(problem, out):
    """Options of the methods that estimate a distance."""
    reference, module = installed("prodigyopt", "prodigyopt", "prodigy")
    hyper = {"lr": 1.0, "betas": [0.9, 0.999], "weight_decay": 0.01, "d0": 1e-3, "slice_p": 5}
    write(out, problem, "prodigy_sliced", "Prodigy", hyper, reference, run_torch(problem, module.Prodigy, hyper))
    reference, module = installed("dadaptation", "dadaptation", "dadapt_adam")
    hyper = {"lr": 1.0, "betas": [0.9, 0.999], "weight_decay": 0.01, "decouple": True, "d0": 1e-3}

    def make(params, **given):
        return module.DAdaptAdam([{"params": list(params), "layer_scale": 0.3}], **given)

    write(out, problem, "dadaptadam_scaled", "DAdaptAdam", dict(hyper, layer_scale=0.3), reference,
          run_torch(problem, make, hyper))


def with_wrappers(problem, out):
    """What stands around a method."""
    import torch
    reference, agc = installed("timm", "timm/utils", "agc")
    hyper = {"lr": 0.05, "clip_factor": 0.1, "eps": 0.5}
    write(out, problem, "agc_sgd", "SGD + adaptive_clip_grad", hyper, reference,
          run_torch(problem, torch.optim.SGD, {"lr": 0.05},
                    before=lambda ps: agc.adaptive_clip_grad(ps, clip_factor=0.1, eps=0.5)))
    reference, averager = installed("dog-optimizer", "dog", "averager")
    averages, model, kept = {}, torch.nn.Module(), []

    def average(step, params):
        if not kept:
            for name, p in params.items():
                model.register_parameter(name, p)
            kept.append(averager.PolynomialDecayAverager(model, gamma=3.0))
        kept[0].step()
        if step in STEPS:
            averages[str(step)] = {k: v.detach().ravel().tolist() for k, v in kept[0].averaged_model.named_parameters()}

    hyper = {"lr": 0.01, "betas": [0.9, 0.999], "weight_decay": 0.1}
    params = run_torch(problem, torch.optim.AdamW, hyper, after=average)
    write(out, problem, "poly_average_adamw", "AdamW with polynomial decay averaging", dict(hyper, gamma=3.0),
          reference, params, averages=averages)
    reference = {"package": "torch", "path": "torch/optim/adamw.py", "version": torch.__version__, "how": "run unchanged"}
    write(out, problem, "decay_adam", "AdamW as decay around Adam", hyper, reference, run_torch(problem, torch.optim.AdamW, hyper))
    import pytorch_optimizer
    reference = {"package": "pytorch_optimizer", "path": "pytorch_optimizer/optimizer/orthograd.py",
                 "version": importlib.metadata.version("pytorch_optimizer"), "how": "run unchanged"}
    write(out, problem, "orthograd_sgd", "SGD + OrthoGrad", {"lr": 0.05}, reference,
          run_torch(problem, lambda ps, **kw: pytorch_optimizer.OrthoGrad(torch.optim.SGD(list(ps), **kw)), {"lr": 0.05}))


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
        if importlib.util.find_spec("prodigyopt") and importlib.util.find_spec("dadaptation"):
            with_estimates(problem, args.out)
        if all(importlib.util.find_spec(p) for p in ("timm", "dog", "pytorch_optimizer")):
            with_wrappers(problem, args.out)
        if args.timm:
            with_timm(problem, args.out, args.timm)
        if args.nag_gs:
            nag_gs_torch(problem, args.out, args.nag_gs)


main()
