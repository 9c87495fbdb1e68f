#!/usr/bin/env python3
"""Probes of saved weights: through a short training, and every error of use."""
import csv
import json
import math
import unittest

from support import Case, names, page_data

TRAINING = ["train", "mnist-mlp", "--set", "hidden=8", "--set", "images=256", "--set", "evaluate=64", "--set", "batch=32",
            "--set", "steps=4", "--set", "eval_every=4", "--set", "checkpoint_every=2", "--optimizer", "schedule_free_sgd",
            "--set", "lr=0.1", "-q", "--json", "--keep", "1", "-o", "runs"]
TEXT = ["train", "char-lm", "--set", "layers=1", "--set", "heads=1", "--set", "width=8", "--set", "block=8", "--set", "evaluate=4",
        "--set", "batch=2", "--set", "steps=2", "-q", "--json", "-o", "runs"]
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

    def values(self, result, part=1):
        return {v["key"]: v["value"] for v in result["measures"][part]["values"]}

    def series(self, path):
        """name -> [(x, y)], and the cells of a field as [(x, y, z)]."""
        lines, field = {}, []
        with open(self.dir / path, newline="") as file:
            for row in csv.DictReader(file):
                if row["z"]:
                    field.append(tuple(float(row[k]) for k in "xyz"))
                else:
                    lines.setdefault(row["series"], []).append((float(row["x"]), float(row["y"])))
        return lines, field

    def test_trajectory(self):
        steps = sorted(path.name for path in (self.dir / self.run_folder / "trajectory").iterdir())
        self.assertEqual(steps, [f"step-{k:012d}.safetensors" for k in range(5)])
        small = ["--set", "batches=2", "--set", "noise.samples=4", "-o", "out"]
        begin = self.probe(f"{self.run_folder}@start", "noise", *small)
        self.assertEqual(begin["step"], 0)
        kept = self.probe(f"{self.run_folder}/trajectory/step-000000000000.safetensors", "noise", *small)
        self.assertEqual(begin["measures"][0]["values"], kept["measures"][0]["values"])
        last = self.probe(f"{self.run_folder}/trajectory", "noise", *small)
        self.assertEqual(last["step"], 4)
        size = ["--set", "grid=3", "--set", "evaluate=32"]
        result = self.probe(self.run_folder, "plane", "--set", "axes=pca", "--with", f"{self.run_folder}/trajectory", *size, "-o", "out")
        self.assertEqual([path.split("/")[-1] for path in result["with"]], steps)
        self.assertIn("of 5 points", next(v["quantity"] for v in result["measures"][1]["values"] if v["key"] == "first"))
        lines, _ = self.series("out/plane-train.csv")
        self.assertEqual(len(lines["trajectory"]), 5)
        self.assertEqual(lines["trajectory"][-1], lines["the point"][0])
        # a run that keeps nothing makes the same steps
        self.succeeds(*[word for word in TRAINING[:-1] if word not in ("--keep", "1")], "plain", cwd=self.dir)
        plain = next((self.dir / "plain").glob("mnist-mlp-*"))
        self.assertFalse((plain / "trajectory").exists())
        self.assertEqual((plain / "weights.safetensors").read_bytes(), (self.dir / self.run_folder / "weights.safetensors").read_bytes())

    def test_dropout_along_a_line(self):
        line = ["line", "--set", "points=5", "--set", "directions=1", "--set", "view=training", "-o", "out"]
        plain = self.probe(self.run_folder, *line)
        lines, _ = self.series("out/line.csv")
        # six digits are written
        self.assertTrue(math.isclose(lines["training mode"][2][1], self.values(plain, 0)["loss"], rel_tol=1e-5))
        dropped = self.probe(self.run_folder, *line, "--set", "workload.dropout=0.5")
        self.assertNotEqual(self.values(plain, 0)["loss"], self.values(dropped, 0)["loss"])
        again, _ = self.series("out/line.csv")
        self.assertTrue(math.isclose(again["training mode"][2][1], self.values(dropped, 0)["loss"], rel_tol=1e-5))

    def test_curves(self):
        second, third = (json.loads(self.succeeds(*TRAINING, "--seed", n, cwd=self.dir).stdout)["run"] for n in "12")
        size = ["--set", "curve.points=5", "--set", "grid=3", "--set", "evaluate=64"]
        for kind in ("bezier", "chain"):
            result = self.probe(self.run_folder, "curve", "--with", second, *size, "--set", "curve.steps=80", "--set", "lr=0.03", "--set",
                                f"kind={kind}", "-o", "out")
            values, (lines, _) = self.values(result), self.series("out/curve.csv")
            segment, curve = lines["segment, train"], lines["curve, train"]
            self.assertEqual([x for x, _ in curve], [0, 0.25, 0.5, 0.75, 1])
            self.assertEqual((segment[0], segment[-1]), (curve[0], curve[-1]))  # they share their ends
            for key, points in (("segment_barrier", segment), ("curve_barrier", curve)):
                (_, first), (_, last) = points[0], points[-1]
                excess = max(0, *(y - (1 - x) * first - x * last for x, y in points))
                self.assertAlmostEqual(values[key], excess, places=4)
            self.assertAlmostEqual(values["curve_highest"], max(y for _, y in curve), places=4)
            self.assertLess(sum(y for _, y in curve), sum(y for _, y in segment), kind)  # what was trained for
            self.assertGreater(values["length"], 1)
            self.assertLess(values["length"], 10)
            self.assertEqual(set(self.series("out/curve-metric.csv")[0]), set(lines))
            plane, field = self.series("out/curve-plane.csv")
            self.assertEqual((len(field), len(plane["curve"])), (9, 5))
            for end, place in zip(plane["ends"], (0, -1)):
                self.assertAlmostEqual(math.dist(end, plane["curve"][place]), 0, places=4)
        # the middle of a Bezier curve is half its bend, that of a chain is the bend
        self.assertAlmostEqual(math.dist(plane["curve"][2], plane["bend"][0]), 0, places=4)
        both = self.probe(self.run_folder, "curve", "--with", second, "--with", third, *size, "--set", "curve.steps=2", "--set", "grid=0", "-o", "both")
        self.assertLessEqual({"segment_barrier_1", "curve_barrier_2", "length_2"}, set(self.values(both)))
        self.assertEqual(self.series("both/curve.csv")[0]["curve, train"][-1][0], 2)
        self.fails(2, "probe", self.run_folder, "curve", "-q", cwd=self.dir, says=["needs 1 more saved point", "--with"])
        self.fails(2, "probe", self.run_folder, "curve", "--with", second, "--set", "method=adma", "-q", cwd=self.dir, says=["adma"])

    def test_patterns(self):
        (self.dir / "cross.txt").write_text("#.#\n.#.\n#.#\n")
        small = ["pattern", "--set", "icon=cross.txt", "--set", "pattern.steps=150", "--set", "pattern.lr=0.02", "--set", "cells=4", "--set", "evaluate=64", "-o", "out"]
        result = self.probe(self.run_folder, *small)
        values, (_, field) = self.values(result), self.series("out/pattern-train.csv")
        self.assertLess(values["distance"], 1e-6)  # the picture goes through the point
        self.assertEqual(len(field), 9)
        bright = lambda x, y: x == 1 if y == 1 else x != 1
        worst = max(z for x, y, z in field if bright(x, y))
        right = max(sum((z <= level) == bright(x, y) for x, y, z in field) for _, _, level in field) / 9
        self.assertAlmostEqual(values["train_right"], right, places=6)
        self.assertGreater(values["train_right"], values["before"])
        self.assertLess(worst, max(z for x, y, z in field if not bright(x, y)))
        free = self.values(self.probe(self.run_folder, *small, "--set", "fixed=false"))
        self.assertGreater(free["distance"], 1e-3)
        (self.dir / "dark.txt").write_text("...\n")
        self.fails(1, "probe", self.run_folder, "pattern", "--set", "icon=dark.txt", "-q", cwd=self.dir, says=["dark.txt", "bright"])
        self.fails(1, "probe", self.run_folder, "pattern", "--set", "icon=absent.txt", "-q", cwd=self.dir, says=["absent.txt"])

    def test_pages_in_russian(self):
        """Every text of every measure has a row in measures/ru/probe.json; the message can be pasted into it."""
        second, third = (json.loads(self.succeeds(*TRAINING, "--seed", n, cwd=self.dir).stdout)["run"] for n in "12")
        size = [*(word.replace("products=3", "products=4") for word in SMALL), "--set", "grid=3", "--set", "index=0"]
        runs = ([*names("measures"), "--with", second, "--with", third, "--set", "pattern.steps=2", "--set", "curve.steps=1", *size, "--lang", "ru"],
                ["line", *SMALL[-6:]],
                ["curve", "--with", f"{self.run_folder}/checkpoint/step-000000000004.safetensors", "--set", "grid=0", "--set", "steps=2"],
                *(["plane", "--with", second, "--with", third, "--set", f"axes={axes}", "--set", "grid=3", "--set", "evaluate=32"] for axes in ("pca", "hessian")),
                *([measure, "--set", "view=training", "--set", f"{measure}.{size}"] for measure, size in (("line", "points=5"), ("plane", "grid=3"))))
        seen = set()
        for arguments in runs:
            self.probe(self.run_folder, *arguments, "-o", "out")
            page = page_data(self.dir / "out/index.html")
            self.assertEqual(page["language"], "ru" if "ru" in arguments else "en")
            missing = {text: "" for text in page["probe"]["untranslated"]}
            self.assertEqual(missing, {}, f"{arguments}: measures/ru/probe.json lacks\n{json.dumps(missing, ensure_ascii=False, indent=2)}")
            seen.update(part["measure"] for part in page["probe"]["measures"])
        self.assertEqual(seen, {"point", *names("measures")})

    def test_files_that_do_not_fit(self):
        self.fails(1, "probe", self.run_folder, "hessian", "--set", "workload.hidden=9", "-q", cwd=self.dir,
                   says=["does not fit", "expected [9, 784]", "found [8, 784]"])
        weights = self.dir / self.run_folder / "weights.safetensors"
        self.fails(1, "probe", weights, "noise", "--raw", "-q", cwd=self.dir, says=["weights to evaluate only"])
        weights.write_bytes(weights.read_bytes()[:-5])
        self.fails(1, "probe", self.run_folder, "noise", "-q", cwd=self.dir, says=["weights.safetensors"])


