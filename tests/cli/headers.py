#!/usr/bin/env python3
"""Every public header alone, as C99 and as C++11, without a warning; and what the library exports."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
INCLUDE = SOURCE / "include"
HEADERS = sorted((INCLUDE / "ravine").glob("*.h"))
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
PROTOTYPE = re.compile(r"RV_API[^;{]*?\b(rv_\w+)\s*\(", re.S)


class Headers(unittest.TestCase):
    def compile(self, compiler, standard, suffix):
        with tempfile.TemporaryDirectory() as folder:
            for header in HEADERS:
                # twice: a header guards itself
                text = f'#include "ravine/{header.name}"\n' * 2 + "int main(void) { return 0; }\n"
                path = pathlib.Path(folder, header.stem + suffix)
                path.write_text(text)
                done = subprocess.run([compiler, f"-std={standard}", *WARNINGS, "-fsyntax-only", f"-I{INCLUDE}", path],
                                      capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), header.name)

    def test_c99(self):
        self.compile(os.environ.get("CC", "cc"), "c99", ".c")

    def test_cpp11(self):
        compiler = "clang++" if "clang" in os.environ.get("CC", "") else "g++"
        if not shutil.which(compiler):
            self.skipTest(f"{compiler} is not installed")
        self.compile(compiler, "c++11", ".cpp")

    def test_umbrella_includes_all(self):
        text = (INCLUDE / "ravine" / "ravine.h").read_text()
        self.assertEqual(set(re.findall(r'"ravine/(\w+\.h)"', text)), {h.name for h in HEADERS} - {"ravine.h"})


class Exports(unittest.TestCase):
    def test_only_what_is_declared(self):
        library = pathlib.Path(os.environ["RAVINE_BUILD"], "libravine.so")
        done = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
        exported = {line.split()[-1] for line in done.stdout.splitlines()}
        declared = set()
        for header in HEADERS:
            declared |= set(PROTOTYPE.findall(header.read_text()))
        self.assertEqual(exported - declared, set(), "exported, but in no public header")
        self.assertEqual(declared - exported, set(), "declared, but not in the library")


if __name__ == "__main__":
    unittest.main()
