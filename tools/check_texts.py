#!/usr/bin/env python3
"""Dead rows of the studies' Russian texts: rows whose English text no longer stands in any source.

    tools/check_texts.py [ROOT]

A row of studies/ru/NAME.json or measures/ru/probe.json is alive when its English side is a string literal of
the rooms that write pages (adjacent literals are one; width and precision of conversions do not count), one
reference of a list "a; b", or what such a format prints of numbers and literals.  Any file will do: what studies
share has rows in each of them.
"""
import json
import pathlib
import re
import sys

# one literal, or several with nothing but space, comments or a line's backslash between them
LITERAL = r'"(?:[^"\\\n]|\\.)*"'
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|(' + LITERAL + r""")|'(?:[^'\\\n]|\\.)+'|(\w+)""", re.S)
MACRO = re.compile(r'^#define (\w+) (' + LITERAL + r')$', re.M)
ADJACENT = re.compile(LITERAL + r'(?:[\s\\]*' + LITERAL + r')*')
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "'": "'", "0": "\0"}


def literals(text):
    """All string literals of C source, macros that are one put in, adjacent ones joined, as the compiler sees them."""
    macros = dict(MACRO.findall(text))
    code = TOKEN.sub(lambda m: m[1] or macros.get(m[2], m[2]) or " ", text)
    for run in ADJACENT.findall(code):
        whole = "".join(part[1:-1] for part in re.findall(LITERAL, run))
        yield re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), whole)


def plain(text):
    """Without the width and precision of its conversions."""
    return re.sub(r"%[-+#0-9.*hlLzjt]*([diuxXgGfFeEsc])", r"%\1", text)


def source_texts(root):
    known = set()
    for top in ("studies", "measures", "src/report", "src/trial", "src/objective"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".c", ".h", ".def"):
                for text in literals(path.read_text()):
                    known.update({plain(text), *text.split("; ")})
    return known


def printers(known):
    """Formats that print words, as patterns whose groups are the words."""
    for text in known:
        if "%s" in text and re.search(r"[^\s%s]", text.replace("%s", "")):
            pattern = re.escape(text).replace("%s", "(.+)")
            yield re.compile(re.sub(r"%[diuxXgGfFeE]", r"[-+0-9.e]+", pattern))


def dead_rows(root):
    """(file, English text) of every row that no source has; the number of rows."""
    known, dead, count = source_texts(root), [], 0
    formats = list(printers(known))
    for path in sorted([*(root / "studies/ru").glob("*.json"), *(root / "measures/ru").glob("*.json")]):
        for text in json.loads(path.read_text()):
            count += 1
            printed = (f.fullmatch(text) for f in formats)
            if plain(text) not in known and not any(m and all(word in known for word in m.groups()) for m in printed):
                dead.append((path.relative_to(root), text))
    return dead, count


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    dead, count = dead_rows(root)
    for path, text in dead:
        print(f"{path}: no source has {json.dumps(text, ensure_ascii=False)}", file=sys.stderr)
    print(f"check_texts: {count} rows, {len(dead)} dead")
    return 1 if dead or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
