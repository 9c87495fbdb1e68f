#!/usr/bin/env python3
"""Every command of the table: help, errors of use, JSON, manual page and completion."""
import json
import math
import pathlib
import re
import shutil
import subprocess
import unittest

from support import PROGRAM, SOURCE, Case, clean_environment, commands, explained, names, options, ravine

# Arguments with which a command succeeds without training anything.
HARMLESS = {
    "list": [[], ["optimizers"], ["workloads", "*"], ["submissions"], ["rulesets"], ["samplers"]],
    "explain": [["adamw"], ["rosenbrock"], ["double-descent"], ["quick"], ["baseline"], ["v0.5-external"], ["halton"], ["hessian"]],
    "train": [["rosenbrock", "--dry-run"], ["rosenbrock", "--explain"], ["rosenbrock", "-n", "--seed", "0..2"]],
    "bench": [["--dry-run"], ["--dry-run", "--ruleset", "external", "--submissions", "baseline", "--studies", "2"]],
    "score": [["-q", SOURCE / "tests/golden/algoperf/v05_external_medians.csv", "--resamples", "10"]],
    "study": [["escape", "-n"], ["all", "--dry-run"]],
    "data": [[], ["list"]],
    "doctor": [["--no-limits"]],
    "completion": [["bash"], ["zsh"], ["fish"]],
    "man": [[]],
}
NEEDS_FILES = {"evidence", "report", "export", "index", "verify", "probe"}


