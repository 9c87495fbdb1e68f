#!/usr/bin/env python3
"""Exports, read by parsers that know nothing of the program: csv, npy, safetensors and event files."""
import ast
import csv
import json
import pathlib
import struct
import unittest
import zipfile

from support import Case

TRAINING = ["--set", "steps=30", "--set", "stop_at_target=false"]
SMALL = ["train", "modular-division", "--set", "p=7", "--set", "width=8", "--set", "heads=2", "--set", "batch=8", *TRAINING]


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    tensors, ends = {}, [0]
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            ends += [last]
            raw = data[8 + length:][first:last]
            tensors[name] = (tuple(entry["shape"]), struct.unpack(f"<{len(raw) // 4}f", raw))
            assert entry["dtype"] == "F32", entry
    assert max(ends) == len(data) - 8 - length, "bytes behind the last tensor"
    return tensors


def read_npz(path):
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            data = archive.read(name)
            assert data[:6] == b"\x93NUMPY", name
            length, = struct.unpack("<H", data[8:10])
            header = ast.literal_eval(data[10:10 + length].decode("latin1"))
            assert (10 + length) % 64 == 0 and not header["fortran_order"], name
            raw = data[10 + length:]
            arrays[name.removesuffix(".npy")] = (header["shape"], header["descr"],
                                                 struct.unpack(f"<{len(raw) // 4}f", raw))
    return arrays


def crc32c(data):
    """Castagnoli's polynomial, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    data, at = pathlib.Path(path).read_bytes(), 0
    while at < len(data):
        length, check = struct.unpack("<QI", data[at:at + 12])
        assert check == masked(data[at:at + 8])
        record = data[at + 12:at + 12 + length]
        assert struct.unpack("<I", data[at + 12 + length:at + 16 + length])[0] == masked(record)
        yield record
        at += 16 + length


def fields(message):
    """(number, value) of the fields of a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, message[at:at + size]
            at += size


class Exports(Case):
    def setUp(self):
        super().setUp()
        self.runs = self.dir / "runs"
        self.result = json.loads(self.succeeds(*SMALL, "-o", self.runs, "--json").stdout)
        self.run_folder = pathlib.Path(self.result["run"])
        self.log = [json.loads(line) for line in (self.run_folder / "log.jsonl").read_text().splitlines()]

    def test_csv(self):
        out = self.dir / "all.csv"
        self.succeeds("train", "rosenbrock", *TRAINING, "-o", self.runs)
        self.assertEqual(self.succeeds("export", self.runs, out).stdout, f"{out}\n")
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        mine = [row for row in rows if self.run_folder.name in row["run"]]
        self.assertEqual(len(mine), len(self.log))
        self.assertGreater(len(rows), len(mine))
        for row, line in zip(mine, self.log):
            self.assertEqual(int(row["step"]), line["step"])
            self.assertEqual(int(row["examples"]), line["examples"])
            loss = line["metrics"]["loss"] if "metrics" in line else line["loss"]
            self.assertEqual(float(row["loss"]), float(loss))

    def test_weights(self):
        weights = read_safetensors(self.result["weights"])
        copy, npz = self.dir / "copy.safetensors", self.dir / "weights.npz"
        self.succeeds("export", self.run_folder, copy, "--to", "safetensors")
        self.assertEqual(read_safetensors(copy), weights)
        done = self.succeeds("export", self.run_folder, npz, "--to", "npz", "--json")
        self.assertEqual(json.loads(done.stdout), {"npz": str(npz)})
        arrays = read_npz(npz)
        self.assertEqual({name: (shape, values) for name, (shape, _, values) in arrays.items()}, weights)
        self.assertEqual({descr for _, descr, _ in arrays.values()}, {"<f4"})
        self.assertIn("tokens.weight", weights)

    def test_tensorboard(self):
        out = self.dir / "events"
        self.succeeds("export", self.runs, out, "--to", "tensorboard")
        files = [path for path in out.rglob("*") if path.is_file()]
        self.assertEqual(len(files), 1)
        self.assertIn(self.run_folder.name, str(files[0]))
        self.assertIn("tfevents", files[0].name)
        events = [dict(fields(record)) for record in records(files[0])]
        self.assertEqual(events[0][3], b"brain.Event:2")
        scalars = set()
        for event in events[1:]:
            for number, value in fields(event[5]):
                entry = dict(fields(value))
                scalars.add((entry[1].decode(), event.get(2, 0), struct.unpack("<f", entry[2])[0]))
        steps = {line["step"] for line in self.log}
        self.assertEqual({step for _, step, _ in scalars}, steps)
        single = lambda x: struct.unpack("<f", struct.pack("<f", x))[0]
        losses = {(line["step"], single(line["loss"])) for line in self.log if "loss" in line}
        self.assertLessEqual(losses, {(step, value) for tag, step, value in scalars if "loss" in tag})

    def test_report(self):
        page = pathlib.Path(self.succeeds("report", self.runs).stdout.strip())
        text = page.read_text()
        self.assertTrue(text.lstrip().lower().startswith("<!doctype html"))
        self.assertIn(self.run_folder.name, text)

    def test_refusals(self):
        self.fails(1, "export", self.runs, self.dir / "w.npz", "--to", "npz", says=["weights.safetensors"])
        self.fails(1, "export", self.runs, "/proc/nothing.csv", says=["/proc"])
        self.fails(1, "report", self.runs, "-o", "/proc/nothing.html", says=["/proc"])


if __name__ == "__main__":
    unittest.main()