class Data(Case):
    """What was trained on one data set is neither probed nor resumed on another one, and nobody asks in silence."""

    def setUp(self):
        super().setUp()
        play = self.dir / "data/tinyshakespeare/input.txt"
        play.parent.mkdir(parents=True)
        play.write_text("To be, or not to be, that is the question.\n" * 200)
        self.run_folder = self.dir / json.loads(self.succeeds(*TEXT, "--data", "data", cwd=self.dir).stdout)["run"]
        self.names = ["tinyshakespeare/input.txt", "procedural text"]

    def strip(self, path):
        """The file as versions wrote it that did not record the data; weights have no checksum."""
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8:8 + size])
        del header["__metadata__"]["data"]
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
        path.write_bytes(size.to_bytes(8, "little") + text + content[8 + size:])

    def test_recorded(self):
        meta = json.loads((self.run_folder / "meta.json").read_text())
        self.assertTrue(meta["data"].startswith("tinyshakespeare/input.txt: 8600 bytes"), meta["data"])
        probe = json.loads(self.succeeds("probe", self.run_folder, "noise", "--set", "noise.samples=4", "--data", "data", "-q", "--json",
                                         cwd=self.dir).stdout)
        self.assertEqual(probe["data"], meta["data"])

    def test_probe(self):
        small = ["noise", "--set", "noise.samples=4", "-q", "--json"]
        for place in (self.run_folder, f"{self.run_folder}/checkpoint", f"{self.run_folder}@start"):
            self.fails(1, "probe", place, *small, cwd=self.dir, says=["other data", "expected", "found", *self.names])
        done = json.loads(self.succeeds("probe", self.run_folder, *small, "--other-data", cwd=self.dir).stdout)
        self.assertTrue(any("other data" in note for note in done["notes"]), done["notes"])
        procedural = json.loads(self.succeeds(*TEXT, "--seed", "1", cwd=self.dir).stdout)["run"]
        self.fails(1, "probe", procedural, "line", "--with", self.run_folder, "-q", cwd=self.dir, says=["other data"])
        self.strip(self.run_folder / "weights.safetensors")
        self.succeeds("probe", self.run_folder, *small, cwd=self.dir)

    def test_resume(self):
        before = {path.name: path.read_bytes() for path in self.run_folder.iterdir() if path.is_file()}
        (self.run_folder / "result.json").unlink()
        self.fails(1, *TEXT, cwd=self.dir, says=["data:", "there", "here", *self.names])
        self.assertEqual((self.run_folder / "meta.json").read_bytes(), before["meta.json"])
        again = json.loads(self.succeeds(*TEXT, "--data", "data", cwd=self.dir).stdout)
        self.assertEqual(again["outcome"], "budget")
        self.assertEqual((self.run_folder / "weights.safetensors").read_bytes(), before["weights.safetensors"])


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
