#!/usr/bin/env python3
"""Probes of saved weights: through a short training, and every error of use."""
import csv
import json
import unittest

from support import Case, names

TRAINING = ["train", "mnist-mlp", "--set", "hidden=8", "--set", "images=256", "--set", "evaluate=64", "--set", "batch=32",
            "--set", "steps=4", "--set", "eval_every=4", "--set", "checkpoint_every=2", "--optimizer", "schedule_free_sgd",
            "--set", "lr=0.1", "-q", "--json", "-o", "runs"]
SMALL = ["--set", "batches=2", "--set", "products=3", "--set", "starts=2", "--set", "hessian.samples=3", "--set", "noise.samples=6",
         "--set", "sizes=2", "--set", "steps=2", "--set", "points=5", "--set", "directions=2", "--set", "evaluate=32"]


class Trained(Case):
    def setUp(self):
        super().setUp()
        self.run_folder = json.loads(self.succeeds(*TRAINING, cwd=self.dir).stdout)["run"]

    def probe(self, path, *arguments):
        return json.loads(self.succeeds("probe", path, *arguments, "-q", "--json", cwd=self.dir).stdout)

    def test_results(self):
        result = self.probe(self.run_folder, *SMALL)
        self.assertEqual((result["workload"], result["step"], result["weights"]), ("mnist-mlp", 4, "to evaluate"))
        self.assertTrue(result["folder"].startswith("runs/probe/mnist-mlp-schedule_free_sgd-"), result["folder"])
        usual = [part["measure"] for part in result["measures"]]
        self.assertEqual(usual[0], "point")
        self.assertLessEqual({"hessian", "sharpness", "noise", "line"}, set(usual))
        for part in result["measures"]:
            self.assertGreater(len(part["values"]), 0, part["measure"])
            for value in part["values"]:
                self.assertEqual(set(value), {"key", "quantity", "value", "error"})
        folder = self.dir / result["folder"]
        self.assertEqual(json.loads((folder / "probe.json").read_text()), result)
        self.assertIn("ravine", (folder / "index.html").read_text().lower())
        for figure in result["figures"]:
            with open(folder / figure["csv"], newline="") as file:
                self.assertGreater(len(list(csv.reader(file))), 1)

    def test_table(self):
        done = self.succeeds("probe", self.run_folder, "hessian", *SMALL[:2], "--set", "products=3", "-q", "-o", "out", cwd=self.dir)
        for words in ("lambda_max", "trace", "±", "page: out/index.html"):
            self.assertIn(words, done.stdout)
        self.assertNotIn("noise", done.stdout)

    def test_threads_do_not_matter(self):
        one, three = (self.probe(self.run_folder, *SMALL, "--threads", n, "-o", "out") for n in "13")
        self.assertEqual([p["values"] for p in one["measures"]], [p["values"] for p in three["measures"]])

    def test_which_weights(self):
        loss = lambda r: r["measures"][0]["values"][0]["value"]
        small = ["noise", "--set", "batches=2", "--set", "noise.samples=4", "-o", "out"]
        average = self.probe(self.run_folder, *small)
        stepped = self.probe(self.run_folder, *small, "--raw")
        middle = self.probe(f"{self.run_folder}/checkpoint/step-000000000002.safetensors", *small)
        self.assertEqual(stepped["weights"], "stepped")
        self.assertEqual(middle["step"], 2)
        self.assertEqual(len({loss(average), loss(stepped), loss(middle)}), 3)
        self.assertEqual(loss(average), loss(self.probe(f"{self.run_folder}/checkpoint", *small)))

    def test_towards_another_point(self):
        other = f"{self.run_folder}/checkpoint/step-000000000002.safetensors"
        result = self.probe(self.run_folder, "line", "--with", other, "--set", "points=5", "--set", "evaluate=32", "-o", "out")
        self.assertEqual(result["with"], [other])
        with open(self.dir / "out/line.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["series"].startswith("train")]
        self.assertEqual(len(rows), 5)
        there = self.probe(other, "line", "--set", "points=5", "--set", "directions=1", "--set", "evaluate=32", "-o", "there")
        with open(self.dir / "there/line.csv", newline="") as file:
            centre = [row for row in csv.DictReader(file) if row["series"] == "train"][2]
        self.assertAlmostEqual(float(rows[4]["y"]), float(centre["y"]), places=5)

    def test_planes_of_several_points(self):
        other = f"{self.run_folder}/checkpoint/step-000000000002.safetensors"
        third = json.loads(self.succeeds(*TRAINING, "--seed", "1", cwd=self.dir).stdout)["run"]
        size = ["--set", "grid=3", "--set", "evaluate=32"]
        plane = self.probe(self.run_folder, "plane", "--with", other, "--with", third, "--set", "axes=points", *size, "--set",
                           "reach=1e-9", "-o", "plane")
        values = {v["key"]: v["value"] for v in plane["measures"][1]["values"]}
        self.assertLess(values["distance"], 1e-4)
        with open(self.dir / "plane/plane-train.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        field = [row for row in rows if row["z"]]
        self.assertEqual(len(field), 9)
        # the first two points lie on the edge y = 0, and at least one of them in a corner
        compared = 0
        for path, name in ((self.run_folder, "the point"), (other, "other points")):
            place = next(row for row in rows if row["series"] == name)
            corner = min(field, key=lambda row: abs(float(row["x"]) - float(place["x"])) + abs(float(row["y"])))
            if abs(float(corner["x"]) - float(place["x"])) > 1e-5:
                continue
            self.probe(path, "line", "--set", "points=5", "--set", "directions=1", "--set", "evaluate=32", "-o", "line")
            with open(self.dir / "line/line.csv", newline="") as file:
                centre = [row for row in csv.DictReader(file) if row["series"] == "train"][2]
            self.assertAlmostEqual(float(corner["z"]), float(centre["y"]), places=4)
            compared += 1
        self.assertGreaterEqual(compared, 1)
        pca = self.probe(self.run_folder, "plane", "--with", other, "--with", third, "--set", "axes=pca", *size, "-o", "pca")
        values = {v["key"]: v["value"] for v in pca["measures"][1]["values"]}
        self.assertAlmostEqual(values["first"] + values["second"], 1, places=6)
        self.assertLess(values["distance"], 1e-4)

    def test_files_that_do_not_fit(self):
        self.fails(1, "probe", self.run_folder, "hessian", "--set", "workload.hidden=9", "-q", cwd=self.dir,
                   says=["does not fit", "expected [9, 784]", "found [8, 784]"])
        weights = self.dir / self.run_folder / "weights.safetensors"
        self.fails(1, "probe", weights, "noise", "--raw", "-q", cwd=self.dir, says=["weights to evaluate only"])
        weights.write_bytes(weights.read_bytes()[:-5])
        self.fails(1, "probe", self.run_folder, "noise", "-q", cwd=self.dir, says=["weights.safetensors"])


class Use(Case):
    def test_use(self):
        for name in names("measures"):
            self.fails(2, "probe", "absent", name[:-1] + "x" + name[-1], says=[f"did you mean '{name}'?"])
        self.fails(1, "probe", "absent", cwd=self.dir, says=["absent", "expected a run folder", "found nothing"])
        self.fails(1, "probe", self.dir, says=["expected a run folder"])
        self.fails(2, "probe", "absent", "hessian", "--set", "prodcuts=3", says=["did you mean 'products'?"])
        self.fails(2, "probe", "absent", "hessian", "--set", "products=0", says=["products", "[2, 1000]"])
        self.fails(2, "probe", "absent", "hessian", "--set", "products", says=["NAME=VALUE"])
        self.fails(2, "probe", "absent", "--threads", "0", says=["--threads"])

    def test_explained(self):
        for name in names("measures"):
            self.assertIn("parameter", self.succeeds("explain", name).stdout)


if __name__ == "__main__":
    unittest.main()
