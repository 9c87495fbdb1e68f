#!/usr/bin/env python3
"""ravine/_abi.py against the headers: sizes, offsets, constants and prototypes as a C compiler has them."""
import ctypes
import os
import re
import subprocess
import unittest

from support import ROOT, Case

from ravine import _abi

STRUCTS = {_abi.CError: "rv_error", _abi.CShape: "rv_shape", _abi.CTensor: "rv_tensor", _abi.CArray: "rv_array",
           _abi.COptions: "rv_optimizer_options", _abi.CRow: "rv_optimizer_row",
           _abi.CParam: "rv_param", _abi.CParamTable: "rv_param_table", _abi.CMethodInfo: "rv_method_info",
           _abi.CScheduleInfo: "rv_schedule_info"}
# Expression in C: what Python takes it for.
CONSTANTS = {"RV_OPTIM_ABI": _abi.ABI, "RV_MAX_RANK": _abi.MAX_RANK, "RV_NAME_SIZE": _abi.NAME_SIZE,
             "RV_F32": _abi.F32, "RV_F64": _abi.F64,
             "RV_BF16": _abi.BF16, "RV_I32": _abi.I32, "RV_U8": _abi.U8, "RV_ROLE_COUNT": len(_abi.ROLES),
             "RV_PARAM_REAL": _abi.REAL, "RV_PARAM_INT": _abi.INT, "RV_PARAM_BOOL": _abi.BOOL,
             "RV_PARAM_CHOICE": _abi.CHOICE, "RV_PARAM_TEXT": _abi.TEXT, "RV_PARAM_OPEN_LO": _abi.OPEN_LO,
             "RV_PARAM_OPEN_HI": _abi.OPEN_HI, "RV_PARAM_LOG": _abi.LOG, "RV_PROBE_GRADIENT": _abi.PROBE_GRADIENT,
             "RV_PROBE_SAMPLED": _abi.PROBE_SAMPLED}


def program():
    """C source that prints one line per fact."""
    lines = [f'printf("{name} %ld\\n", (long)({name}));' for name in CONSTANTS]
    for struct, name in STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        lines += [f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));' for field, _ in struct._fields_]
    lines += ['for (int i = 0; i < RV_ROLE_COUNT; i++) printf("role.%s %d\\n", rv_role_name((rv_role)i), i);',
              '#define X(code, name, meaning) printf("status." name " %d\\n", (int)code);', "RV_STATUS_MAP(X)"]
    return '#include <stdio.h>\n#include "ravine/ravine.h"\n' \
           "static const char *rv_role_text(int i) { static const char *const names[] = {\n" \
           "#define X(code, name) name,\nRV_ROLE_MAP(X)\n#undef X\n}; return names[i]; }\n" \
           "int main(void)\n{\n" + "\n".join(lines).replace("rv_role_name((rv_role)i)", "rv_role_text(i)") + "\n}\n"


def count_arguments(text):
    """Arguments of a C prototype, given what stands between its brackets."""
    return 0 if text.strip() == "void" else text.count(",") + 1


class Abi(Case):
    def test_layout(self):
        source, binary = self.dir / "facts.c", self.dir / "facts"
        source.write_text(program())
        subprocess.run([os.environ.get("CC", "cc"), "-I", str(ROOT / "include"), str(source), "-o", str(binary)],
                       check=True)
        told = {k: int(v) for k, v in (line.split() for line in subprocess.run(
            [str(binary)], check=True, capture_output=True, text=True).stdout.splitlines())}
        expected = dict(CONSTANTS)
        for struct, name in STRUCTS.items():
            expected[name] = ctypes.sizeof(struct)
            expected.update({f"{name}.{field}": getattr(struct, field).offset for field, _ in struct._fields_})
        expected.update({f"role.{name}": i for i, name in enumerate(_abi.ROLES)})
        expected.update({f"status.{name}": i for i, name in enumerate(_abi.STATUS)})
        self.assertEqual(told, expected)

    def test_every_prototype_has_the_arguments_of_its_header(self):
        headers = " ".join((ROOT / "include" / "ravine" / f"{n}.h").read_text()
                           for n in ("core", "param", "tensor", "optim"))
        declared = dict(re.findall(r"RV_API[^;(]*?(rv_\w+)\(([^;]*)\);", re.sub(r"/\*.*?\*/", "", headers, flags=re.S)))
        for name, (_, arguments) in _abi.PROTOTYPES.items():
            self.assertIn(name, declared)
            self.assertEqual(len(arguments), count_arguments(declared[name]), name)

    def test_another_abi_is_refused(self):
        done = subprocess.run(["python3", "-B", "-c", "import ravine"], capture_output=True, text=True,
                              env={**os.environ, "RAVINE_LIBRARY": "libc.so.6", "PYTHONPATH": str(ROOT / "python")})
        self.assertIn("ImportError: libc.so.6 has no rv_optim_abi", done.stderr)


if __name__ == "__main__":
    unittest.main()
