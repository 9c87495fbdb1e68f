#!/usr/bin/env python3
"""The wheel: what is in it, that it installs into a fresh virtual environment, and trains a torch model there."""
import base64
import csv
import hashlib
import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys
import unittest
import zipfile

from support import ROOT, Case, need, prefer

prefer("torch", "venv", "ensurepip")
need("venv", "ensurepip")

ALONE = """
import array, ravine
w = array.array("d", [1.0, -2.0])
opt = ravine.Optimizer([w], "adamw", lr=0.1, weight_decay=0)
for _ in range(300):
    opt.step([array.array("d", w)])
assert max(map(abs, w)) < 1e-2, w
assert "site-packages" in ravine.__file__, ravine.__file__
print(ravine.__version__, len(ravine.methods()))
"""
def run(*command, cwd=None, **extra):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAVINE", "PYTHON"))}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, env={**environment, **extra})
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-3000:])
    return done.stdout


class Wheel(Case):
    @classmethod
    def setUpClass(cls):
        cls.wheel, = pathlib.Path(os.environ["RAVINE_DIST"]).glob("ravine-*.whl")

    def test_contents(self):
        self.assertRegex(self.wheel.name, r"^ravine-[\d.]+-py3-none-\w+\.whl$")
        with zipfile.ZipFile(self.wheel) as file:
            self.assertIsNone(file.testzip())
            names = set(file.namelist())
            record, = [n for n in names if n.endswith("/RECORD")]
            rows = {row[0]: row[1] for row in csv.reader(io.StringIO(file.read(record).decode()))}
            self.assertEqual(set(rows), names)
            for name, digest in rows.items():
                if name != record:
                    found = base64.urlsafe_b64encode(hashlib.sha256(file.read(name)).digest()).decode().rstrip("=")
                    self.assertEqual(digest, f"sha256={found}", name)
            tag = re.search(rb"Tag: (\S+)", file.read(record.replace("RECORD", "WHEEL")))[1].decode()
        self.assertIn(tag, self.wheel.name)
        for part in ("ravine/py.typed", "ravine/torch.py", "ravine/optax.py", "ravine/_lib/libravine.so"):
            self.assertIn(part, names)
        self.assertTrue(any(n.endswith("licenses/LICENSE") for n in names))

    def test_the_same_bytes_again(self):
        run(sys.executable, "-B", ROOT / "python" / "backend.py", os.environ["RAVINE_LIBRARY"], self.dir)
        self.assertEqual((self.dir / self.wheel.name).read_bytes(), self.wheel.read_bytes())

    def test_pip_builds_it_too(self):
        run(sys.executable, "-m", "venv", self.dir / "venv")
        run(self.dir / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps",
            "--no-index", "-w", self.dir / "out", ROOT / "python", RAVINE_LIBRARY=os.environ["RAVINE_LIBRARY"])
        self.assertEqual((self.dir / "out" / self.wheel.name).read_bytes(), self.wheel.read_bytes())

    def test_installs_and_trains(self):
        run(sys.executable, "-m", "venv", self.dir / "venv")
        python = self.dir / "venv" / "bin" / "python"
        run(python, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", self.wheel)
        run(python, "-c", ALONE)
        # All that is loaded beside the C library's own comes from the wheel.
        maps = run(python, "-c", "import ravine; print(open('/proc/self/maps').read())")
        for name in ("libgomp", "libgfortran", "libjansson", "libravine"):
            self.assertRegex(maps, rf"site-packages/ravine/_lib/{name}\.so")
        self.assertNotIn("libopenblas", maps)
        spec = importlib.util.find_spec("torch")
        if spec is None:
            self.skipTest("no torch here")
        peers = pathlib.Path(spec.origin).parent.parent
        packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (pathlib.Path(packages) / "peers.pth").write_text(f"{peers}\n")
        told = run(python, ROOT / "examples" / "muon_torch.py", cwd=self.dir)
        self.assertGreater(float(re.search(r"([\d.]+)% of the digits", told)[1]), 90)
        self.assertTrue((self.dir / "sorter.pt").exists())


if __name__ == "__main__":
    unittest.main()
