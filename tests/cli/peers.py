#!/usr/bin/env python3
"""The speed table of bench/compare.py: which of a peer's settings counts, and that no failure is hidden.

A stand-in for Python with torch and one for the build give known times, so that every cell is known beforehand.
"""
import pathlib
import subprocess
import sys
import unittest

from support import SOURCE, Case

# Answers as peer_torch.py does.  Batch 512 has the compiled setting fastest, batch 64 has it fail, batch 8 ends midway.
TORCH = """#!{python}
import json, sys
if sys.argv[1] == "-c":
    sys.exit({missing})
batch = int(sys.argv[3])
failed = {{"compiled": "no C++ compiler"}} if batch == 64 else {{}}
times = {{s: iter(t) for s, t in {{"eager": (9, 8, 30), "compiled": (4, 90, 5)}}.items() if s not in failed}}
print("a warning", file=sys.stderr)
print(json.dumps({{"torch": "0", "ready": {{s: 1.0 for s in times}}, "failed": failed}}), flush=True)
for line in sys.stdin:
    setting, seconds = line.rsplit(maxsplit=1)
    if batch == 8 and setting == "compiled":
        sys.exit("killed")
    print(json.dumps({{"ms": next(times[setting])}}), flush=True)
"""
OURS = """#!{python}
import json
print(json.dumps({{"ms": 2.0, "gflop": 0.5}}))
"""
DOCTOR = """#!{python}
import json
print(json.dumps({{"limits": {{"f32_gflops": 250, "bf16_gflops": 500}}}}))
"""


class Table(Case):
    def table(self, *arguments, missing=0):
        for path, text in (("python", TORCH), ("bench/bench_train", OURS), ("bin/ravine", DOCTOR)):
            file = self.dir / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.format(python=sys.executable, missing=missing))
            file.chmod(0o755)
        done = subprocess.run([sys.executable, "-B", SOURCE / "bench" / "compare.py", self.dir, "--python", self.dir / "python",
                               "--models", "modular-division", *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        heads, *rows = ([c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("|") and "---" not in line)
        return [dict(zip(heads, r)) for r in rows], [line for line in lines if line and not line.startswith("|")]

    def test_fastest_setting_counts(self):
        rows, _ = self.table()
        self.assertEqual(len(rows), 12)
        self.assertEqual(rows[1], {"model": "modular-division", "batch": "512", "precision": "f32", "threads": "2", "ms": "2.00",
                                   "GFLOP/s": "250", "of peak": "50 %", "PyTorch ms": "5.00", "setting": "compiled", "ratio": "2.50"})
        self.assertEqual(rows[3]["of peak"], "25 %")

    def test_failures_are_named(self):
        rows, notes = self.table("--threads", "2")
        lost = [r for r in rows if r["batch"] != "512"]
        self.assertEqual([(r["PyTorch ms"], r["setting"]) for r in lost], [("9.00", "eager")] * 4)
        self.assertIn("compiled failed (modular-division 64 f32 2, modular-division 64 bf16 2): no C++ compiler", notes)
        self.assertIn("compiled failed (modular-division 8 f32 2, modular-division 8 bf16 2): killed", notes)

    def test_every_setting(self):
        rows, notes = self.table("--threads", "2", "--all", "--batches", "512")
        self.assertEqual([(r["batch"], r["precision"]) for r in rows], [("512", "f32"), ("512", "bf16")])
        self.assertIn("modular-division 512 f32 2: eager 9.00, compiled 5.00", notes)

    def test_without_torch(self):
        rows, notes = self.table("--threads", "2", missing=1)
        self.assertEqual({(r["PyTorch ms"], r["setting"], r["ratio"]) for r in rows}, {("-", "-", "-")})
        self.assertFalse(notes)


if __name__ == "__main__":
    unittest.main()
