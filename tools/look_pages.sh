#!/bin/bash
# Photographs every page below a folder and lists what its pages write to the console.
#
#     tools/look_pages.sh DIR OUT
#
# Each index.html below DIR is opened in headless Chromium four times: 1280 and 390 wide, light and dark,
# English and Russian taken in turn.  OUT gets the pictures and sheet.html, which shows them side by side.
# Exit status 1: some page wrote to the console.  For people who change a page; no test.
set -euo pipefail
[ $# = 2 ] || { sed -n '4p' "$0" >&2; exit 2; }
dir=$(realpath "$1") out=$2
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { echo "no Chromium here" >&2; exit 1; }
mkdir -p "$out"
out=$(realpath "$out") work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dark=(--blink-settings=preferredColorScheme=0)
height=3900 faults=0

shoot() { # PICTURE URL WIDTH [FLAG..]
    local picture=$1 url=$2 width=$3
    shift 3
    timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --enable-unsafe-swiftshader --hide-scrollbars \
        --user-data-dir="$work/profile" --enable-logging=stderr --virtual-time-budget=8000 "$@" \
        --window-size="$width,$height" --screenshot="$out/$picture.png" "$url" >/dev/null 2>"$work/log" || echo "$picture: no picture" >&2
    # the browser's own advice on software WebGL is not the page's
    if grep CONSOLE "$work/log" | grep -v 'GL_\|willReadFrequently' | sed "s|^|$picture: |"; then faults=1; fi
}

# A window cannot be narrower than 500, a frame can.
shoot_phone() { # PICTURE URL [FLAG..]
    local picture=$1
    echo "<body style='margin:0'><iframe src='$2' style='border:0;width:390px;height:${height}px'></iframe>" >"$work/frame.html"
    shift 2
    shoot "$picture" "file://$work/frame.html" 500 "$@"
}

echo "<meta charset=utf-8><title>Pages</title><body style='background:#888;font:14px sans-serif'>" >"$out/sheet.html"
while read -r page; do
    name=${page#"$dir"/} name=${name%index.html} name=${name%/} name=${name//\//-} name=${name:-top}
    shoot "$name-desktop-light-en" "file://$page?lang=en" 1280
    shoot "$name-desktop-dark-ru" "file://$page?lang=ru" 1280 "${dark[@]}"
    shoot_phone "$name-phone-light-ru" "file://$page?lang=ru"
    shoot_phone "$name-phone-dark-en" "file://$page?lang=en" "${dark[@]}"
    {
        echo "<h2>$name</h2><div style='display:flex;gap:8px;align-items:flex-start'>"
        for kind in desktop-light-en desktop-dark-ru phone-light-ru phone-dark-en; do
            echo "<a href='$name-$kind.png'><img src='$name-$kind.png' style='height:900px'></a>"
        done
        echo "</div>"
    } >>"$out/sheet.html"
    echo "$name"
done < <(find "$dir" -name index.html | sort)
exit $faults
