"""Compile the kernels of the gpu backend for some GPUs, with none at hand, and report registers, spills and occupancy.

python -m benchmarks.gpu --compile [--arch sm_80,sm_90,sm_100] [--kind site|grid] [--precision float32|float64] [--json]
"""

from __future__ import annotations

import argparse
import json

from benchmarks.gpu.compiled_kernels import KERNELS, MODELS, SHARED_BYTES, compile_kernel
from phloem.kernels.time_loop.cuda.nvrtc import require_nvrtc


def main() -> None:
    """Read the command line, compile, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true", required=True, help="compile, which needs no GPU")
    parser.add_argument("--arch", default="sm_90", help=f"of {', '.join(SHARED_BYTES)}, with commas between")
    parser.add_argument("--kind", choices=sorted(MODELS), default="site", help="text of towers or of grid cells")
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    wanted = given.arch.split(",")
    if unknown := [name for name in wanted if name not in SHARED_BYTES]:
        parser.error(f"--arch {unknown[0]}: valid are {', '.join(SHARED_BYTES)}")
    found = [compile_kernel(kernel, arch, given.kind, given.precision) for arch in wanted for kernel in KERNELS]
    if given.json:
        fields = ("kernel", "arch", "registers", "spill_bytes")
        rows = [{name: getattr(one, name) for name in fields} | {"seconds": round(one.seconds, 3)} for one in found]
        print(json.dumps({"kernels": rows}))
        return
    print(f"NVRTC {require_nvrtc().version}, {given.kind} text, {given.precision}\n")
    print("| kernel | arch | registers | spilled bytes | shared bytes a block | warps an SM | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for one in found:
        print(
            f"| {one.kernel} | {one.arch} | {one.registers} | {one.spill_bytes} | {one.shared_bytes} | {one.warps} "
            f"| {one.seconds:.2f} |"
        )


if __name__ == "__main__":
    main()
