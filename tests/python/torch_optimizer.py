#!/usr/bin/env python3
"""ravine.torch.Optimizer beside torch's own optimizers, schedulers, groups and closures."""
import copy
import unittest

from support import CASES, Case, Golden, need

need("torch", "numpy")
import torch  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402

import ravine.torch  # noqa: E402
from torch_support import X, difference, loss_of, net, train  # noqa: E402

# torch's optimizer with arguments, and the same as ours
PEERS = [
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}, "sgd", {}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}, "sgd", {}),
    (torch.optim.AdamW, {"lr": 1e-2, "betas": (0.8, 0.95), "weight_decay": 0.1}, "adamw", {}),
    (torch.optim.AdamW, {"lr": 1e-2, "amsgrad": True}, "adamw", {}),
    (torch.optim.NAdam, {"lr": 1e-2, "weight_decay": 0.1, "decoupled_weight_decay": True}, "nadam",
     {"decay": "decoupled"}),
    (torch.optim.RAdam, {"lr": 1e-2}, "radam", {}),
]


def pair(theirs, arguments, ours, extra):
    """Two equal models, one under torch's optimizer and one under ours."""
    a, b = net(), net()
    own = {k: v for k, v in arguments.items() if k != "decoupled_weight_decay"} | extra
    return a, theirs(a.parameters(), **arguments), b, ravine.torch.Optimizer(b.parameters(), ours, **own)


class Trajectories(Case):
    def test_golden_in_place(self):
        for name in CASES:
            golden = Golden(name)
            w = {n: torch.tensor(golden.start[n], dtype=torch.float64).reshape(s).requires_grad_()
                 for n, s in golden.tensors.items()}
            places = [p.data_ptr() for p in w.values()]
            opt = ravine.torch.Optimizer(list(w.items()), golden.method, **golden.arguments)
            for step, gradients in enumerate(golden.gradients, 1):
                for n, p in w.items():
                    p.grad = torch.tensor(gradients[n], dtype=torch.float64).reshape(p.shape)
                opt.step()
                golden.check(self, step, {n: p.detach().ravel().tolist() for n, p in w.items()})
                golden.check_evaluation(self, step, {n: p.ravel().tolist() for n, p in opt.evaluation_weights().items()})
            self.assertEqual([p.data_ptr() for p in w.values()], places)

    def test_training_is_torchs(self):
        self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)  # of NAdam's running product of momenta
        for peer in PEERS:
            a, theirs, b, ours = pair(*peer)
            train(a, theirs, 60)
            train(b, ours, 60)
            self.assertLess(difference(a, b), 1e-12, peer)

    def test_groups(self):
        a, b = net(), net()
        for model, make in ((a, torch.optim.AdamW), (b, lambda g, **k: ravine.torch.Optimizer(g, "adamw", **k))):
            vectors = [p for p in model.parameters() if p.ndim < 2]
            matrices = [p for p in model.parameters() if p.ndim > 1]
            opt = make([{"params": vectors, "weight_decay": 0.0, "lr": 3e-2}, {"params": matrices, "betas": (0.5, 0.9)}],
                       lr=1e-2, weight_decay=0.1)
            self.assertEqual(opt.param_groups[0]["weight_decay"], 0)
            self.assertEqual(opt.param_groups[1]["betas"], (0.5, 0.9))
            train(model, opt, 30, lr_scheduler.StepLR(opt, 10).step)
            opt.param_groups[1]["weight_decay"], opt.param_groups[0]["lr"] = 0.5, 1e-2
            train(model, opt, 30)
        self.assertLess(difference(a, b), 1e-12)

    def test_a_group_added_later(self):
        a, b = net(), net()
        for model, make in ((a, torch.optim.SGD), (b, lambda g, **k: ravine.torch.Optimizer(g, "sgd", **k))):
            params = list(model.parameters())
            opt = make(params[:4], lr=0.05, momentum=0.9)
            train(model, opt, 10)
            opt.add_param_group({"params": params[4:], "momentum": 0.5})
            train(model, opt, 10)
        self.assertLess(difference(a, b), 1e-12)

    def test_a_norm_is_over_all_groups(self):
        a, b = net(), net()
        theirs = torch.optim.SGD(a.parameters(), lr=0.1)
        params = list(b.parameters())
        ours = ravine.torch.Optimizer([{"params": params[:3]}, {"params": params[3:]}], "sgd", lr=0.1,
                                      wrappers="clip_norm(max_norm=0.1)")
        for _ in range(20):
            for model, opt in ((a, theirs), (b, ours)):
                opt.zero_grad()
                loss_of(model).backward()
                if opt is theirs:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                opt.step()
        self.assertLess(difference(a, b), 1e-12)

    def test_float32_beside_torch(self):
        a, b = net(torch.float32), net(torch.float32)
        train(a, torch.optim.AdamW(a.parameters(), lr=1e-2), 50)
        train(b, ravine.torch.Optimizer(b.parameters(), "adamw", lr=1e-2), 50)
        self.assertLess(difference(a, b), 1e-5)


