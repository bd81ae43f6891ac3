"""NVRTC, the CUDA compiler that is a library: found among the installed packages, called without driver or GPU."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from phloem.errors import WorkError

INSTALL = "pip install 'phloem[gpu]', or pip install nvidia-cuda-nvrtc-cu12"
"""What brings it."""

FOLDERS = ("nvidia/cuda_nvrtc/lib", "nvidia/cu13/lib")
"""Where the packages of CUDA 12 and 13 put it, below the folder of packages."""

NAMES = ("libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so")
"""Names by which the system's loader may know it."""


class NvrtcError(WorkError):
    """NVRTC is not there, or refused a text; the message holds what it said."""


@dataclass(frozen=True)
class Compiled:
    """What a text became: machine code for one architecture or PTX for those after it, and what the compiler said."""

    image: bytes
    log: str


class Nvrtc:
    """The library.

    Attributes:
        path: its file, or the name by which the system found it.
        version: such as 12.9.
        architectures: numbers of those that it knows: 90 for sm_90.
    """

    def __init__(self, library: ctypes.CDLL, path: str) -> None:
        self._library, self.path = library, path
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._check("nvrtcVersion", library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        self.version = f"{major.value}.{minor.value}"
        self._check("nvrtcGetNumSupportedArchs", library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
        numbers = (ctypes.c_int * count.value)()
        self._check("nvrtcGetSupportedArchs", library.nvrtcGetSupportedArchs(numbers))
        self.architectures = tuple(numbers)

    def _check(self, call: str, status: int) -> None:
        if status:
            self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
            said = self._library.nvrtcGetErrorString(status).decode(errors="replace")
            raise NvrtcError(f"{call} of {self.path}: {said}")

    def compile(self, text: str, architecture: str, options: Sequence[str] = ()) -> Compiled:
        """Compile CUDA text.

        Args:
            text: one translation unit, without includes.
            architecture: `sm_90` for machine code, `compute_80` for PTX.
            options: beside the architecture.

        Raises:
            NvrtcError: it does not compile; the message ends with the compiler's log.
        """
        library, program = self._library, ctypes.c_void_p()
        given = [f"--gpu-architecture={architecture}", *options]
        words = (ctypes.c_char_p * len(given))(*(option.encode() for option in given))
        create = library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"fold.cu", 0, None, None)
        self._check("nvrtcCreateProgram", create)
        try:
            status = library.nvrtcCompileProgram(program, len(given), words)
            log = self._bytes(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            if status:
                raise NvrtcError(f"NVRTC {self.version} does not compile the text for {architecture}:\n{log}")
            return Compiled(self._bytes(program, "CUBIN" if architecture.startswith("sm_") else "PTX"), log)
        finally:
            library.nvrtcDestroyProgram(ctypes.byref(program))

    def _bytes(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(f"nvrtcGet{what}Size", getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        found = ctypes.create_string_buffer(size.value)
        self._check(f"nvrtcGet{what}", getattr(self._library, f"nvrtcGet{what}")(program, found))
        return found.raw


@functools.cache
def find_nvrtc() -> Nvrtc | None:
    """Return the first NVRTC that loads: of an installed package, then of the system; None where there is none."""
    for path in _candidates():
        with contextlib.suppress(OSError, AttributeError, NvrtcError):
            if "/" in path:  # it looks for its builtins by name: they are loaded before
                for helper in sorted(Path(path).parent.glob("libnvrtc-builtins.so.*")):
                    ctypes.CDLL(str(helper), mode=ctypes.RTLD_GLOBAL)
            return Nvrtc(ctypes.CDLL(path), path)
    return None


def require_nvrtc() -> Nvrtc:
    """Return the library.

    Raises:
        NvrtcError: there is none; the message says what to install.
    """
    found = find_nvrtc()
    if found is None:
        raise NvrtcError(f"the gpu backend compiles its kernels with NVRTC, and none is installed: {INSTALL}")
    return found


def _candidates() -> Iterator[str]:
    for root in dict.fromkeys(sys.path):
        for folder in FOLDERS:
            place = Path(root or ".") / folder
            if place.is_dir():
                yield from (str(p) for p in sorted(place.glob("libnvrtc.so*")) if re.search(r"\.so(\.\d+)?$", p.name))
    yield from NAMES
