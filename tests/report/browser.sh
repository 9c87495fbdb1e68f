#!/bin/sh
# Opens reports of made-up runs in headless Chromium and lets the page test itself
# (#selftest): all charts drawn, no error, the axis switches work, nothing is wider than
# the window.  77: no browser or no Python here.
#     browser.sh WRITE_PAGE SOURCE_FOLDER RAVINE
set -eu

write_page=$1 source=$2 ravine=$3
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || exit 77
command -v python3 >/dev/null || exit 77

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

expect() { # PAGE ATTRIBUTE VALUE
    if ! grep -q " $2=\"$3\"" "$work/$1.html-tag"; then
        echo "$1: expected $2=\"$3\" in: $(cat "$work/$1.html-tag")" >&2
        failed=1
    fi
}

open_any() { # PAGE SCRIPTS [QUERY]
    timeout 240 "$browser" --headless=new --no-sandbox --disable-gpu --enable-unsafe-swiftshader --user-data-dir="$work/profile" \
        --enable-logging=stderr --virtual-time-budget=15000 --dump-dom "file://$work/$1.html${3:-}#selftest" \
        >"$work/$1.dom" 2>"$work/$1.log" || { echo "$1: the browser failed" >&2; tail -5 "$work/$1.log" >&2; failed=1; }
    grep -o '<html[^>]*>' "$work/$1.dom" | head -1 >"$work/$1.html-tag"
    expect "$1" data-selftest done
    expect "$1" data-errors ""
    expect "$1" data-overflow false
    expect "$1" data-scripts "$2"
    # the browser's own advice on software WebGL is not the page's
    if grep -i 'CONSOLE' "$work/$1.log" | grep -v 'Performance, GL_\|willReadFrequently'; then
        echo "$1: the page wrote to the console" >&2
        failed=1
    fi
}

open_page() { # PAGE FIGURES
    open_any "$1" 3
    expect "$1" data-figures "$2"
    expect "$1" data-drawn "$2"
    expect "$1" data-svg true
}

check() { # PAGE DIR FIGURES
    "$write_page" "$2" "$work/$1.html"
    open_page "$1" "$3"
    expect "$1" data-axis-before linear
    expect "$1" data-axis-after log
    expect "$1" data-axis-back linear
    expect "$1" data-axis-title "training time (s)"
}

study() { # NAME FIGURES SURFACES: sliders are moved, fields turned into surfaces, the language switched
    "$ravine" study "$1" --quick -q -o "$work/$1" >/dev/null
    cp "$work/$1/index.html" "$work/$1.html"
    open_page "$1" "$2"
    expect "$1" data-surfaces "$3"
    expect "$1" data-overflow-russian false
    expect "$1" data-russian "ru true $2"
    expect "$1" data-english true
}

probe() { # NAME FIGURES MEASURE..: at a short run
    page=$1 figures=$2
    shift 2
    "$ravine" train rosenbrock --set steps=20 --set stop_at_target=false -q -o "$work/$page-runs" >/dev/null
    "$ravine" probe "$work/$page-runs"/rosenbrock-* "$@" -q -o "$work/$page" >/dev/null
    cp "$work/$page/index.html" "$work/$page.html"
    open_page "$page" "$figures"
    expect "$page" data-russian "ru true $figures"
    expect "$page" data-overflow-russian false
}

gallery() { # NAME..: run one by one into one folder, in any order; shown in the order of the lecture
    for name in "$@"; do
        "$ravine" study "$name" --quick -q -o "$work/lecture/$name" >/dev/null
    done
    cp "$work/lecture/index.html" "$work/gallery.html"
    open_any gallery 2
    expect gallery data-stills $#
    expect gallery data-links "$(for name in $("$ravine" list studies | awk '{ print $1 }'); do
        case " $* " in *" $name "*) echo "$name" ;; esac; done | paste -sd' ')"
    expect gallery data-russian "ru true 0"
    expect gallery data-overflow-russian false
    # from the gallery each page knows its neighbours in the order of the lecture, and only those that are there
    open_any lecture/escape/index 3 "?lang=ru&gallery=rosenbrock,escape,muon-algebra,%22%3E"
    expect lecture/escape/index data-neighbours "prev:rosenbrock next:muon-algebra"
    open_any lecture/rosenbrock/index 3 "?gallery=rosenbrock,escape"
    expect lecture/rosenbrock/index data-neighbours "next:escape"
    open_any lecture/rosenbrock/index 3
    expect lecture/rosenbrock/index data-neighbours ""
}

python3 "$source/fixture.py" bench "$work/bench"
python3 "$source/fixture.py" runs "$work/runs"
FIXTURE_MARKUP=1 python3 "$source/fixture.py" bench "$work/hostile"
python3 "$source/fixture.py" partial "$work/partial"
# 2 of the ranking; 3 of the problem whose metric is its loss; 4 of each of the others
check bench "$work/bench" 13
check hostile "$work/hostile" 13
# no curves and no sensitivity of the problem that was not run
check partial "$work/partial" 9
# 2 and 3
check runs "$work/runs" 5
# profiles, intervals and the map of credits, of medians with and without studies
"$write_page" "$source/../golden/algoperf/v05_external_medians.csv" "$work/score.html"
open_page score 3
"$write_page" "$source/../golden/algoperf/v06_a100_medians.csv" "$work/medians.html"
open_page medians 2
gallery escape muon-algebra rosenbrock
study rosenbrock 3 1
study escape 4 0
study loss-plane 4 4
probe probe 6 hessian sharpness noise line plane --set grid=7
exit $failed
