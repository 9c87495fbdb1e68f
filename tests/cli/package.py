#!/usr/bin/env python3
"""The installed package, as a packager stages it and a user compiles against it."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ["RAVINE_BUILD"])
CC = os.environ.get("CC", "cc")
CXX = "clang++" if "clang" in CC else "g++"
FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


def run(*command, cwd=None, **environment):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600, cwd=cwd,
                          env={**os.environ, **{k: str(v) for k, v in environment.items()}})
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ravine-package-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.work = pathlib.Path(cls.folder.name)
        cls.stage = cls.work / "stage"
        run("cmake", "--install", BUILD, "--prefix", "/usr", DESTDIR=cls.stage)
        cls.pc = next(cls.stage.rglob("ravine.pc"))
        cls.libraries = next(cls.stage.rglob("libravine.so")).parent

    def build_with_pkg_config(self, compiler, standard, source, *extra):
        flags = run("pkg-config", "--cflags", "--libs", "ravine", PKG_CONFIG_PATH=self.pc.parent).split()
        program = self.work / source.stem
        run(compiler, f"-std={standard}", *FLAGS, *extra, source, *flags, "-lm", "-o", program)
        return run(program, *([self.work / "state.safetensors"] if source.stem == "threads" else []),
                   LD_LIBRARY_PATH=self.libraries)

    def test_c99_with_pkg_config(self):
        self.assertIn("loss", self.build_with_pkg_config(CC, "c99", SOURCE / "examples" / "adamw.c"))

    def test_cpp11_with_pkg_config(self):
        self.assertIn("loss", self.build_with_pkg_config(CXX, "c++11", SOURCE / "examples" / "muon.cpp"))

    def test_network_in_c(self):
        self.assertIn("loss", self.build_with_pkg_config(CC, "c99", SOURCE / "examples" / "network.c"))

    def test_memory_and_threads_in_cpp(self):
        self.assertIn("equal", self.build_with_pkg_config(CXX, "c++11", SOURCE / "examples" / "threads.cpp", "-pthread"))

    def test_exports_are_ours(self):
        """What the shared library defines for others is rv_*, and all that the headers declare is there."""
        table = run("nm", "-D", "--defined-only", self.libraries / "libravine.so")
        names = {line.split()[2].split("@")[0] for line in table.splitlines() if len(line.split()) == 3}
        strangers = {name for name in names if not name.startswith("rv_")}
        self.assertEqual(strangers, set())
        declared = set()
        for header in ("core", "param", "tensor", "optim"):
            text = (SOURCE / "include" / "ravine" / f"{header}.h").read_text()
            declared |= set(re.findall(r"RV_API[^;(]*?\b(rv_\w+)\(", text))
        self.assertGreater(len(declared), 40)
        self.assertEqual(declared - names, set())

    def test_cmake_package(self):
        out = self.work / "examples"
        run("cmake", "-S", SOURCE / "examples", "-B", out, f"-DCMAKE_PREFIX_PATH={self.stage}/usr", "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}")
        run("cmake", "--build", out)
        for program, word in (("adamw", "loss"), ("network", "loss"), ("muon", "loss"), ("threads", "equal")):
            self.assertIn(word, run(out / program, cwd=out))

    def test_version_of_pkg_config(self):
        version = run("pkg-config", "--modversion", "ravine", PKG_CONFIG_PATH=self.pc.parent).strip()
        self.assertEqual(run(self.stage / "usr" / "bin" / "ravine", "--version"), f"ravine {version}\n")

    def test_what_is_installed(self):
        files = {str(path.relative_to(self.stage)) for path in self.stage.rglob("*") if not path.is_dir()}
        for part in ("usr/bin/ravine", "include/ravine/ravine.h", "man1/ravine.1", "bash-completion/completions/ravine",
                     "site-functions/_ravine", "vendor_completions.d/ravine.fish", "ravine-config.cmake",
                     "ravine-config-version.cmake", "LICENSE"):
            self.assertTrue(any(name.endswith(part) for name in files), part)
        self.assertTrue(all(name.startswith("usr/") for name in files), files)


if __name__ == "__main__":
    unittest.main()
