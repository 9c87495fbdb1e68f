#!/bin/sh
# Installs the Debian packages that Ravine needs, and nothing that is already there.
#   setup.sh build          what building and running needs
#   setup.sh build check    and what the tests need
set -eu

packages=""
for part in "$@"; do
    case $part in
    build) packages="$packages gcc libc6-dev make cmake ninja-build pkg-config ca-certificates
        libdnnl-dev libopenblas-openmp-dev libjansson-dev libsqlite3-dev zlib1g-dev
        python3 python3-pip" ;;
    check) packages="$packages g++ clang libclang-rt-14-dev libcmocka-dev chromium git python3-venv" ;;
    *) echo "setup: unknown part '$part': expected build or check" >&2; exit 2 ;;
    esac
done

missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "setup: all packages are installed"
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: needs root or sudo to install:$missing" >&2; exit 1; }
    as_root=sudo
fi
echo "setup: installing$missing" | tr -s ' \n' ' '
echo
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086  # lists that are meant to be split
install_all() {
    $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}
install_all >"$log" 2>&1 || { cat "$log" >&2; echo "setup: apt-get failed; see above" >&2; exit 1; }
echo "setup: installed"
