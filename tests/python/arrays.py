#!/usr/bin/env python3
"""ravine.Optimizer on plain buffers: the standard library alone."""
import array
import json
import math
import struct
import unittest

from support import CASES, Case, Golden

import ravine


def buffer(values, shape, code="d"):
    """A writable buffer of that shape."""
    flat = memoryview(array.array(code, values))
    return flat.cast("B").cast(code, shape)


def flat(view):
    return list(view.cast("B").cast(view.format))


def zeros(*shape, code="d"):
    return buffer([0] * math.prod(shape), shape, code)


class Trajectories(Case):
    def test_golden_in_place(self):
        for name in CASES:
            golden = Golden(name)
            w = {n: buffer(golden.start[n], s) for n, s in golden.tensors.items()}
            opt = ravine.Optimizer(w, golden.method, **golden.arguments)
            for step, gradients in enumerate(golden.gradients, 1):
                opt.step({n: buffer(gradients[n], s) for n, s in golden.tensors.items()})
                golden.check(self, step, {n: flat(v) for n, v in w.items()})
                golden.check_evaluation(self, step, {n: flat(v) for n, v in opt.evaluation_weights().items()})
            self.assertEqual(opt.steps, len(golden.gradients))

    def test_a_closure_is_called_at_other_weights(self):
        """SAM on w^2/2: the gradient at w + rho g/|g| is w + rho sign(w)."""
        w = buffer([2.0], [1])
        opt = ravine.Optimizer([w], "sgd", lr=0.1, wrappers="sam(rho=0.5)")
        self.assertTrue(opt.wants_closure)
        seen = []

        def closure(weights):
            seen.append(weights["0"][0])
            return 0.0, [buffer(seen, [1])]

        opt.step([buffer([2.0], [1])], closure=closure)
        self.assertAlmostEqual(seen[0], 2.5, places=10)
        self.assertAlmostEqual(w[0], 2 - 0.1 * 2.5, places=10)
        with self.refused("needs closure="):
            opt.step([zeros(1)])
        with self.assertRaises(ZeroDivisionError):
            opt.step([buffer([2.0], [1])], closure=lambda weights: 1 / 0)

    def test_threads_change_nothing(self):
        results = []
        for threads in (1, 3):
            w = buffer([math.sin(i) for i in range(100_000)], [250, 400], "f")
            opt = ravine.Optimizer([w], "muon", threads=threads, lr=0.1)
            for step in range(3):
                opt.step([buffer([math.cos(i * (step + 1)) for i in range(100_000)], [250, 400], "f")])
            results.append(bytes(w))
        self.assertEqual(*results)


class State(Case):
    def trained(self, steps=5):
        w = buffer([1, 2, 3, 4, 5, 6], [2, 3])
        opt = ravine.Optimizer({"w": w}, "schedule_free_adamw", lr=0.1, state_dtype="bf16")
        for i in range(steps):
            opt.step({"w": buffer([math.sin(i + k) for k in range(6)], [2, 3])})
        return w, opt

    def test_state_and_file_go_on_bit_for_bit(self):
        g = {"w": buffer([0.3, -1, 2, 0, 1, 7], [2, 3])}
        w, opt = self.trained()
        state, weights = opt.state(), bytes(w)
        opt.save(self.dir / "state.safetensors")
        opt.step(g)
        expected = bytes(w)
        for how in ("state", "file"):
            other, fresh = self.trained(0)
            other.cast("B")[:] = weights
            fresh.load_state(state) if how == "state" else fresh.load(self.dir / "state.safetensors")
            fresh.step(g)
            self.assertEqual(bytes(other), expected, how)
            self.assertEqual(fresh.steps, 6)

    def test_the_file_is_safetensors(self):
        w, opt = self.trained()
        opt.save(self.dir / "state.safetensors")
        data = (self.dir / "state.safetensors").read_bytes()
        size, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + size])
        config = json.loads(header.pop("__metadata__")["optimizer"])
        self.assertEqual(config["method"], "schedule_free_adamw")
        self.assertEqual(header["schedule_free_adamw.v.w"]["shape"], [2, 3])
        self.assertEqual(header["schedule_free_adamw.v.w"]["dtype"], "BF16")
        begin, end = header["steps"]["data_offsets"]
        self.assertEqual(struct.unpack("<d", data[8 + size + begin:8 + size + end]), (5.0,))
        self.assertEqual(max(h["data_offsets"][1] for h in header.values()), len(data) - 8 - size)

    def test_a_state_that_does_not_fit_changes_nothing(self):
        w, opt = self.trained()
        before = {k: bytes(v) for k, v in opt.state().items()}
        other = ravine.Optimizer({"w": zeros(3, 2)}, "schedule_free_adamw")
        with self.refused("[2, 3]", "[3, 2]", status="mismatch"):
            opt.load_state(other.state())
        with self.refused("missing", status="mismatch"):
            opt.load_state({})
        (self.dir / "bad").write_bytes(b"12345678901")
        with self.refused("bad", status="format"):
            opt.load(self.dir / "bad")
        with self.assertRaises(OSError):
            opt.load(self.dir / "absent")
        self.assertEqual({k: bytes(v) for k, v in opt.state().items()}, before)


