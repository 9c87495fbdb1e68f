#!/usr/bin/env python3
"""Lists files over 450 lines and functions over 80 as warnings; never fails.

    tools/check_style.py [ROOT]

A function is found by the layout of this code: its opening and its closing brace stand
alone in the first column.
"""
import pathlib
import re
import sys

FILE_LINES, FUNCTION_LINES = 450, 80
NAME = re.compile(r"(\w+)\(")


def functions(lines):
    """(name, first line, number of lines) of every function."""
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            head = start
            while head > 0 and lines[head - 1] and not lines[head - 1].endswith(("}", ";", "*/")):
                head -= 1
            match = NAME.search(" ".join(lines[head:start]))
            yield match[1] if match else "?", head + 1, i - start + 1
            start = None


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    warnings, files, count = [], 0, 0
    for top in ("include", "src", "workloads", "measures", "studies", "cli", "bench", "tests"):
        for path in sorted((root / top).rglob("*.[ch]")):
            lines = path.read_text(errors="replace").splitlines()
            files += 1
            if len(lines) > FILE_LINES:
                warnings.append(f"{path.relative_to(root)}: {len(lines)} lines")
            for name, first, length in functions(lines):
                count += 1
                if length > FUNCTION_LINES:
                    warnings.append(f"{path.relative_to(root)}:{first}: {name} has {length} lines")
    for warning in warnings:
        print("warning:", warning)
    print(f"check_style: {files} files, {count} functions, {len(warnings)} warnings")


if __name__ == "__main__":
    main()
