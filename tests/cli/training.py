#!/usr/bin/env python3
"""Runs of the program: results, repetition, interruption, and places it cannot write to."""
import json
import os
import pathlib
import pty
import shlex
import signal
import subprocess
import time
import unittest

from support import PROGRAM, Case, clean_environment, explained, names, ravine

VALLEY = ["train", "rosenbrock", "--set", "steps=40", "--set", "stop_at_target=false"]
# Small enough to be quick, long enough to be stopped on the way.
GROKKING = ["train", "modular-division", "--set", "p=13", "--set", "width=16", "--set", "heads=2", "--set", "batch=16",
            "--set", "stop_at_target=false", "--set", "eval_every=500"]


class Results(Case):
    def test_json(self):
        done = self.succeeds(*VALLEY, "-o", self.dir, "--json")
        result = json.loads(done.stdout)
        for key in ("run", "outcome", "steps", "examples", "seconds", "metric", "best", "final", "weights"):
            self.assertIn(key, result)
        self.assertEqual((result["outcome"], result["steps"], result["metric"]), ("budget", 40, "loss"))
        self.assertLessEqual(result["best"]["value"], result["final"]["value"])
        self.assertLessEqual(result["best"]["step"], 40)
        self.assertTrue(os.path.exists(result["weights"]))
        for name in ("config.json", "meta.json", "log.jsonl", "result.json"):
            self.assertTrue(pathlib.Path(result["run"], name).exists(), name)

    def test_several_seeds_are_a_list(self):
        results = json.loads(self.succeeds(*VALLEY, "-o", self.dir, "--json", "--seed", "0..2", "-j", "2").stdout)
        self.assertEqual(len({r["run"] for r in results}), 3)

    def test_dry_run_is_a_configuration(self):
        config = self.dir / "config.json"
        config.write_text(self.succeeds(*VALLEY, "--dry-run", "--seed", "3", "--optimizer", "muon").stdout)
        first = json.loads(self.succeeds(*VALLEY, "--optimizer", "muon", "--seed", "3", "-o", self.dir / "a", "--json").stdout)
        again = json.loads(self.succeeds("train", "--config", config, "-o", self.dir / "b", "--json").stdout)
        self.assertEqual(pathlib.Path(first["run"]).name, pathlib.Path(again["run"]).name)
        self.assertEqual(first["final"], again["final"])
        self.assertEqual(json.loads(config.read_text()), json.loads(pathlib.Path(first["run"], "config.json").read_text()))

    def test_layers_of_a_configuration(self):
        """defaults < --config < environment < --set"""
        config = self.dir / "config.json"
        config.write_text('{"workload": "rosenbrock", "optimizer": "sgd", "optimizer_params": {"lr": 0.5}}')

        def lr(*arguments, **extra):
            done = self.succeeds("train", "--config", config, "-n", *arguments, **extra)
            return json.loads(done.stdout)["optimizer_params"]["lr"]
        self.assertEqual(lr(), 0.5)
        self.assertEqual(lr(RAVINE_SET="lr=0.25"), 0.25)
        self.assertEqual(lr("--set", "lr=0.125", RAVINE_SET="lr=0.25"), 0.125)
        self.assertEqual(lr("-s", "lr=0.125", "-slr=0.0625"), 0.0625)

    def test_finished_runs_are_not_repeated(self):
        first = json.loads(self.succeeds(*VALLEY, "-o", self.dir, "--json").stdout)
        before = os.stat(first["weights"]).st_mtime_ns
        again = json.loads(self.succeeds(*VALLEY, "-o", self.dir, "--json").stdout)
        self.assertEqual(first, again)
        self.assertEqual(before, os.stat(first["weights"]).st_mtime_ns)

    def test_index_is_made_again(self):
        self.succeeds(*VALLEY, "-o", self.dir, "--seed", "0..2")
        index = self.dir / "index.sqlite"
        index.unlink()
        self.assertEqual(self.succeeds("index", "rebuild", self.dir).stdout, f"{index}\n")
        self.assertEqual(index.read_bytes()[:15], b"SQLite format 3")

    def test_explain_is_a_table(self):
        rows = json.loads(self.succeeds(*GROKKING, "--optimizer", "muon", "--explain", "--json").stdout)
        self.assertEqual({row["method"] for row in rows}, {"muon", "adamw"})
        self.assertTrue(all(row["method"] == "adamw" for row in rows if row["role"] in ("embedding", "head", "norm", "bias")))


class Advice(Case):
    def test_tuned_settings_are_commands(self):
        """What explain recommends for a target resolves, and is another way to that same target."""
        found = 0
        for name in names("workloads"):
            recipe = json.loads(self.succeeds("train", name, "-n").stdout)
            for line in explained(name, "workload").get("reaches the target sooner", "").splitlines():
                words = shlex.split(line)
                self.assertEqual(words[:3], ["ravine", "train", name])
                tuned = json.loads(self.succeeds(*words[1:], "-n").stdout)
                self.assertEqual(tuned["train"], recipe["train"])
                self.assertEqual(tuned["workload_params"], recipe["workload_params"])
                self.assertNotEqual((tuned["optimizer"], tuned["optimizer_params"]), (recipe["optimizer"], recipe["optimizer_params"]))
                found += 1
        self.assertGreater(found, 0)

    def test_missed_target_says_where_to_look(self):
        missed = [*GROKKING, "--set", "steps=2", "-o", self.dir]
        self.assertIn("'ravine explain modular-division' names settings", self.succeeds(*missed).stdout)
        self.assertNotIn("names settings", self.succeeds(*missed, "--set", "target=none").stdout)
        self.assertNotIn("names settings", self.succeeds(*missed, "--set", "target=-1").stdout)
        self.assertNotIn("names settings", self.succeeds(*VALLEY, "-o", self.dir).stdout)