def distance(a, b):
    """Letters to insert, remove or replace."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        row, above = [i + 1], row
        for j, y in enumerate(b):
            row.append(min(above[j] + (x != y), above[j + 1] + 1, row[j] + 1))
    return row[-1]


def misspelt(word, others=()):
    """Two letters exchanged or one doubled, near the middle: nearer to word than to any of the others."""
    middle = sorted(range(1, len(word)), key=lambda i: abs(i - len(word) / 2))
    wrong = [word[:i - 1] + word[i] + word[i - 1] + word[i + 1:] for i in middle if word[i] != word[i - 1]]
    wrong += [word[:i] + word[i] + word[i:] for i in middle]
    return next(w for w in wrong if all(distance(w, word) < distance(w, o) for o in others if o != word))


class Help(Case):
    def test_program(self):
        for arguments in ([], ["--help"], ["-h"], ["help"]):
            done = self.succeeds(*arguments)
            self.assertIn("examples:", done.stdout)
            self.assertEqual(done.stderr, "")
        self.assertRegex(self.succeeds("--version").stdout, r"^ravine \d+\.\d+\.\d+\n$")

    def test_every_command(self):
        for command in commands():
            done = self.succeeds(command, "--help")
            self.assertEqual(done.stdout, self.succeeds("help", command).stdout)
            head, examples = done.stdout.split("\nexamples:\n")
            self.assertTrue(head.startswith(f"usage: ravine {command}"), head)
            for line in examples.splitlines():
                self.assertRegex(line, rf"^  .*ravine {command}\b")
            self.assertGreater(len(examples.splitlines()), 0)
            for line in done.stdout.splitlines():
                self.assertLessEqual(len(line), 118, (command, line))

    def test_examples_name_known_options(self):
        for command in commands():
            known = {name for _, name, _ in options(command)}
            examples = ravine(command, "--help").stdout.split("\nexamples:\n")[1]
            for used in re.findall(rf"ravine {command}[^|>]*", examples):
                for name in re.findall(r"--([\w-]+)", used):
                    self.assertIn(name, known, used)

    def test_common_options(self):
        for command in commands():
            known = {(letter, name) for letter, name, _ in options(command)}
            self.assertLessEqual({("", "json"), ("q", "quiet"), ("h", "help")}, known, command)


class Errors(Case):
    def test_unknown_command(self):
        for command in commands():
            if len(command) > 3:
                self.fails(2, misspelt(command), says=[f"did you mean '{command}'?"])
        self.fails(2, "xyzzyxyzzy", says=["unknown command"])
        self.fails(2, "help", "trian", says=["did you mean 'train'?"])

    def test_unknown_option(self):
        for command in commands():
            for _, name, _ in options(command):
                if len(name) > 3:
                    self.fails(2, command, "--" + misspelt(name), says=[f"--{misspelt(name)}", f"--{name}?",
                                                                        f"ravine {command} --help"])
            self.fails(2, command, "-Z", says=["unknown option -Z"])

    def test_values(self):
        for command in commands():
            for letter, name, value in options(command):
                if value:
                    self.fails(2, command, f"--{name}", says=["needs a value"])
                else:
                    self.fails(2, command, f"--{name}=yes", says=["takes no value"])

    def test_missing_and_surplus_arguments(self):
        for command in commands():
            usage = ravine(command, "--help").stdout.splitlines()[0]
            wanted = usage.split(command, 1)[1].split("[OPTION]")[0].split()
            required = [word for word in wanted if not word.startswith("[")]
            for count in range(len(required)):
                self.fails(2, command, *["x"] * count, says=["Try: ravine"])
            if not wanted or not wanted[-1].endswith("..."):
                self.fails(2, command, *["x"] * (len(wanted) + 1), says=["unexpected argument 'x'"])

    def test_choices(self):
        self.fails(2, "list", "optimisers", says=["did you mean 'optimizers'?"])
        self.fails(2, "data", "chekc", says=["did you mean 'check'?"])
        self.fails(2, "completion", "bsah", says=["did you mean 'bash'?"])
        self.fails(2, "index", "rebiuld", "x", says=["did you mean 'rebuild'?"])
        self.fails(2, "export", "a", "b", "--to", "cvs", says=["did you mean 'csv'?"])
        self.fails(2, "bench", "--suite", "qiuck", says=["did you mean 'quick'?"])
        self.fails(2, "bench", "-j", "0", says=["--jobs", "1"])

    def test_missing_files(self):
        for arguments in (["report", "absent"], ["export", "absent", "out"], ["probe", "absent"], ["index", "rebuild", "absent"],
                          ["bench", "--suite", "absent.json"]):
            self.fails(1, *arguments, cwd=self.dir, says=["absent"])

    def test_unknown_names(self):
        everything = [name for kind in ("optimizers", "schedules", "workloads", "studies", "suites") for name in names(kind)]
        for name in names("workloads"):
            self.fails(2, "train", misspelt(name, names("workloads")), "-n", says=[name])
        for name in names("optimizers"):
            if len(name) > 3:
                self.fails(2, "train", "rosenbrock", "-n", "--optimizer", misspelt(name, names("optimizers")),
                           says=[name])
                self.fails(2, "explain", misspelt(name, everything), says=[name])
        for name in names("studies"):
            self.fails(2, "study", misspelt(name, names("studies")), "-n", says=[name])
        for name in names("schedules"):
            self.fails(2, "train", "rosenbrock", "-n", "--schedule", misspelt(name, names("schedules")), says=[name])

    def test_parameters(self):
        for name in names("optimizers"):
            for row in explained(name, "optimizer")["parameters"]:
                parameter, allowed = row["name"], row["allowed"]
                if len(parameter) > 3:
                    self.fails(2, "train", "rosenbrock", "-n", "--optimizer", name, "--set",
                               f"optimizer.{misspelt(parameter)}=1", says=[parameter])
                bounds = re.match(r"[\[(]([^,]+), ([^\])]+)", allowed)
                if not bounds:
                    self.fails(2, "train", "rosenbrock", "-n", "--optimizer", name, "--set",
                               f"optimizer.{parameter}=xyzzy", says=[parameter, "xyzzy"])
                    continue
                low, high = (float(b) for b in bounds.groups())
                for bound, beyond in ((low, low - 1), (high, high + 1)):
                    if math.isfinite(bound) and beyond != bound:
                        self.fails(2, "train", "rosenbrock", "-n", "--optimizer", name, "--set",
                                   f"optimizer.{parameter}={beyond!r}", says=[parameter])
                self.fails(2, "train", "rosenbrock", "-n", "--optimizer", name, "--set",
                           f"optimizer.{parameter}=nan", says=[parameter])

    def test_train_options(self):
        for option, value in (("--seed", "4..2"), ("--seed", "x"), ("--budget", "soon"), ("--budget", "-1s"),
                              ("--threads", "0"), ("--threads", "2x"), ("--set", "lr"), ("--set", "=1"),
                              ("--set", "train.steps=0"), ("--set", "stpes=5")):
            self.fails(2, "train", "rosenbrock", "-n", option, value)
        self.fails(2, "train", "rosenbrock", "-n", "--set", "stpes=5", says=["steps"])
        self.fails(2, "train", says=["WORKLOAD"])
        self.fails(2, "train", "rosenbrock", "-n", RAVINE_SET="steps=0", says=["RAVINE_SET", "steps", "[1, "])
        self.fails(2, "train", "rosenbrock", "-n", "--set", "lr=-1", says=["lr", "[0, inf)", "-1"])


class Output(Case):
    def test_table_of_this_test_is_complete(self):
        self.assertEqual(set(commands()), set(HARMLESS) | NEEDS_FILES)

    def test_json_is_one_value(self):
        for command, lines in HARMLESS.items():
            for arguments in lines:
                done = self.succeeds(command, *arguments, "--json", cwd=self.dir)
                json.loads(done.stdout)
                self.assertEqual(done.stdout.count("\n"), 1)
        self.assertEqual(list(self.dir.iterdir()), [], "a dry run leaves nothing behind")

    def test_full_disk_behind_standard_output(self):
        for command, lines in HARMLESS.items():
            with open("/dev/full", "w") as full:
                done = ravine(command, *lines[0], stdout=full, cwd=self.dir)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("standard output", done.stderr)

    def test_doctor(self):
        doctor = json.loads(self.succeeds("doctor", "--json").stdout)
        for key in ("f32_gflops", "copy_gbs"):
            self.assertGreater(doctor["limits"][key], 0)
        self.assertGreaterEqual(doctor["limits"]["bf16_gflops"], 0)
        self.assertIn("data folder", doctor["warnings"][0]["warning"])
        baseline = json.loads(self.succeeds("doctor", "--no-limits", "--json", RAVINE_ISA="baseline").stdout)
        self.assertEqual(baseline["processor"]["instruction_set"], "baseline")
        self.assertTrue(any("baseline" in w["warning"] for w in baseline["warnings"]))
        self.assertIn("warning: no data folder", self.succeeds("doctor", "--no-limits").stdout)


class Texts(Case):
    def test_manual_names_every_option(self):
        page = self.succeeds("man").stdout.replace("\\-", "-")
        for command in commands():
            self.assertIn(f'.SS "ravine {command}', page)
            section = page.split(f'.SS "ravine {command}')[1].split("\n.S")[0]
            for _, name, _ in options(command):
                self.assertIn(f"--{name}\\fR", section + page.split(".SH COMMON OPTIONS")[1])

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_manual_renders(self):
        page = self.succeeds("man").stdout
        done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z"], input=page, text=True, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def complete(self, *words):
        script = (f"source <('{PROGRAM}' completion bash); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _ravine; "
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-uc", script, "bash", "ravine", *words], capture_output=True, text=True,
                              cwd=self.dir, env=clean_environment())
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_completion(self):
        self.assertEqual(self.complete("tr"), ["train"])
        self.assertEqual(set(self.complete("")), set(commands()))
        self.assertEqual(self.complete("train", "rosen"), ["rosenbrock"])
        self.assertEqual(self.complete("list", "wor"), ["workloads"])
        self.assertEqual(self.complete("probe", "some-run", "hess"), ["hessian"])
        self.assertEqual(set(self.complete("explain", "")) & set(names("optimizers")), set(names("optimizers")))
        for command in commands():
            wanted = {f"--{name}" for _, name, _ in options(command)}
            self.assertEqual(set(self.complete(command, "--")), wanted)
        pathlib.Path(self.dir, "some-file").touch()
        self.assertEqual(self.complete("report", "some"), ["some-file"])
        self.assertEqual(self.complete("probe", "some"), ["some-file"])

    def test_other_shells_take_their_scripts(self):
        for shell in ("zsh", "fish"):
            if shutil.which(shell):
                script = self.dir / f"ravine.{shell}"
                script.write_text(self.succeeds("completion", shell).stdout)
                done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), shell)


if __name__ == "__main__":
    unittest.main()
