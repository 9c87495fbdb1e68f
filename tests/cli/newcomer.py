#!/usr/bin/env python3
"""Mistakes of the first five minutes: each is told at once, with what to do about it, and does no harm."""
import json
import os
import pathlib
import pty
import subprocess
import unittest

from support import PROGRAM, Case, clean_environment, ravine

VALLEY = ["train", "rosenbrock", "--set", "steps=20"]


class Words(Case):
    def test_an_option_before_the_command(self):
        self.fails(2, "-q", "list", says=["expected a COMMAND before '-q'"])

    def test_part_of_a_name(self):
        for part, whole in (("mnist", "mnist-mlp"), ("cifar", "cifar-resnet20"), ("modular", "modular-division")):
            self.fails(2, "train", part, says=[f'did you mean "{whole}"'])
        self.fails(2, "explain", "transformer", says=["did you mean 'linear-transformer'"])

    def test_a_parameter_of_another_program(self):
        self.fails(2, *VALLEY, "--set", "learning_rate=1", says=["learning_rate", "adamw", "explain"])
        self.fails(2, "study", "rosenbrock", "--set", "foo=1", says=["it has steps, lr, noise"])
        self.fails(2, "study", "rosenbrock", "--dry-run", "--set", "steps=1", says=["steps", "[400, "])

    def test_seeds(self):
        self.fails(2, *VALLEY, "--seed", "0,1,0", says=["different seeds", "0,1,0"])
        self.fails(2, *VALLEY, "--seed", "0..2,2", says=["different seeds"])

    def test_nothing_matches(self):
        done = self.succeeds("list", "optimizers", "zz*")
        self.assertEqual((done.stdout, done.stderr), ("", "ravine list: no name matches 'zz*'\n"))
        self.assertEqual(json.loads(self.succeeds("list", "optimizers", "zz*", "--json").stdout), [])

    def test_one_letter_means_the_same_everywhere(self):
        self.fails(2, "study", "rosenbrock", "-s", "steps=x", says=["steps"])
        self.fails(2, "study", "rosenbrock", "-t", "x", says=["--threads"])
        self.fails(2, "study", "rosenbrock", "--lang", "fr", says=["--lang: expected en or ru, found 'fr'"])


class Screen(Case):
    def test_long_lines_are_broken_for_a_person(self):
        """Between words; a pipe gets them whole, and what can be copied stays whole anywhere."""
        for name in ("soap", "char-lm", "baseline"):
            master, slave = pty.openpty()
            process = subprocess.Popen([PROGRAM, "explain", name], stdout=slave, env=clean_environment(TERM="xterm"))
            os.close(slave)
            shown = b""
            while True:
                try:
                    block = os.read(master, 65536)
                except OSError:  # Linux's end of a terminal
                    break
                if not block:
                    break
                shown += block
            os.close(master)
            self.assertEqual(process.wait(), 0)
            whole = self.succeeds("explain", name).stdout
            text = shown.decode().replace("\r\n", "\n")
            self.assertEqual(text.split(), whole.split())
            self.assertTrue(all(line in text.splitlines() for line in whole.splitlines() if line.startswith("  {")), name)
            prose = text.split("\nparameter ")[0].split("\ndefinition\n")[0].split("\nrecipe\n")[0]
            for line in prose.splitlines():
                self.assertTrue(len(line) <= 100 or len(line.split()) == 1, line)


class Folders(Case):
    def test_no_data_folder(self):
        """A mistake in --data must not end in numbers on procedural data."""
        file = self.dir / "file"
        file.touch()
        for path, what in ((self.dir / "absent", "nothing at"), (file, "a file")):
            for command in (["train", "mnist-mlp", "-n"], ["study", "sharpness", "-n"], ["bench", "-n"], ["data", "check"]):
                self.fails(2, *command, "--data", path, says=["--data", what, str(path)])

    def test_an_empty_name(self):
        """As a script with a variable that is not set would say it; it is not the root of the file system."""
        for command in (VALLEY, ["bench", "-n"], ["study", "rosenbrock", "-n"]):
            self.fails(2, *command, "-o", "", says=["--out"])
        for command in (["report", ""], ["export", "", "out.csv"], ["index", "rebuild", ""]):
            self.assertIn(ravine(*command, cwd=self.dir).returncode, (1, 2))
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_any_name(self):
        """Spaces, quotes, markup, UTF-8, and bytes that are not UTF-8."""
        for name in ("two words", "\"q'<&>", "\u00e9\u20ac", os.fsdecode(b"caf\xe9"), "-dash", "a" * 120 + "/" + "b" * 120 + "/" + "c" * 120):
            out = f"{self.dir}/{name}"
            result = json.loads(self.succeeds(*VALLEY, "-o", out, "--json", "-q").stdout)
            run, = (path for path in pathlib.Path(out).iterdir() if path.is_dir())
            self.assertEqual(run.name, pathlib.Path(result["run"]).name)
            self.assertEqual(json.loads((run / "meta.json").read_bytes())["sessions"], 1)
            self.assertEqual(json.loads((run / "result.json").read_bytes())["steps"], 20)
            again = json.loads(self.succeeds(*VALLEY, "-o", out, "--json", "-q").stdout)
            self.assertEqual(result, again)
            for command in (["report", out], ["export", out, out + "/all.csv"], ["index", "rebuild", out],
                            ["export", run, out + "/w.npz", "--to", "npz"]):
                json.loads(self.succeeds(*command, "--json").stdout)

    @unittest.skipIf(os.geteuid() != 0, "another user is needed, or root to become one")
    def test_a_folder_that_cannot_be_written_in(self):
        """Told before anything is computed."""
        self.dir.chmod(0o755)
        closed = self.dir / "closed"
        closed.mkdir()
        closed.chmod(0o555)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        if ravine("--version", **nobody).returncode != 0:
            self.skipTest(f"nobody else may run {PROGRAM}")
        for command in (VALLEY, ["study", "rosenbrock", "--set", "steps=1000000"], ["bench", "--optimizers", "sgd"]):
            done = self.fails(1, *command, "-o", closed, says=[str(closed), "Permission denied"], **nobody)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
