#!/usr/bin/env python3
"""ravine.Optimizer on NumPy arrays: in place, without copies, and what is refused."""
import unittest

from support import CASES, Case, Golden, need

need("numpy")
import numpy  # noqa: E402

import ravine  # noqa: E402


class Arrays(Case):
    def test_golden_in_place(self):
        for name in CASES:
            golden = Golden(name)
            w = {n: numpy.array(golden.start[n]).reshape(s) for n, s in golden.tensors.items()}
            places = {n: a.ctypes.data for n, a in w.items()}
            opt = ravine.Optimizer(w, golden.method, **golden.arguments)
            for step, gradients in enumerate(golden.gradients, 1):
                opt.step({n: numpy.array(gradients[n]).reshape(s) for n, s in golden.tensors.items()})
                golden.check(self, step, {n: a.ravel().tolist() for n, a in w.items()})
            self.assertEqual({n: a.ctypes.data for n, a in w.items()}, places)

    def test_views_into_one_vector(self):
        """Rows of one array, with padding around them that nothing touches."""
        whole = numpy.ones((4, 8), "float32")
        opt = ravine.Optimizer([whole[1], whole[3]], "sgd", lr=1)
        opt.step([numpy.ones(8, "float32")] * 2)  # one gradient for both is only read
        numpy.testing.assert_array_equal(whole, [[1] * 8, [0] * 8, [1] * 8, [0] * 8])

    def test_a_read_only_gradient_is_enough(self):
        w, g = numpy.ones(3), numpy.ones(3)
        g.flags.writeable = False
        ravine.Optimizer([w], "sgd", lr=1).step([g])
        self.assertEqual(w.tolist(), [0, 0, 0])

    def test_a_gradient_updated_in_place_is_read_anew(self):
        w, g = numpy.zeros(2), numpy.ones(2)
        opt = ravine.Optimizer([w], "sgd", lr=1)
        opt.step([g])
        g[:] = 10
        opt.step([g])
        self.assertEqual(w.tolist(), [-11, -11])

    def test_state_is_numpy(self):
        w = numpy.ones((2, 0, 3)), numpy.ones(4), numpy.array(1.0)
        opt = ravine.Optimizer(w, "adamw")
        opt.step([numpy.ones_like(a) for a in w])
        state = opt.state()
        self.assertEqual(state["adamw.m.0"].shape, (2, 0, 3))
        numpy.testing.assert_allclose(state["adamw.m.1"], 0.1)
        self.assertEqual(state["adamw.m.2"].shape, ())
        opt.load_state({name: array.copy() for name, array in state.items()})

    def test_state_outlives_its_optimizer(self):
        opt = ravine.Optimizer([numpy.ones(4)], "schedule_free_adamw", lr=1)
        state, weights = opt.state(), opt.evaluation_weights()
        del opt
        self.assertEqual(state["schedule_free_adamw.z.0"].tolist(), [1] * 4)
        self.assertEqual(weights["0"].tolist(), [1] * 4)

    def test_refused(self):
        ones = numpy.ones((4, 6))
        fixed = ones.copy()
        fixed.flags.writeable = False
        odd = numpy.zeros(33, "uint8")[1:].view("float64")
        for array, words in ((ones.T, ("w: not contiguous", "(6, 4)", "ascontiguousarray")), (ones[:, 1:], ("not contiguous",)),
                             (ones.astype("int64"), ("float32 or float64", "<i8")), (ones.astype("float16"), ("<f2",)),
                             (ones.astype(">f8"), ("byte order", ">f8")), (fixed, ("read-only",)), (odd, ("aligned",)),
                             (numpy.array(["a"]), ("float32 or float64",))):
            with self.refused(*words):
                ravine.Optimizer({"w": array})
        opt = ravine.Optimizer({"w": ones})
        with self.refused("gradient of w: not contiguous"):
            opt.step({"w": numpy.ones((6, 4)).T})
        with self.refused("gradient of w", "overlaps"):
            opt.step({"w": ones})


if __name__ == "__main__":
    unittest.main()
