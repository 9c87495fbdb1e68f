#!/usr/bin/env python3
"""ravine score and ravine evidence as they are used: JSON, tables, CSV, pages, and what they refuse."""
import csv
import io
import json
import unittest

from support import SOURCE, Case

BOARDS = SOURCE / "tests/golden/algoperf"
MEDIANS = BOARDS / "v05_external_medians.csv"
TRIALS = "submission,workload,study,trial,seconds\na,u,0,0,10\na,v,0,0,40\nb,u,0,0,20\nb,v,0,0,20\n"


class Score(Case):
    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def score(self, *arguments):
        return json.loads(self.succeeds("score", "-q", "--json", *arguments).stdout)

    def test_published(self):
        with open(BOARDS / "scores.csv", newline="") as file:
            published = [row for row in csv.DictReader(file) if row["board"] == "v05_external"]
        report = self.score(MEDIANS)
        ours = {entry["submission"]: entry["score"] for entry in report["scores"]}
        self.assertEqual(report["ruleset"], "v0.5-external")
        self.assertEqual({row["submission"]: f"{float(row['score']):.4f}" for row in published},
                         {name: f"{score:.4f}" for name, score in ours.items()})
        self.assertEqual(sorted(ours.values(), reverse=True), list(ours.values()))
        for entry in report["scores"]:
            self.assertAlmostEqual(sum(entry["credits"].values()) / 8, entry["exact"], 12)

    def test_table_and_notes(self):
        done = self.succeeds("score", MEDIANS, "--why")
        self.assertIn("ruleset v0.5-external", done.stderr)
        self.assertIn("shampoo_submission     0.7784", done.stdout)
        self.assertIn("5.12 times as long as caspr_adaptive, more than 4", done.stdout)
        self.assertEqual(self.succeeds("score", MEDIANS, "-q").stderr, "")

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(self.succeeds("score", "-q", MEDIANS, "--csv").stdout)))
        self.assertEqual(len(rows), 11 * 14)
        self.assertEqual({row["guards"] for row in rows if row["workload"] == "ogbg_model_size"}, {"ogbg"})

    def test_rules_of_ones_own(self):
        table = self.write("t.csv", TRIALS)
        mine = self.write("mine.json", '{"extends": "ravine", "name": "mine", "clock": "seconds", "tau_max": 3}')
        scores = {e["submission"]: e["score"] for e in self.score(table, "--ruleset", mine)["scores"]}
        self.assertEqual(scores, {"a": 0.75, "b": 0.75})
        scores = {e["submission"]: e["score"] for e in self.score(table, "--ruleset", mine, "--tau-max", 2)["scores"]}
        self.assertEqual(scores, {"a": 0.5, "b": 0.5})

    def test_exact(self):
        report = self.score(MEDIANS, "--exact")
        self.assertEqual([e["score"] for e in report["scores"]], [e["exact"] for e in report["scores"]])

    def test_files(self):
        out, page = self.dir / "score.json", self.dir / "score.html"
        self.succeeds("score", "-q", MEDIANS, "-o", out, "--report", page)
        self.assertEqual(json.loads(out.read_text())["ruleset"], "v0.5-external")
        self.assertIn('"ruleset":"v0.5-external"', page.read_text())

    def test_repeats(self):
        self.assertEqual(self.score(MEDIANS), self.score(MEDIANS))
        self.assertNotEqual(self.score(MEDIANS)["scores"], self.score(MEDIANS, "--seed", 1)["scores"])

    def test_refusals(self):
        table = self.write("t.csv", TRIALS)
        self.fails(1, "score", self.dir / "nothing.csv", says=["nothing.csv", "no such file"])
        self.fails(1, "score", self.write("bad.csv", TRIALS + "b,v,0,1,soon\n"), "--clock", "seconds",
                   says=["bad.csv:6", "'soon'", "seconds"])
        self.fails(2, "score", table, "--ruleset", "v0.5-externl", says=["v0.5-external"])
        self.fails(2, "score", table, "--reference", "c", "--clock", "seconds", says=["'c'"])
        self.fails(2, "score", table, "--clock", "seconds", "--tau-max", "1", says=["--tau-max"])
        self.fails(2, "score", table, "--resamples", "-1", says=["--resamples"])
        self.fails(1, "score", table, "--clock", "parsecs", says=["parsecs", "--clock seconds"])


class Evidence(Case):
    def test_track(self):
        path = self.dir / "losses.csv"
        path.write_text("submission,seed,step,loss\n" + "".join(f"a,{s},{t},{l}\n" for s in range(4) for t, l in ((100, 3.29), (125, 3.277))))
        report = json.loads(self.succeeds("evidence", path, "--target", 3.28, "--sigma", 0.0013, "--margin", 0.004, "--json").stdout)
        self.assertEqual(report["methods"][0]["step"], 125)
        self.assertTrue(report["methods"][0]["reached"])
        self.assertIn("yes", self.succeeds("evidence", path, "--target", "3.28", "--sigma", "0.0013").stdout)
        self.fails(2, "evidence", path, says=["--target"])
        self.fails(2, "evidence", path, "--target", "x", says=["--target"])
        self.fails(1, "evidence", self.dir / "none.csv", "--target", "3", says=["none.csv"])


if __name__ == "__main__":
    unittest.main()
