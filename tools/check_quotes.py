#!/usr/bin/env python3
"""Code that a page quotes is the code: fails where a quoted line is not in the file it names.

    tools/check_quotes.py [ROOT]

In docs/*.md the comment <!-- quote FILE --> makes the next fenced block a quotation: its lines, "..."
lines apart, stand in FILE in this order, whatever their indentation.
"""
import pathlib
import re
import sys

QUOTE = re.compile(r"<!-- quote (\S+) -->\s*```\w*\n(.*?)```", re.DOTALL)


def missing(lines, source):
    """The first line that is not found after the ones before it, or None."""
    at = 0
    for line in lines:
        while at < len(source) and source[at] != line:
            at += 1
        if at == len(source):
            return line
        at += 1
    return None


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    faults, quotes = [], 0
    for page in sorted((root / "docs").glob("*.md")):
        for match in QUOTE.finditer(page.read_text()):
            quotes += 1
            source = [line.strip() for line in (root / match[1]).read_text().splitlines()]
            lines = [line.strip() for line in match[2].splitlines() if line.strip() not in ("", "...")]
            line = missing(lines, source)
            if line is not None:
                faults.append(f"{page.name}: {match[1]} does not say '{line}'")
    for fault in faults:
        print(fault)
    print(f"check_quotes: {quotes} quotations, {len(faults)} wrong")
    return 1 if faults or not quotes else 0


if __name__ == "__main__":
    sys.exit(main())
