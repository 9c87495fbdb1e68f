#!/usr/bin/env python3
"""Studies: what a run leaves behind, exit codes of --check, independence of threads."""
import csv
import json
import subprocess
import sys
import unittest

from support import SOURCE, Case, names, page_data, ravine


class Quick(Case):
    def study(self, *arguments, **more):
        return json.loads(self.succeeds("study", *arguments, "-q", "--json", "-o", "out", cwd=self.dir, **more).stdout)

    def test_results(self):
        result = self.study("muon-algebra", "--quick")
        self.assertEqual(result["study"], "muon-algebra")
        self.assertGreater(result["seconds"], 0)
        for claim in result["claims"]:
            for key in ("claim", "source", "expected", "measured", "holds"):
                self.assertIn(key, claim)
        written = json.loads((self.dir / "out/study.json").read_text())
        self.assertEqual(written, result)
        page = (self.dir / "out/index.html").read_text()
        self.assertIn(result["title"], page)
        self.assertNotIn("http-equiv=\"refresh", page)
        for figure in result["figures"]:
            with open(self.dir / "out" / figure["csv"], newline="") as file:
                rows = list(csv.reader(file))
            self.assertEqual(rows[0], ["series", "frame", "x", "y", "low", "high", "z"])
            self.assertGreater(len(rows), 1)
            self.assertEqual({len(row) for row in rows}, {7})

    def test_check(self):
        self.succeeds("study", "rosenbrock", "--check", "-q", "-o", "out", cwd=self.dir)
        # at a third of the learning rate gradient descent is stable, so a claim must fail
        done = ravine("study", "rosenbrock", "--set", "lr=0.001", "--check", "-q", "-o", "out", cwd=self.dir)
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILS", done.stdout)
        self.succeeds("study", "rosenbrock", "--set", "lr=0.001", "-q", "-o", "out", cwd=self.dir)

    def test_gallery(self):
        index = self.dir / "out/index.html"
        run = lambda name, *more: self.succeeds("study", name, "--quick", "-q", "-o", f"out/{name}", *more, cwd=self.dir)
        run("muon-algebra")
        self.assertFalse(index.exists())  # one study needs no gallery
        run("rosenbrock", "--lang", "ru")
        page = page_data(index)
        self.assertEqual([card["study"] for card in page["gallery"]], ["rosenbrock", "muon-algebra"])
        self.assertEqual(page["language"], "ru")
        self.assertLess(index.stat().st_size, 500_000)  # no chart script
        card = page["gallery"][0]
        self.assertEqual(sum(card["verdicts"].values()), 9)
        self.assertIn(card["title"], card["ru"])
        self.assertTrue(card["still"]["series"])
        lecture = page_data(self.dir / "out/rosenbrock/index.html")["study"]["lecture"]  # for the way to its neighbours
        self.assertEqual([entry["study"] for entry in lecture], names("studies"))
        self.assertTrue(all(entry["title"] and entry["ru"] for entry in lecture))
        index.write_text("mine")
        run("rosenbrock")
        self.assertEqual(index.read_text(), "mine")  # another's page stays
        self.fails(2, "study", "rosenbrock", "--lang", "de", says=["en", "ru"])

    def test_threads_do_not_matter(self):
        one, three = (self.study("exponential-lr", "--quick", "--threads", n) for n in "13")
        self.assertEqual(one["claims"], three["claims"])
        self.assertEqual(one["notes"], three["notes"])

    def test_dead_rows_are_named(self):
        (self.dir / "studies/ru").mkdir(parents=True)
        (self.dir / "studies/a.c").write_text('#define WHO "Li et al. 2018"\nnote("over %.3f \\"points\\", "\n"%s", w); // "no"\ncite(WHO ", fig. 4; slide", "bowl", "x");')
        rows = ['over %.3f "points", %s', 'over 3 "points", bowl', "Li et al. 2018, fig. 4", "slide", "bowl", "no", "over %.3f", "dish"]
        (self.dir / "studies/ru/a.json").write_text(json.dumps({row: "..." for row in rows}))
        done = subprocess.run([sys.executable, SOURCE / "tools/check_texts.py", self.dir], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        named = [json.loads(line.split("no source has ")[1]) for line in done.stderr.splitlines()]
        self.assertEqual(named, ["no", "over %.3f", "dish"])

    def test_use(self):
        self.fails(2, "study", "rosenbrock", "--set", "stpes=5", "-o", "out", cwd=self.dir, says=["steps"])
        self.fails(2, "study", "rosenbrock", "--set", "steps", "-o", "out", cwd=self.dir, says=["NAME=VALUE"])
        self.fails(2, "study", "rosenbrock", "--set", "steps=0", "-o", "out", cwd=self.dir, says=["steps", "[400, "])
        self.fails(2, "study", "rosenbrock", "--seeds", "0", says=["--seeds"])


class All(Case):
    def test_every_study_runs_small_without_data(self):
        done = self.succeeds("study", "all", "--quick", "--check", "-q", "--json", "-o", "out", cwd=self.dir)
        results = json.loads(done.stdout)
        self.assertEqual([r["study"] for r in results], names("studies"))
        for result in results:
            self.assertTrue((self.dir / "out" / result["study"] / "index.html").exists())
            for claim in result["claims"]:
                self.assertGreater(len(claim["values"]), 0, (result["study"], claim["key"]))
            # every text of the page has a row in studies/ru/NAME.json; the message can be pasted into it
            page = page_data(self.dir / "out" / result["study"] / "index.html")["study"]
            missing = {text: "" for text in page["untranslated"]}
            self.assertEqual(missing, {}, f"studies/ru/{result['study']}.json lacks\n{json.dumps(missing, ensure_ascii=False, indent=2)}")
            self.assertIn(page["title"], page["ru"])
        cards = page_data(self.dir / "out/index.html")["gallery"]
        self.assertEqual([card["study"] for card in cards], names("studies"))


if __name__ == "__main__":
    unittest.main()
