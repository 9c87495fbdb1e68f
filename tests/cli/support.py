"""What the tests of the program share: running it, and its commands and options as it tells them.

The environment variable RAVINE_PROGRAM names the binary under test.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["RAVINE_PROGRAM"]
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
OPTION = re.compile(r"^  (?:-(\w),|   ) --([\w-]+)(?: (\S+))?", re.M)


def clean_environment(**extra):
    kept = {k: v for k, v in os.environ.items() if k not in ("RAVINE_DATA", "RAVINE_SET", "NO_COLOR")}
    kept.update(extra)
    return kept


def ravine(*arguments, cwd=None, stdout=subprocess.PIPE, user=None, group=None, extra_groups=None, **extra):
    """What ends a run; extra: of its environment.  Names of files may be any bytes."""
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=cwd, stdout=stdout, stderr=subprocess.PIPE,
                          text=True, errors="surrogateescape", timeout=300, env=clean_environment(**extra),
                          user=user, group=group, extra_groups=extra_groups)


def commands():
    """All names, as the program tells them: a new command is tested at once."""
    text = ravine("--help").stdout
    return re.findall(r"^  ([\w-]+)", text.split("commands:\n")[1].split("\n\n")[0], re.M)


def options(command):
    """(letter, name, value or None) of every option, from --help."""
    return OPTION.findall(ravine(command, "--help").stdout.split("options:\n")[1])


def names(kind):
    return [entry["name"] for entry in json.loads(ravine("list", kind, "--json").stdout)]


def explained(name, kind):
    """What explain says of the thing of this kind; a submission may be called like its optimizer."""
    entries = json.loads(ravine("explain", name, "--json").stdout)
    return next(e for e in (entries if isinstance(entries, list) else [entries]) if e["kind"] == kind)


def page_data(path):
    """What a page of ours draws."""
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL).group(1))


class Case(unittest.TestCase):
    """A test in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ravine-cli-")
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def fails(self, status, *arguments, says=(), **extra):
        """The command exits with status, prints no result, and says all these words."""
        done = ravine(*arguments, **extra)
        self.assertEqual(done.returncode, status, (arguments, done.stderr))
        self.assertTrue(done.stderr.startswith("ravine"), done.stderr)
        self.assertTrue(done.stderr.endswith("\n"), done.stderr)
        for words in says:
            self.assertIn(words, done.stderr, arguments)
        return done

    def succeeds(self, *arguments, **extra):
        done = ravine(*arguments, **extra)
        self.assertEqual(done.returncode, 0, (arguments, done.stderr))
        return done
