"""Packs the wheel: the package, its library, and the libraries beside it that a bare system
may not have.  The same input gives the same bytes.

    python3 backend.py LIBRARY FOLDER      what `make wheel` runs
    pip wheel python/                      PEP 517; takes $RAVINE_LIBRARY or what `make wheel` built
"""
import base64
import ctypes
import hashlib
import os
import pathlib
import platform
import re
import subprocess
import sys
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
BUILT = HERE.parent / "build" / "release" / "python" / "libravine.so"
# Every Linux system has these (PEP 600); all else goes into the wheel.
EVERYWHERE = re.compile(r"(linux-vdso|ld-linux.*|libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|libz)\.so")
OPENBLAS_LICENCE = "libopenblas0-openmp"  # linked into the library


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


def needed(library):
    """{name: path} of the libraries that have to come along."""
    found = dict(re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", str(library)), re.M))
    return {name: path for name, path in sorted(found.items()) if not EVERYWHERE.match(name)}


def tag(files):
    """py3-none-manylinux_X_Y: the newest glibc that any of the files asks for."""
    machine = platform.machine()
    versions = [tuple(map(int, v)) for f in files for v in re.findall(r"GLIBC_(\d+)\.(\d+)", output("objdump", "-T", f))]
    if not versions:
        return f"py3-none-linux_{machine}"
    return "py3-none-manylinux_{}_{}_{}".format(*max(versions), machine)


def copyrights(libraries):
    """{file name: text} of the licences of what comes along, where Debian's packages tell."""
    packages = {OPENBLAS_LICENCE}
    for path in libraries:
        for known in (path, str(pathlib.Path(path).resolve()), path.removeprefix("/usr")):
            done = subprocess.run(["dpkg", "-S", known], capture_output=True, text=True)
            if done.returncode == 0:
                packages.add(done.stdout.split(":")[0])
                break
    files = {p: pathlib.Path("/usr/share/doc") / p / "copyright" for p in sorted(packages)}
    return {f"{p}.copyright": f.read_bytes() for p, f in files.items() if f.exists()}


def metadata(project, version):
    return "\n".join([
        "Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {version}",
        f"Summary: {project['description']}", f"License: {project['license']['text']}",
        f"Requires-Python: {project['requires-python']}", "Description-Content-Type: text/markdown", "",
        (HERE / project["readme"]).read_text()])


def pack(library, folder):
    """Writes the wheel for library into folder; returns its name."""
    library = pathlib.Path(library).resolve()
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    opened = ctypes.CDLL(str(library))
    opened.rv_version.restype = ctypes.c_char_p
    version = opened.rv_version().decode()
    beside = needed(library)
    label = tag([str(library), *beside.values()])
    info = f"{project['name']}-{version}.dist-info"

    files = {str(p.relative_to(HERE)): p.read_bytes() for p in HERE.joinpath("ravine").rglob("*")
             if p.suffix in (".py", ".pyi") or p.name == "py.typed"}
    files["ravine/_lib/libravine.so"] = library.read_bytes()
    files.update({f"ravine/_lib/{name}": pathlib.Path(path).read_bytes() for name, path in beside.items()})
    files[f"{info}/METADATA"] = metadata(project, version).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: ravine\nRoot-Is-Purelib: false\nTag: {label}\n".encode()
    files[f"{info}/licenses/LICENSE"] = (HERE.parent / "LICENSE").read_bytes()
    files.update({f"{info}/licenses/{name}": text for name, text in copyrights(beside.values()).items()})
    record = "".join(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},"
                     f"{len(data)}\n" for name, data in sorted(files.items()))
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()

    name = f"{project['name']}-{version}-{label}.whl"
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(path)  # of 1980: no clock in the file
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            wheel.writestr(entry, data)
    return name


# ---- PEP 517 -----------------------------------------------------------------


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    library = pathlib.Path(os.environ.get("RAVINE_LIBRARY", BUILT))
    if not library.exists():
        raise SystemExit(f"{library} is not there: run `make wheel` first")
    return pack(library, wheel_directory)


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit("this folder is no source distribution of its own: take the whole repository")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(pathlib.Path(sys.argv[2]) / pack(sys.argv[1], sys.argv[2]))