class Misuse(Case):
    def test_arrays(self):
        w = zeros(4, 6)
        for params, words in (
                ([w[::2]], ("0: not contiguous", "(2, 6)")),
                ([memoryview(b"12345678").cast("d")], ("read-only",)),
                ([memoryview(bytearray(8))], ("float32 or float64", "found B")),
                ([zeros(2), zeros(2, code="f")], ("1: expected f64 like 0, found f32",)),
                ([object()], ("expected a NumPy array", "found object")),
                ([zeros(1, 1, 1, 1, 1, 1)], ("at most 5 dimensions",)),
                ({"a": w, "b": w[1:2]}, ("b: its memory overlaps that of a",)),
                (w, ("[array]",)),
                ({"a": w, " ": zeros(1), "": zeros(1)}, ("no name",))):
            with self.refused(*words):
                ravine.Optimizer(params)

    def test_gradients(self):
        w = zeros(4, 6)
        opt = ravine.Optimizer({"w": w}, "adamw")
        for grads, words in (({}, ("missing ['w']",)), ({"w": w}, ("overlaps",)),
                             ({"w": zeros(6, 4)}, ("gradient of w: expected shape (4, 6), found (6, 4)",)),
                             ({"w": zeros(4, 6, code="f")}, ("expected f64, found f32",)),
                             ({"w": zeros(4, 6), "x": w}, ("not a parameter ['x']",)),
                             ([zeros(8, 6)[::2]], ("not contiguous",))):
            with self.refused(*words):
                opt.step(grads)
        self.assertEqual((opt.steps, set(flat(w))), (0, {0.0}))

    def test_values(self):
        for arguments, words, status in (
                ({"method": "adamm"}, ("adamm", "adam"), "unknown"), ({"lrr": 1}, ("lrr", "lr"), "unknown"),
                ({"lr": -1}, ("lr", "[0, inf)"), "range"), ({"lr": "fast"}, ("lr",), "argument"),
                ({"lr": [1]}, ("expected a number",), "argument"), ({"betas": (0.9,), "beta1": 0.9}, ("beta1",), "argument"),
                ({"roles": {"*": "neck"}}, ("neck", "hidden"), "argument"), ({"wrappers": "emma"}, ("emma",), "unknown"),
                ({"rules": [{"role": "bias", "method": "sgd"}]}, ("no rule matches tensor '0'",), "unknown"),
                ({"state_dtype": "f16"}, ("bf16",), "argument")):
            with self.refused(*words, status=status):
                ravine.Optimizer([zeros(2, 2)], **arguments)

    def test_a_value_that_is_not_finite_never_reaches_the_weights(self):
        w = zeros(3)
        opt = ravine.Optimizer({"w": w}, "sgd", lr=1)
        with self.refused("'w'", "step 1", status="numeric"):
            opt.step([buffer([1, math.nan, 1], [3])])
        self.assertTrue(all(map(math.isfinite, w)))
        with self.assertRaises(ArithmeticError):
            opt.step([buffer([1, math.inf, 1], [3])])


class Told(Case):
    def test_methods(self):
        self.assertIn("adamw", ravine.methods())
        self.assertIn("clip_norm", ravine.wrappers())
        for name in ravine.methods() + ravine.wrappers() + ravine.schedules():
            text = ravine.explain(name)
            self.assertTrue(text.startswith(name), name)
        self.assertIn("sqrt(v)", ravine.method("adamw").equations)
        self.assertEqual([p.default for p in ravine.method("adamw").params if p.name == "beta2"], ["0.999"])
        with self.refused("did you mean 'adamw'", status="unknown"):
            ravine.explain("adamww")

    def test_rules_and_names(self):
        w = {"embed": zeros(5, 4), "deep.weight": zeros(4, 4), "deep.bias": zeros(4), "x" * 99: zeros(2)}
        opt = ravine.Optimizer(w, "muon", roles={"emb*": "embedding"}, lr=0.02, adamw={"lr": 3e-3})
        self.assertEqual([(r.tensor, r.role, r.method, r.lr) for r in opt.rows()],
                         [("embed", "embedding", "adamw", 3e-3), ("deep.weight", "hidden", "muon", 0.02),
                          ("deep.bias", "bias", "adamw", 3e-3), ("x" * 99, "bias", "adamw", 3e-3)])
        self.assertIn("deep.weight", opt.table())
        opt.set_lr_factor(0.5)
        opt.set("adamw.beta1", 0.8)
        self.assertEqual((opt.get("lr"), opt.get("adamw.lr"), opt.get("adamw.beta1")), (0.01, 1.5e-3, 0.8))

    def test_schedule(self):
        cosine = ravine.schedule("cosine", 100)
        self.assertEqual(cosine(0), 1)
        self.assertAlmostEqual(cosine(50), 0.5)
        with self.refused("warp", status="unknown"):
            ravine.schedule("cosine", 100, warp=1)
        with self.refused("cosine", status="unknown"):
            ravine.schedule("cosin", 100)


if __name__ == "__main__":
    unittest.main()
