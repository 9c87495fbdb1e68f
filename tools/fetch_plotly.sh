#!/bin/sh
# Puts plotly.min.js (MIT, the chart library of the report) into a folder: the wheel of
# the PyPI package `plotly` in one pinned version, checked by SHA-256 before it is opened.
#     tools/fetch_plotly.sh build/third_party
set -eu

version=6.1.2
wheel=plotly-$version-py3-none-any.whl
wheel_sha256=f1548a8ed9158d59e03d7fed548c7db5549f3130d9ae19293c8638c202648f6d
member=plotly/package_data/plotly.min.js
target=${1:-build/third_party}

fail() {
    echo "fetch_plotly: $*" >&2
    echo "fetch_plotly: the report needs $target/plotly.min.js; put it there by hand from" >&2
    echo "    https://pypi.org/project/plotly/$version/ (file $wheel, member $member)" >&2
    exit 1
}

[ -s "$target/plotly.min.js" ] && exit 0
command -v python3 >/dev/null || fail "python3 is not installed (apt-get install python3 python3-pip)"
python3 -m pip --version >/dev/null 2>&1 || fail "pip is not installed (apt-get install python3-pip)"

mkdir -p "$target" || fail "cannot make the folder $target"
work=$(mktemp -d "$target/fetch.XXXXXX") || fail "cannot write into $target"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "fetch_plotly: downloading $wheel with pip" >&2
python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary :all: \
    --dest "$work" "plotly==$version" >&2 || fail "pip could not download plotly $version"
echo "$wheel_sha256  $work/$wheel" | sha256sum --check --status || fail "$wheel has another SHA-256 than $wheel_sha256"
python3 - "$work/$wheel" "$member" "$work/plotly.min.js" <<'PYTHON' || fail "$wheel holds no $member"
import sys, zipfile
wheel, member, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(out, "wb") as file:
    file.write(archive.read(member))
PYTHON
mv "$work/plotly.min.js" "$target/plotly.min.js"
