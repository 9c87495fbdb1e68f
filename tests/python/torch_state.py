#!/usr/bin/env python3
"""State of ravine.torch.Optimizer out and in: 10 steps are 5, a file, and 5 more, bit for bit."""
import copy
import io
import pickle
import unittest

from support import Case, need

need("torch", "numpy")
import torch  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402

import ravine.torch  # noqa: E402
from torch_support import bits, loss_of, net, train  # noqa: E402


def through_a_file(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def groups_of(model):
    named = list(model.named_parameters())
    return [{"params": named[:4]}, {"params": named[4:], "lr": 3e-3}]


class Resume(Case):
    def resumed(self, dtype=torch.float32, **arguments):
        model = net(dtype)
        opt = ravine.torch.Optimizer(groups_of(model), **arguments)
        schedule = lr_scheduler.CosineAnnealingLR(opt, 20)
        train(model, opt, 5, schedule.step)
        saved = through_a_file({"model": model.state_dict(), "opt": opt.state_dict(), "schedule": schedule.state_dict()})
        train(model, opt, 5, schedule.step)

        other = net(dtype, seed=7)
        fresh = ravine.torch.Optimizer(groups_of(other), **{**arguments, "lr": 0.77})
        again = lr_scheduler.CosineAnnealingLR(fresh, 20)
        other.load_state_dict(saved["model"])
        fresh.load_state_dict(saved["opt"])
        again.load_state_dict(saved["schedule"])
        train(other, fresh, 5, again.step)
        self.assertEqual(bits(model), bits(other), arguments)
        self.assertEqual(opt.state_dict()["state"][0]["step"], 10)

    def test_every_method(self):
        for method in ravine.methods():
            if method != "kfac":  # needs to see layers: below
                self.resumed(method=method, lr=1e-3)

    def test_layers_are_not_seen(self):
        with self.assertRaisesRegex(ravine.Error, "kfac needs to know the linear layers of a network"):
            self.resumed(method="kfac", lr=1e-3)

    def test_every_wrapper(self):
        for wrapper in ravine.wrappers():
            if wrapper != "accumulate":  # counts its own steps: below
                self.resumed(method="adamw", lr=1e-2, wrappers=wrapper)

    def test_half_precision_state_and_doubles(self):
        self.resumed(method="adamw", lr=1e-2, state_dtype="bf16", seed=3)
        self.resumed(method="schedule_free_adamw", lr=1e-2, dtype=torch.float64)

    def test_accumulation(self):
        runs = []
        for stop in (None, 5):
            model = net()
            opt = ravine.torch.Optimizer(model, "sgd", lr=0.1, wrappers="accumulate(steps=2)")
            for i in range(10):
                if i == stop:
                    saved = through_a_file(opt.state_dict())
                    opt = ravine.torch.Optimizer(model, "sgd", lr=0.1, wrappers="accumulate(steps=2)")
                    opt.load_state_dict(saved)
                opt.zero_grad()
                loss_of(model).backward()
                opt.step()
            runs.append(bits(model))
            self.assertEqual(opt.state_dict()["state"][0]["step"], 5)
        self.assertEqual(*runs)

    def test_a_copy_is_another_optimizer(self):
        for how in (copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
            model = net()
            opt = ravine.torch.Optimizer(model, "muon", lr=0.02, adamw={"lr": 1e-3}, wrappers="ema")
            train(model, opt, 5)
            other, fresh = how((model, opt))
            train(other, fresh, 5)
            self.assertNotEqual(bits(model), bits(other))
            train(model, opt, 5)
            self.assertEqual(bits(model), bits(other))

    def test_safetensors(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw", lr=0.01)
        train(model, opt, 5)
        opt.save(self.dir / "state.safetensors")
        other = copy.deepcopy(model)
        fresh = ravine.torch.Optimizer(other, "adamw", lr=0.01)
        fresh.load(self.dir / "state.safetensors")
        self.assertEqual(fresh.state[other[0].weight]["step"], 5)
        train(model, opt, 5)
        train(other, fresh, 5)
        self.assertEqual(bits(model), bits(other))


class Dictionaries(Case):
    def test_form(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw", lr=0.01)
        train(model, opt, 1)
        found, peer = opt.state_dict(), torch.optim.AdamW(model.parameters()).state_dict()
        self.assertEqual(found.keys(), peer.keys())
        self.assertEqual(found["param_groups"][0]["params"], peer["param_groups"][0]["params"])
        self.assertEqual(found["state"].keys(), set(range(8)))
        self.assertEqual(found["state"][0].keys(), {"m", "v", "step"})
        self.assertEqual(found["state"][0]["m"].shape, model[0].weight.shape)

    def test_loading_takes_values_not_tensors(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw")
        train(model, opt, 2)
        saved = copy.deepcopy(opt.state_dict())
        kept = copy.deepcopy(saved)
        opt.load_state_dict(saved)
        train(model, opt, 2)
        self.assertTrue(torch.equal(saved["state"][0]["m"], kept["state"][0]["m"]))

    def test_a_dictionary_outlives_its_optimizer(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw")
        train(model, opt, 2)
        saved = opt.state_dict()
        values = saved["state"][0]["m"].clone()
        del opt
        self.assertTrue(torch.equal(saved["state"][0]["m"], values))

    def test_what_does_not_fit_changes_nothing(self):
        model = net()
        opt = ravine.torch.Optimizer(model.parameters(), "adamw", lr=0.01)
        train(model, opt, 3)
        before = copy.deepcopy(opt.state_dict())
        theirs = torch.optim.AdamW(model.parameters(), lr=0.5)
        train(net(), theirs, 1)
        with self.refused("param0", "m is missing"):
            opt.load_state_dict(theirs.state_dict())
        wrong = copy.deepcopy(before)
        wrong["state"][2]["v"] = torch.zeros(3)
        wrong["param_groups"][0]["lr"] = 0.5
        with self.refused("param2: v: expected shape (8, 8), found (3,)"):
            opt.load_state_dict(wrong)
        with self.assertRaises(ValueError):
            opt.load_state_dict(ravine.torch.Optimizer(list(model.parameters())[:3], "adamw").state_dict())
        after = opt.state_dict()
        self.assertEqual(before["param_groups"], after["param_groups"])
        for index, values in before["state"].items():
            for key, value in values.items():
                self.assertTrue(torch.equal(torch.as_tensor(value), torch.as_tensor(after["state"][index][key])), key)


if __name__ == "__main__":
    unittest.main()
