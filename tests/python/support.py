"""What the tests of the Python package share: interpreters with peers, and golden trajectories."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT / "python"))

# Golden file: method and what its hyperparameters lack (betas is understood as it is).
CASES = {
    "sgd": ("sgd", {}),
    "sgd_momentum_dampening_wd": ("sgd", {}),
    "sgd_nesterov_wd": ("sgd", {}),
    "adamw": ("adamw", {}),
    "adamw_amsgrad": ("adamw", {}),
    "nadamw_algoperf": ("nadamw", {}),
    "nadam_decoupled": ("nadam", {"decay": "decoupled"}),
    "lion_wd": ("lion", {}),
    "adan": ("adan", {}),
    "schedulefree_adamw_wd_warmup": ("schedule_free_adamw", {}),
    "clip_global_norm_sgd": ("sgd", {"wrappers": "clip_norm(max_norm=1)"}),
    "muon_wd": ("muon", {"kernel_scale": "released", "lr": 0.02, "momentum": 0.95, "nesterov": True, "ns_steps": 5,
                         "weight_decay": 0.1,
                         "adamw": {"lr": 0.003, "betas": [0.9, 0.95], "eps": 1e-10, "weight_decay": 0.1}}),
}
OURS_ALONE = ("decoupled_weight_decay", "max_norm", "norm_type", "clip_coef", "muon", "adam")


def tolerance(name):
    return 1e-10 if name.startswith("muon") else 1e-12


class Golden:
    """A file of tests/golden: arguments for our method, tensors, gradients, and what must come out."""

    def __init__(self, name):
        self.name = name
        file, problem = self._read(name), self._read("problem_main")
        self.method, extra = CASES[name]
        self.arguments = {k: v for k, v in file["hyperparameters"].items() if k not in OURS_ALONE} | extra
        self.tensors = {t["name"]: tuple(t["shape"]) for t in file["tensors"]}
        self.start = problem["initial_params"]
        self.gradients = problem["fixed"]["gradients"]
        self.params = {int(k): v for k, v in file["cases"]["fixed"]["params"].items()}
        self.eval_params = {int(k): v for k, v in file["cases"]["fixed"].get("eval_params", {}).items()}

    @staticmethod
    def _read(name):
        return json.loads((GOLDEN / f"{name}.json").read_text())

    def check(self, case, step, values):
        """values, {name: flat list}, against the file, if it has this step."""
        if step in self.params:
            self._compare(case, self.params[step], values, step)

    def check_evaluation(self, case, step, values):
        if step in self.eval_params:
            self._compare(case, self.eval_params[step], values, step)

    def _compare(self, case, expected, values, step):
        for name, numbers in expected.items():
            scale = max(map(abs, numbers))
            worst = max(abs(a - b) for a, b in zip(numbers, values[name], strict=True))
            case.assertLessEqual(worst, tolerance(self.name) * scale, (self.name, step, name))


def prefer(*modules):
    """Goes on in an interpreter that has all these modules, if there is one."""
    if all(importlib.util.find_spec(m) for m in modules):
        return
    line = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {modules!r})))"
    for python in filter(None, os.environ.get("RAVINE_PEER_PYTHON", "").split(":")):
        if subprocess.run([python, "-c", line], capture_output=True).returncode == 0:
            os.execv(python, [python, "-B", *sys.argv])


def need(*modules):
    """The same, or skips the test (exit 77)."""
    prefer(*modules)
    if all(importlib.util.find_spec(m) for m in modules):
        return
    print(f"skipped: no interpreter with {', '.join(modules)}; RAVINE_PEER_PYTHON can name some")
    raise SystemExit(77)


class Case(unittest.TestCase):
    """A test in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ravine-python-")
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def refused(self, *words, status="argument"):
        """A context in which ravine.Error must be raised with these words in its message."""
        import ravine

        case = self

        class Context:
            def __enter__(self):
                return self

            def __exit__(self, kind, error, trace):
                case.assertIsInstance(error, ravine.Error, words)
                case.assertEqual(error.status, status, error)
                for word in words:
                    case.assertIn(word, str(error))
                return True

        return Context()
