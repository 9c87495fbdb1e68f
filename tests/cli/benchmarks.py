#!/usr/bin/env python3
"""Benchmarks under rulesets: a submission from a file, its search, its budget, its score; and what is refused."""
import json
import os
import signal
import subprocess
import time
import unittest

from support import PROGRAM, Case, clean_environment, explained, names, ravine

SUITE = {
    "name": "line",
    "problems": [{"label": "line", "workload": "linear-regression", "target": 0.0236,
                  "config": {"train": {"steps": 300, "batch": 8, "eval_every": 5, "log_every": 50}}}],
    "optimizers": [{"label": "adamw", "optimizer": "adamw", "grid": {"lr": [0.03, 0.1]}}],
}
METHOD = {
    "name": "mine", "title": "SGD with a schedule of its own", "tuning": "external", "sampler": "sobol",
    "tuning_search_space": {"learning_rate": {"min": 0.05, "max": 1, "scaling": "log"},
                            "warmup_factor": {"feasible_points": [0, 0.1]}},
    "config": {"optimizer": "sgd", "optimizer_params": {"lr": "=learning_rate"}, "schedule": "warmup_cosine",
               "schedule_params": {"warmup_fraction": "=warmup_factor"}},
}


class Benchmark(Case):
    def write(self, name, value):
        (self.dir / name).write_text(json.dumps(value))
        return name

    def trials(self, *arguments):
        done = self.succeeds("bench", "--suite", "suite.json", "--dry-run", "--json", *arguments, cwd=self.dir)
        return [trial["config"] for trial in json.loads(done.stdout)]

    def setUp(self):
        super().setUp()
        self.write("suite.json", SUITE)
        self.write("mine.json", METHOD)

    def test_plan_of_a_file(self):
        configs = self.trials("--ruleset", "external", "--submissions", "mine.json", "--studies", "2")
        self.assertEqual(len(configs), 10)
        rates = [c["optimizer_params"]["lr"] for c in configs]
        self.assertEqual(len(set(rates)), 10, "each study has points of its own")
        self.assertTrue(all(0.05 <= rate <= 1 for rate in rates))
        self.assertEqual({c["schedule_params"]["warmup_fraction"] for c in configs}, {0, 0.1})
        self.assertEqual([c["train"]["seed"] for c in configs], [0] * 5 + [1] * 5)
        self.assertEqual(configs, self.trials("--ruleset", "external", "--submissions", "mine.json", "--studies", "2"))

    def test_self_tuning_has_one_trial_and_more_time(self):
        configs = self.trials("--ruleset", "self", "--submissions", "self_baseline")
        self.assertEqual([c["train"]["seed"] for c in configs], [0, 1, 2])
        self.assertEqual({(c["train"]["steps"], c["train"]["horizon"]) for c in configs}, {(450, 300)})

    def test_run_score_and_again(self):
        run = ["bench", "--suite", "suite.json", "--ruleset", "external", "--submissions", "mine.json,baseline", "-o", "out"]
        first = json.loads(self.succeeds(*run, "--json", cwd=self.dir).stdout)
        record = json.loads((self.dir / "out/bench.json").read_text())
        self.assertTrue(record["complete"])
        self.assertEqual(first["ruleset"], "ravine-external")
        self.assertEqual([o["label"] for o in first["optimizers"]], ["mine", "baseline"])
        # 3 studies of 5 trials each; the baseline's points 1 and 3 are the same run here
        self.assertEqual(len(record["trials"]), 30)
        self.assertEqual(len({t["run"] for t in record["trials"]}), 15 + 12)
        # the folder's score is what `ravine score` makes of it, and its page shows it
        score = json.loads((self.dir / "out/score.json").read_text())
        self.assertEqual(score, json.loads(self.succeeds("score", "out", "--json", "-q", cwd=self.dir).stdout))
        self.assertEqual(score["ruleset"], "ravine-external")
        self.assertEqual([t["study"] for t in record["trials"][::10]], [0, 1, 2])
        # the median over studies of the best of five
        times = []
        for study in range(3):
            times.append(min(float(t["target_examples"]) for t in record["trials"] if t["optimizer"] == 0 and t["study"] == study))
        self.assertLess(sorted(times)[1], 2400, "the target is one that is reached")
        cell = next(c for c in first["cells"] if c["optimizer"] == 0)
        self.assertEqual(float(cell["time"]["examples"]), sorted(times)[1])
        before = {p: p.stat().st_mtime_ns for p in self.dir.glob("out/*/result.json")}
        again = json.loads(self.succeeds(*run, "--json", cwd=self.dir).stdout)
        self.assertEqual(again, first)
        self.assertEqual(before, {p: p.stat().st_mtime_ns for p in self.dir.glob("out/*/result.json")})
        # the record alone repeats it, without the files
        self.write("again.json", record["suite"])
        (self.dir / "mine.json").unlink()
        done = self.succeeds("bench", "--suite", "again.json", "-o", "out", "--json", cwd=self.dir)
        self.assertEqual(json.loads(done.stdout)["cells"], first["cells"])

    def test_two_processes_and_a_stop(self):
        run = [PROGRAM, "bench", "--suite", "suite.json", "--ruleset", "external", "--submissions", "mine.json",
               "-j", "1", "-o", "out", "-q"]
        workers = [subprocess.Popen(run, cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                    env=clean_environment()) for _ in range(3)]
        time.sleep(0.05)
        os.kill(workers[0].pid, signal.SIGKILL)
        outputs = [worker.communicate(timeout=120) for worker in workers]
        for worker, (_, errors) in zip(workers[1:], outputs[1:]):
            self.assertEqual(worker.returncode, 0, errors)
        record = json.loads((self.dir / "out/bench.json").read_text())
        self.assertTrue(record["complete"])
        self.assertEqual({t["state"] for t in record["trials"]}, {"done"})

    def test_refused(self):
        broken = dict(METHOD, tuning_search_space={"learning_rate": {"min": 0, "max": 1, "scaling": "log"}})
        self.write("broken.json", broken)
        self.write("spare.json", dict(METHOD, config={"optimizer": "sgd"}))
        bench = ["bench", "--suite", "suite.json", "-n"]
        for arguments, status, words in (
                (["--submissions", "broken.json"], 2, ["submission 'mine'", "'learning_rate'", "min > 0"]),
                (["--submissions", "spare.json"], 1, ["no expression uses the hyperparameter 'learning_rate'"]),
                (["--submissions", "absent.json"], 1, ["absent.json"]),
                (["--submissions", "basline"], 2, ["did you mean 'baseline'?"]),
                (["--ruleset", "extrenal"], 2, ["no ruleset 'extrenal'; did you mean 'external'?"]),
                (["--ruleset", "self", "--submissions", "baseline"], 2, ["external tuning", "self-tuning"]),
                (["--studies", "-1"], 2, ["--studies"])):
            self.fails(status, *bench, *arguments, cwd=self.dir, says=words)


class Names(Case):
    def test_every_submission_is_explained(self):
        self.assertGreaterEqual(len(names("submissions")), 17)
        for name in names("submissions"):
            entry = explained(name, "submission")
            self.assertEqual(json.loads(entry["definition"])["name"], name)
            self.assertTrue(entry["title"])

    def test_every_submission_plans_or_says_why_not(self):
        """All that a built-in submission asks for is registered under the names and parameters that it gives."""
        for name in names("submissions"):
            entry = explained(name, "submission")
            definition = json.loads(entry["definition"])
            done = ravine("bench", "-n", "--ruleset", definition["tuning"], "--submissions", name)
            if "unsupported" in definition:
                self.assertIn("cannot run here", done.stderr)
            else:
                self.assertNotIn("missing here", entry)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_rulesets_and_samplers(self):
        for name in names("rulesets"):
            self.assertEqual(json.loads(explained(name, "ruleset")["definition"])["name"], name)
        for name in names("samplers"):
            self.assertTrue(explained(name, "sampler")["points"])
        self.fails(2, "explain", "v0.5-extrenal", says=["v0.5-external"])


if __name__ == "__main__":
    unittest.main()