class Stops(Case):
    def log(self, run):
        lines = [json.loads(line) for line in pathlib.Path(run, "log.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]

    def interrupt(self, command, log, signals=1):
        """What the command says on standard output when it is interrupted as soon as its log has a line."""
        process = subprocess.Popen([PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=clean_environment())
        until = time.monotonic() + 60
        while time.monotonic() < until and not any(path.stat().st_size > 0 for path in log()):
            time.sleep(0.002)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        return json.loads(output)

    def test_interrupted_within_products(self):
        """oneDNN keeps addresses of the heap in the stack pointer: no handler may run there.  Twice at once is once."""
        for seed in range(6):
            out = self.dir / str(seed)
            stopped = self.interrupt(["train", "mnist-mlp", "--set", "images=2000", "--set", "evaluate=100", "--set", "steps=100000",
                                      "--seed", str(seed), "-t", "1", "-o", str(out), "--json"], lambda: out.glob("*/log.jsonl"), 2)
            self.assertEqual(stopped["outcome"], "interrupted")

    def test_interrupted_and_completed(self):
        command = [*GROKKING, "--set", "steps=6000", "--json"]
        whole = json.loads(self.succeeds(*command, "-t", "1", "-o", self.dir / "whole").stdout)
        run = self.dir / "stopped" / pathlib.Path(whole["run"]).name
        stopped = self.interrupt([*command, "-t", "1", "-o", str(self.dir / "stopped")], lambda: run.glob("log.jsonl"))
        self.assertEqual(stopped["outcome"], "interrupted")
        self.assertLess(stopped["steps"], 6000)
        self.assertTrue(list((run / "checkpoint").iterdir()))
        again = json.loads(self.succeeds(*command, "-t", "2", "-o", self.dir / "stopped").stdout)
        self.assertEqual(again["outcome"], "budget")
        self.assertEqual(pathlib.Path(whole["weights"]).read_bytes(), pathlib.Path(again["weights"]).read_bytes())
        self.assertEqual(self.log(whole["run"]), self.log(again["run"]))

    def test_threads_do_not_matter(self):
        weights = []
        for threads in (1, 2, 3):
            done = self.succeeds(*GROKKING, "--set", "steps=50", "-t", threads, "-o", self.dir / str(threads), "--json")
            weights.append(pathlib.Path(json.loads(done.stdout)["weights"]).read_bytes())
        self.assertEqual(len(set(weights)), 1)

    def test_divergence_is_an_outcome(self):
        done = self.succeeds("train", "rosenbrock", "--optimizer", "sgd", "--set", "lr=1e30", "-o", self.dir, "--json")
        self.assertEqual(json.loads(done.stdout)["outcome"], "diverged")


class Places(Case):
    def test_output_folder_is_a_file(self):
        path = self.dir / "file"
        path.write_text("mine")
        self.fails(1, *VALLEY, "-o", path, says=[str(path)])
        self.assertEqual(path.read_text(), "mine")

    def test_output_folder_cannot_be_made(self):
        self.fails(1, *VALLEY, "-o", "/proc/nothing", says=["/proc/nothing"])

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_output_folder_is_read_only(self):
        self.dir.chmod(0o500)
        self.addCleanup(self.dir.chmod, 0o700)
        self.fails(1, *VALLEY, "-o", self.dir, says=[str(self.dir)])

    def test_configuration_files(self):
        config = self.dir / "config.json"
        for text, status, says in (("{", 1, "config.json"), ("[]", 1, "object"), ('{"wrokload": "rosenbrock"}', 2, "workload"),
                                   ('{"workload": "rosenbrock", "train": {"stpes": 3}}', 2, "steps")):
            config.write_text(text)
            self.fails(status, "train", "--config", config, "-n", says=[says])
        self.fails(1, "train", "--config", self.dir / "absent.json", "-n", says=["absent.json"])


class Progress(Case):
    def test_plain_where_no_terminal_is(self):
        done = self.succeeds(*VALLEY, "-o", self.dir / "a")
        self.assertNotIn("\x1b", done.stderr + done.stdout)
        self.assertNotIn("\r", done.stderr)
        self.assertEqual(self.succeeds(*GROKKING, "--set", "steps=20", "-q", "-o", self.dir / "b").stderr, "")

    def on_terminal(self, out, **extra):
        """What the program writes to a terminal as its standard error."""
        main, side = pty.openpty()
        process = subprocess.Popen([PROGRAM, *GROKKING, "--set", "steps=300", "-o", str(out)], stdout=subprocess.DEVNULL,
                                   stderr=side, env=clean_environment(TERM="xterm", **extra))
        os.close(side)
        text = b""
        try:
            while part := os.read(main, 65536):
                text += part
        except OSError:  # the other side is closed
            pass
        os.close(main)
        self.assertEqual(process.wait(), 0)
        return text.decode()

    def test_bar_on_a_terminal(self):
        text = self.on_terminal(self.dir / "a")
        self.assertIn("\x1b[K", text)
        self.assertRegex(text, r"\d+/300  loss")
        self.assertIn("ETA", text)
        self.assertNotIn("\x1b", self.on_terminal(self.dir / "b", NO_COLOR="1"))


if __name__ == "__main__":
    unittest.main()
