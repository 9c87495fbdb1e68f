#!/usr/bin/env python3
"""ravine.optax: pure, on plain NumPy, under jit, and beside optax itself."""
import collections
import copy
import sys
import unittest

from support import CASES, Case, Golden, need

need("numpy", "jax", "optax")
import numpy  # noqa: E402

import ravine.optax  # noqa: E402

Point = collections.namedtuple("Point", "x y")


def flat(tree):
    return {name: numpy.asarray(a).ravel().tolist() for name, a in tree.items()}


class Plain(Case):
    """Without jax, though it is installed: these run before the import below."""

    def test_1_golden(self):
        self.assertNotIn("jax", sys.modules)
        for name in CASES:
            golden = Golden(name)
            params = {n: numpy.array(golden.start[n]).reshape(s) for n, s in golden.tensors.items()}
            arguments = dict(golden.arguments)
            tx = getattr(ravine.optax, golden.method)(arguments.pop("lr"), **arguments)
            state = tx.init(params)
            for step, gradients in enumerate(golden.gradients, 1):
                grads = {n: numpy.array(gradients[n]).reshape(s) for n, s in golden.tensors.items()}
                updates, state = tx.update(grads, state, params)
                params = ravine.optax.apply_updates(params, updates)
                golden.check(self, step, flat(params))
                golden.check_evaluation(self, step, flat(ravine.optax.evaluation_params(tx, state, params)))
            self.assertEqual(int(state.count), len(golden.gradients))
        self.assertNotIn("jax", sys.modules)

    def test_1_nothing_is_changed(self):
        params = {"b": [numpy.ones(3), None], "a": Point(numpy.ones((2, 2)), numpy.array(1.0))}
        grads = {"b": [numpy.full(3, 2.0), None], "a": Point(numpy.ones((2, 2)), numpy.array(3.0))}
        tx = ravine.optax.schedule_free_adamw(0.1)
        state = tx.init(params)
        kept = copy.deepcopy((params, grads, state))
        first = tx.update(grads, state, params)
        second = tx.update(grads, state, params)
        numpy.testing.assert_equal((params, grads, state), kept)
        numpy.testing.assert_equal(first, second)
        self.assertIsInstance(first[0]["a"], Point)
        self.assertEqual(first[0]["b"][1], None)

    def test_1_two_at_once(self):
        """States of one transformation do not meet, whatever the order of calls."""
        tx = ravine.optax.adamw(0.1)
        grads = [{"w": numpy.full(2, 1.0)}, {"w": numpy.full(2, -2.0)}]
        runs = []
        for mixed in (False, True):
            params = [{"w": numpy.zeros(2)}, {"w": numpy.ones(2)}]
            states = [tx.init(p) for p in params]
            order = [0, 1, 0, 1, 0, 1] if mixed else [0, 0, 0, 1, 1, 1]
            for i in order:
                updates, states[i] = tx.update(grads[i], states[i], params[i])
                params[i] = ravine.optax.apply_updates(params[i], updates)
            runs.append(params)
        numpy.testing.assert_equal(*runs)

    def test_1_a_schedule(self):
        tx = ravine.optax.sgd(lambda count: [1.0, 0.5, 0.0][count])
        params = {"w": numpy.zeros(1)}
        state, moves = tx.init(params), []
        for _ in range(3):
            updates, state = tx.update({"w": numpy.ones(1)}, state, params)
            moves.append(float(updates["w"][0]))
        self.assertEqual(moves, [-1, -0.5, 0])

    def test_1_refused(self):
        params = {"w": numpy.zeros((2, 3))}
        tx = ravine.optax.adamw(0.1)
        state = tx.init(params)
        for call, words in ((lambda: tx.update(params, state), ("needs the parameters",)),
                            (lambda: tx.update({"v": params["w"]}, state, params), ("['w']", "['v']")),
                            (lambda: tx.update({"w": numpy.zeros((3, 2))}, state, params), ("(2, 3)", "(3, 2)")),
                            (lambda: ravine.optax.sgd(0.1).update(params, state, params), ("another method",)),
                            (lambda: tx.init({"w": numpy.zeros(2, "int32")}), ("float32 or float64",))):
            with self.refused(*words):
                call()
        with self.refused("closure", status="unsupported"):
            ravine.optax.sgd(0.1, wrappers="sam").init(params)
        with self.refused("lrr", status="unknown"):
            ravine.optax.sgd(0.1, lrr=1)
        with self.assertRaisesRegex(AttributeError, "adamm"):
            ravine.optax.adamm


class WithJax(Case):
    @classmethod
    def setUpClass(cls):
        global jax, optax
        import jax
        import optax

    def trained(self, tx, dtype, jit, steps=20):
        params = {"a": jax.numpy.arange(6, dtype=dtype).reshape(2, 3) / 7, "b": jax.numpy.ones(3, dtype)}
        state = tx.init(params)

        def step(params, state):
            grads = jax.grad(lambda p: ((p["a"] @ p["b"] - 1) ** 2).sum())(params)
            updates, state = tx.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        step = jax.jit(step) if jit else step
        for _ in range(steps):
            params, state = step(params, state)
        return params

    def test_2_is_optax(self):
        pairs = [(optax.adamw(0.05, weight_decay=0.1), ravine.optax.adamw(0.05, weight_decay=0.1)),
                 (optax.sgd(0.02, momentum=0.9), ravine.optax.sgd(0.02, momentum=0.9)),
                 (optax.lion(0.01, weight_decay=0), ravine.optax.lion(0.01, weight_decay=0)),
                 (optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.05)),
                  optax.chain(optax.clip_by_global_norm(1.0), ravine.optax.adam(0.05)))]
        for x64, tolerance in ((True, 1e-12), (False, 2e-5)):
            jax.config.update("jax_enable_x64", x64)
            dtype = "float64" if x64 else "float32"
            for theirs, ours in pairs:
                expected, jitted, plain = (self.trained(tx, dtype, jit) for tx, jit in
                                           ((theirs, True), (ours, True), (ours, False)))
                for name in expected:
                    self.assertEqual(jitted[name].dtype, dtype)
                    for found in (jitted, plain):
                        self.assertLess(float(abs(expected[name] - found[name]).max()), tolerance)

    def test_2_scalars_go_through_a_jax_of_32_bits(self):
        """The largest learning rate so far, 0.1 in double, comes back from jit as it was."""
        jax.config.update("jax_enable_x64", False)
        tx = ravine.optax.schedule_free_adamw(0.1)
        params = {"w": jax.numpy.ones(3)}
        state = jax.jit(tx.init)(params)
        _, state = jax.jit(tx.update)(params, state, params)
        self.assertIn(0.1, numpy.ascontiguousarray(state.scalars).view("float64").ravel().tolist())

    def test_2_state_is_a_tree(self):
        tx = ravine.optax.adamw(0.1)
        state = tx.init({"w": jax.numpy.ones(3)})
        self.assertEqual(sorted(a.shape for a in jax.tree_util.tree_leaves(state)), [(), (1, 2), (3,), (3,)])
        self.assertEqual(int(optax.tree_utils.tree_get(state, "count")), 0)


if __name__ == "__main__":
    unittest.main()
