#!/usr/bin/env python3
"""The arrows between rooms run one way: fails on an #include that runs back.

    tools/check_includes.py [ROOT]

A room is a folder of src/, workloads/, measures/, studies/ or cli/ together with its public header
include/ravine/<room>.h.  A file may include its own room and the rooms that stand in its
row of BELOW, nothing else of the house; only system headers are free.
"""
import pathlib
import re
import sys

BELOW = {
    "core": "",
    "tensor": "core",
    "graph": "core tensor",
    "nn": "core tensor graph",
    "data": "core tensor",
    "objective": "core tensor graph nn data",
    "optim": "core tensor",
    "workload": "core tensor graph nn data objective",
    "probe": "core tensor objective",
    "trial": "core tensor objective optim workload",
    "bench": "core tensor objective optim workload trial",
    "report": "core tensor objective optim workload trial",
    "measure": "core tensor objective optim workload trial probe report",
    "study": "core tensor graph nn data objective optim workload trial bench probe report measure",
    "cli": "core tensor graph nn data objective optim workload trial probe bench report measure study",
}
# Single headers that a room may see beside the rooms below it.
ALSO = {
    "data": {"ravine/objective.h"},     # the splits of a data set
    "objective": {"ravine/workload.h"},  # what a workload hands to a network: data, pool, backend
}
FOLDERS = {"workloads": "workload", "measures": "measure", "studies": "study"}  # rooms beside src/
PUBLIC = {"param": "core", "kfac": "optim", "score": "bench", "landscape": "probe",
          "ravine": None}  # headers that are not called after their room
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')


def room_of_file(path):
    """The room of a source file, given from the root; None: not checked."""
    parts = path.parts
    if parts[:2] == ("include", "ravine"):
        return PUBLIC.get(path.stem, path.stem)
    if parts[0] in FOLDERS:
        return FOLDERS[parts[0]]
    return parts[1] if parts[0] == "src" else parts[0]


def room_of_include(name, path):
    """The room that an include reaches; None: a system header or a file beside it."""
    parts = name.split("/")
    if parts[0] == "ravine":
        stem = pathlib.Path(name).stem
        return "everything" if stem == "ravine" else PUBLIC.get(stem, stem)
    if len(parts) > 1 and parts[0] in FOLDERS:
        return FOLDERS[parts[0]]
    return parts[0] if len(parts) > 1 and parts[0] in BELOW else None


def check(root):
    faults, arrows = [], 0
    for top in ("include/ravine", "src", "workloads", "measures", "studies", "cli"):
        for path in sorted((root / top).rglob("*.[ch]")):
            local = path.relative_to(root)
            room = room_of_file(local)
            if room is None:
                continue
            if room not in BELOW:
                faults.append(f"{local}: no row for the room '{room}' in tools/check_includes.py")
                continue
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                reached = match and room_of_include(match[1], local)
                if not reached or reached == room:
                    continue
                arrows += 1
                if reached not in BELOW[room].split() and match[1] not in ALSO.get(room, ()):
                    faults.append(f"{local}:{number}: {room} must not include {match[1]} ({reached})")
    return faults, arrows


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    faults, arrows = check(root)
    if arrows == 0:
        faults.append(f"{root}: no includes found; is this the root of the repository?")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"check_includes: {arrows} arrows between rooms, {len(faults)} run back")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