class Schedulers(Case):
    def test_they_act(self):
        makers = {
            "step": lambda o: lr_scheduler.StepLR(o, 7, 0.5),
            "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 40),
            "warm-up from nothing": lambda o: lr_scheduler.LambdaLR(o, lambda t: min(1, t / 10)),
            "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.02, total_steps=50),
            "cyclic": lambda o: lr_scheduler.CyclicLR(o, 1e-3, 1e-2, 5, cycle_momentum=False),
            "in a row": lambda o: lr_scheduler.SequentialLR(
                o, [lr_scheduler.LinearLR(o, 0.1, 1, 5), lr_scheduler.ExponentialLR(o, 0.9)], [5]),
            "ours": lambda o: lr_scheduler.LambdaLR(o, ravine.schedule("warmup_cosine", 40)),
        }
        for name, make in makers.items():
            a, theirs, b, ours = pair(*PEERS[2])
            for model, opt in ((a, theirs), (b, ours)):
                train(model, opt, 40, make(opt).step)
            self.assertEqual(theirs.param_groups[0]["lr"], ours.param_groups[0]["lr"], name)
            self.assertEqual(theirs.param_groups[0]["betas"], ours.param_groups[0]["betas"], name)
            self.assertLess(difference(a, b), 1e-12, name)
        self.assertNotEqual(bool(difference(net(), b)), False)

    def test_from_zero(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw", lr=0.0)
        opt.param_groups[0]["lr"] = 0.01
        train(model, opt, 1)
        self.assertEqual(opt._handle.get("lr"), 0.01)

    def test_on_a_plateau(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "sgd", lr=0.1)
        scheduler = lr_scheduler.ReduceLROnPlateau(opt, patience=0)
        for _ in range(3):
            scheduler.step(1.0)
        self.assertAlmostEqual(opt.param_groups[0]["lr"], 0.001)
        opt.rows()
        self.assertAlmostEqual(opt._handle.get("lr"), 0.001)

    def test_every_learning_rate_follows(self):
        """Muon's schedule is that of the AdamW beside it; groups may differ."""
        model = net()
        params = list(model.named_parameters())
        opt = ravine.torch.Optimizer([{"params": params[:3]}, {"params": params[3:], "adamw.lr": 1e-3}], "muon", lr=0.02,
                                     adamw={"lr": 3e-3})
        names = ("muon.lr", "adamw.lr", "muon#2.lr", "adamw#2.lr")
        for factors in ((1, 1), (0.5, 0.5), (0.1, 1), (1, 0), (1, 1)):
            for group, factor in zip(opt.param_groups, factors):
                group["lr"] = 0.02 * factor
            handle = opt._sync()
            found = [handle.get(name) for name in names]
            for value, expected in zip(found, (0.02 * factors[0], 3e-3 * factors[0], 0.02 * factors[1], 1e-3 * factors[1])):
                self.assertAlmostEqual(value, expected, places=12)


class Steps(Case):
    def test_without_a_gradient_nothing_moves(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw", lr=0.1)
        train(model, opt, 3)
        weight = model[2].weight
        before = copy.deepcopy((weight.data, opt.state[weight]))
        opt.zero_grad()
        loss_of(model).backward()
        weight.grad = None
        other = model[0].weight.detach().clone()
        opt.step()
        self.assertTrue(torch.equal(weight, before[0]))
        self.assertTrue(all(torch.equal(opt.state[weight][k], v) for k, v in before[1].items() if k in ("m", "v")))
        self.assertFalse(torch.equal(model[0].weight, other))

    def test_frozen_and_unfrozen(self):
        a, b = net(), net()
        for model, make in ((a, torch.optim.SGD), (b, lambda g, **k: ravine.torch.Optimizer(g, "sgd", **k))):
            model[0].requires_grad_(False)
            opt = make(model.parameters(), lr=0.05, weight_decay=0.1)
            train(model, opt, 5)
            self.assertEqual(model[0].weight.grad, None)
            model[0].requires_grad_(True)
            train(model, opt, 5)
        self.assertLess(difference(a, b), 1e-12)

    def test_nothing_to_do(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "adamw")
        self.assertIsNone(opt.step())
        self.assertEqual(opt.state_dict()["state"][0]["step"], 0)

    def test_sharpness_aware(self):
        """Against the same written in torch: ascend by rho g/|g|, take the gradient there, descend here."""
        a, b = net(), net()
        opt = ravine.torch.Optimizer(b, "sgd", lr=0.1, momentum=0.9, wrappers="sam(rho=0.1)")
        train(b, opt, 10)
        plain = torch.optim.SGD(a.parameters(), lr=0.1, momentum=0.9)
        for _ in range(10):
            plain.zero_grad()
            loss_of(a).backward()
            params = list(a.parameters())
            norm = torch.sqrt(sum((p.grad ** 2).sum() for p in params))
            here = [p.detach().clone() for p in params]
            with torch.no_grad():
                for p in params:
                    p += 0.1 * p.grad / (norm + 1e-12)
            plain.zero_grad()
            loss_of(a).backward()
            with torch.no_grad():
                for p, value in zip(params, here):
                    p.copy_(value)
            plain.step()
        self.assertLess(difference(a, b), 1e-12)
        with self.refused("step(closure)"):
            opt.step()

    def test_a_closure_that_fails_leaves_everything(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "sgd", wrappers="sam")
        loss_of(model).backward()
        places = [(p.data_ptr(), p.grad) for p in model.parameters()]
        calls = []

        def closure():
            calls.append(1)
            if len(calls) > 1:
                raise KeyError("no data")

        with self.assertRaises(KeyError):
            opt.step(closure)
        self.assertEqual(places, [(p.data_ptr(), p.grad) for p in model.parameters()])

    def test_autograd_sees_the_step(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "sgd")
        loss = loss_of(model)
        loss.backward(retain_graph=True)
        opt.step()
        with self.assertRaisesRegex(RuntimeError, "modified by an inplace operation"):
            loss.backward()

    def test_hooks_and_averages(self):
        model = net()
        opt = ravine.torch.Optimizer(model, "schedule_free_adamw", lr=0.05)
        calls = []
        opt.register_step_post_hook(lambda *_: calls.append(1))
        train(model, opt, 20)
        self.assertEqual(len(calls), 20)
        weights = opt.evaluation_weights()
        self.assertEqual(set(weights), set(dict(model.named_parameters())))
        there = torch.func.functional_call(model, weights, (X,))
        self.assertFalse(torch.equal(there, model(X)))


class Told(Case):
    def test_roles_of_a_module(self):
        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = torch.nn.Embedding(10, 8)
                self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16)
                self.conv = torch.nn.Conv1d(8, 8, 3)
                self.head = torch.nn.Linear(8, 10)

        model = Model()
        opt = ravine.torch.Optimizer(model, "muon", roles={"layer.linear1.weight": "input"})
        found = {row.tensor: (row.role, row.method) for row in opt.rows()}
        self.assertEqual(found["embed.weight"], ("embedding", "adamw"))
        self.assertEqual(found["layer.self_attn.in_proj_weight"], ("hidden", "muon"))
        self.assertEqual(found["layer.linear1.weight"], ("input", "adamw"))
        self.assertEqual(found["layer.norm1.weight"], ("norm", "adamw"))
        self.assertEqual(found["conv.weight"], ("conv", "muon"))
        self.assertEqual(found["head.weight"], ("head", "adamw"))
        self.assertEqual(found["head.bias"], ("bias", "adamw"))
        self.assertEqual(ravine.torch.describe(model)["parts"], {"layer.self_attn.in_proj_weight": 3})
        self.assertIn("in_proj_weight", opt.table())
        image = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3))
        self.assertEqual(ravine.torch.describe(image)["roles"], {"0.weight": "first_conv", "1.weight": "conv"})
        tied = Model()
        tied.head.weight = tied.embed.weight
        self.assertEqual(ravine.torch.describe(tied)["roles"]["embed.weight"], "embedding")

    def test_rules_of_ones_own(self):
        model = net()
        opt = ravine.torch.Optimizer(
            [{"params": list(model[0].named_parameters("a"))}, {"params": list(model[2].named_parameters("b")), "lr": 0.1}],
            "adamw", rules=[{"name": "*.bias", "method": "sgd", "params": {"lr": 0.3}}, {"rank": 2, "method": "adamw"}])
        self.assertEqual([(r.tensor, r.method, r.lr) for r in opt.rows()],
                         [("a.weight", "adamw", 1e-3), ("a.bias", "sgd", 0.3), ("b.weight", "adamw", 0.1),
                          ("b.bias", "sgd", 0.3)])
        with self.refused("no rule matches tensor '0.0.weight'", status="unknown"):
            ravine.torch.Optimizer(model.named_parameters(), "sgd", rules=[{"rank": 1, "method": "sgd"}])

    def test_refused(self):
        two = torch.ones(4, 6)
        for param, words in ((torch.ones(2, device="meta"), ("expected a CPU tensor", "meta")),
                             (torch.ones(2, dtype=torch.bfloat16), ("float32 or float64", "bfloat16")),
                             (two.t(), ("not contiguous", "(6, 4)", ".contiguous()"))):
            with self.refused(*words):
                ravine.torch.Optimizer([("w", param.requires_grad_())])
        both = torch.ones(4, 6)
        with self.refused("overlaps"):
            ravine.torch.Optimizer([both[:2].requires_grad_(), both[1:].requires_grad_()])
        with self.refused("expected f32 like param0, found f64"):
            ravine.torch.Optimizer([torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.float64, requires_grad=True)])
        for arguments, words, status in (({"method": "adamm"}, ("adamm",), "unknown"), ({"lrr": 1}, ("lrr",), "unknown"),
                                         ({"lr": -1}, ("[0, inf)",), "range"), ({"betas": (0.9, 0.9, 0.9)}, ("beta3",), "unknown")):
            with self.refused(*words, status=status):
                ravine.torch.Optimizer(net(), **arguments)
        embed = torch.nn.Embedding(5, 3, sparse=True)
        opt = ravine.torch.Optimizer(embed)
        embed(torch.tensor([1])).sum().backward()
        with self.refused("gradient of weight", "dense"):
            opt.step()
        p = torch.ones(4, 6, requires_grad=True)
        opt = ravine.torch.Optimizer([p])
        p.grad = torch.ones(6, 4).t()
        with self.refused("gradient of param0: not contiguous"):
            opt.step()
        p.grad = torch.full((4, 6), float("nan"))
        with self.refused("'0.param0'", status="numeric"):
            opt.step()
        opt.param_groups[0]["lr"] = -1
        with self.refused("lr", status="range"):
            opt.step()


if __name__ == "__main__":
    unittest.main()
