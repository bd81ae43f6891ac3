"""Shared libraries compiled from C text by the host's compiler, once, and cached by content.

Many processes on a shared file system may build at once, and none of them locks. A library's name carries the
digest of its bytes, so a torn or altered file is noticed and never used; a good one is never renamed over, because
over NFS that would pull the file away from under the processes that run it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, TimeoutExpired, run

from phloem.errors import WorkError

REQUIRED = ("-std=c11", "-fPIC", "-shared")
SPEED = (("-O3",), ("-march=native", "-mcpu=native"), ("-fopenmp-simd",), ("-fno-thread-jumps",),
         ("-fschedule-insns",), ("-fsched-pressure",))  # fmt: skip
MEANING = (("-ffp-contract=off",), ("-fno-math-errno",), ("-fno-trapping-math",), ("-fno-signed-zeros",))
WIDE = (("-mprefer-vector-width=512",),)
"""Groups of flags: the first of a group that the compiler accepts is used, or none; WIDE only with AVX-512."""

FILES = ("kernel.c", "-o", "kernel.so", "-lm")
# A loop, so that an assembler too old for the vector instructions of `-march=native` is noticed.
_PROBE = "void phloem_probe(double *x, int n) { for (int i = 0; i < n; i++) x[i] = 2.0 * x[i] + 1.0; }\n"
_TRIAL, _STALE = 120.0, 86400.0  # Seconds: for one call with a trial text; age of what a killed build left.
_DIGITS, _LINES = 24, 20
_CPU = "vendor_id|cpu family|model|model name|stepping|flags|Features|CPU (?:implementer|variant|part)|cpu|isa|uarch"

compilations: list[str] = []
"""Keys of the libraries for which this process has run the compiler, one for each run."""

_private: list[Path] = []
_warned: list[str] = []
_remove = functools.partial(shutil.rmtree, ignore_errors=True)


class CompileError(WorkError):
    """The compiler made no library; the message holds what it said and where the text is."""


class CacheWarning(UserWarning):
    """The cache cannot be used; libraries last as long as the process."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler that works: absolute path, first line of its `--version`, all arguments before the files."""

    path: str
    version: str
    flags: tuple[str, ...]


@functools.cache
def find_compiler() -> Compiler | None:
    """Return the first of `$CC`, cc, gcc and clang that makes a shared library; None where none does.

    The answer holds for the life of the process; `find_compiler.cache_clear()` forgets it.
    """
    wanted = os.environ.get("CC", "").strip()
    for command in filter(None, (wanted, "cc", "gcc", "clang")):
        attempt = _try(command)
        if isinstance(attempt, Compiler):
            return attempt
        if command is wanted:
            warnings.warn(f"CC={wanted} does not work, cc, gcc and clang are tried instead: {attempt}", stacklevel=2)
    return None


def _try(command: str) -> Compiler | str:
    """Return the compiler that a command names, or what is wrong with it."""
    groups = SPEED + MEANING + (WIDE if "avx512f" in processor().split() else ())
    try:
        program, *arguments = shlex.split(command)
        path = shutil.which(program)
        start = [os.path.abspath(path) if path else program, *arguments, *REQUIRED]
        with tempfile.TemporaryDirectory(prefix="phloem-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / FILES[0]).write_text(_PROBE)
            accepted = [group[0] for group in groups]
            if _compile([*start, *accepted], folder):
                if message := _compile(start, folder):
                    return message
                accepted = []
                for group in groups:
                    accepted += next(([flag] for flag in group if not _compile([*start, *accepted, flag], folder)), [])
        version = _call([start[0], *arguments, "--version"])[1].partition("\n")[0].strip()
        return Compiler(start[0], version, (*start[1:], *accepted))
    except (OSError, ValueError) as error:
        return str(error)


def _call(command: Sequence[str], folder: Path | None = None, seconds: float | None = _TRIAL) -> tuple[int, str]:
    """Return exit status and output of a program; 127 and the reason where it cannot be run."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = run(command, cwd=folder, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, timeout=seconds)
    except (OSError, TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def _compile(start: Sequence[str], folder: Path, seconds: float | None = _TRIAL) -> str:
    """Compile the text in a folder; return why there is no library, and nothing where there is one."""
    library = folder / FILES[2]
    library.unlink(missing_ok=True)
    status, output = _call([*start, *FILES], folder, seconds)
    if status == 0 and library.is_file():
        return ""
    return "\n".join([*output.splitlines()[-_LINES:], f"exit status {status}"])


@functools.cache
def processor() -> str:
    """Return text that differs between processors on which the same machine code may not run; never raises."""
    words = {platform.machine()}
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        words |= {" ".join(sorted(value.split())) for value in re.findall(rf"^(?:{_CPU})\s*:(.*)$", text, re.M)}
    if len(words) == 1:
        words |= {platform.processor(), _call(["sysctl", "-n", "machdep.cpu"])[1]}
    return "\n".join(sorted(words))


def cache_folder() -> Path:
    """Return the folder of the libraries: `$PHLOEM_CACHE/kernels`, else `phloem/kernels` in the user's cache.

    Raises:
        RuntimeError: no environment variable and no user database tells where it is.
    """
    if chosen := os.environ.get("PHLOEM_CACHE"):
        return Path(chosen).expanduser().absolute() / "kernels"
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen).absolute() if chosen else Path.home() / ".cache") / "phloem" / "kernels"


def _private_folder() -> Path:
    """Return a folder of this process alone, removed when it ends."""
    if not (_private and _private[-1].is_dir()):
        _private.append(Path(tempfile.mkdtemp(prefix="phloem-kernels-")))
        atexit.register(_remove, _private[-1])
    return _private[-1]


def build(
    source: str,
    name: str,
    *,
    headers: Sequence[Path] = (),
    includes: Sequence[str] = (),
    compiler: Compiler | None = None,
    unusable: str = "",
) -> Path:
    """Return a shared library compiled from C text, from the cache where it is there; the text lies beside it.

    Where the cache cannot be used, one CacheWarning a process says so, and the library goes when the process ends.

    Args:
        source: the C text.
        name: what the files' names begin with; letters, digits, `_`, `.` and `-`.
        headers: files that the text includes; a change of their content makes another library.
        includes: folders in which the compiler looks for headers.
        compiler: by default what `find_compiler` finds.
        unusable: why the cache cannot be used; empty where it can.

    Raises:
        CompileError: there is no compiler, or it failed in the cache and in a temporary folder too.
        OSError: a header cannot be read.
        ValueError: the name.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise ValueError(f"library {name!r}: only letters, digits, '_', '.' and '-' can be used")
    compiler = compiler or find_compiler()
    if compiler is None:
        raise CompileError("no C compiler works: tried $CC, cc, gcc and clang; install one or set CC to one")
    contents = [[header.name, hashlib.sha256(header.read_bytes()).hexdigest()] for header in headers]
    tools = [compiler.path, compiler.version, *compiler.flags, *FILES, processor(), *platform.libc_ver()]
    stem = f"{name}-{hashlib.sha256(json.dumps([source, tools, contents]).encode()).hexdigest()[:_DIGITS]}"
    start = [compiler.path, *compiler.flags, *(f"-I{os.path.abspath(folder)}" for folder in includes)]
    failures: list[OSError | RuntimeError] = [RuntimeError(unusable)] if unusable else []
    for place in (_private_folder,) if unusable else (cache_folder, _private_folder):
        try:
            folder = place()
            library = next(filter(_agrees, folder.glob(f"{stem}-*.so")), None) or _make(folder, stem, source, start)
        except (OSError, RuntimeError) as error:  # A full disk shows as a CompileError, so that is tried again too.
            failures.append(error)
            continue
        if failures and not _warned:
            _warned.append(str(failures[0]))
            advice = f"compiled libraries are in {folder} until this process ends; set PHLOEM_CACHE to a usable folder"
            warnings.warn(f"{advice}, because their cache fails: {failures[0]}", CacheWarning, stacklevel=2)
        return library
    compile_failures = [failure for failure in failures if isinstance(failure, CompileError)]
    if compile_failures == failures[1:]:
        atexit.unregister(_remove)  # The message names a text in the private folder.
    raise (
        compile_failures[0]
        if compile_failures
        else CompileError(f"{name} cannot be compiled anywhere: {'; '.join(map(str, failures))}")
    )


def load(
    source: str, name: str, *, headers: Sequence[Path] = (), includes: Sequence[str] = ()
) -> tuple[Path, ctypes.CDLL]:
    """Build a shared library and load it.

    Where the cache lies on a file system that forbids execution, one CacheWarning a process says so, and the library is
    compiled anew in a temporary folder, which goes when the process ends.

    Args:
        source: as of `build`.
        name: likewise.
        headers: likewise.
        includes: likewise.

    Raises:
        CompileError: as of `build`, or nothing can be loaded from the temporary folder either.
    """
    library = build(source, name, headers=headers, includes=includes)
    try:
        return library, ctypes.CDLL(str(library))
    except OSError as error:
        why = "its file system is mounted noexec" if is_noexec(library.parent) else str(error)
        refused = f"nothing can be loaded from {library.parent} ({why})"
    library = build(source, name, headers=headers, includes=includes, unusable=refused)
    try:
        return library, ctypes.CDLL(str(library))
    except OSError as error:
        raise CompileError(f"{refused}, nor from {library.parent} ({error})") from error


def is_noexec(folder: Path) -> bool:
    """Return whether the file system of a folder, or of where it would be made, forbids execution."""
    place = next((path for path in (folder, *folder.parents) if path.exists()), None)
    return place is not None and bool(os.statvfs(place).f_flag & os.ST_NOEXEC)


def _make(folder: Path, stem: str, source: str, start: Sequence[str]) -> Path:
    """Compile in a fresh folder inside a folder and name the library there."""
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
    try:
        for left in folder.glob(".build-*"):  # By a killed process; the clock is that of the file system.
            with contextlib.suppress(OSError):
                if work.stat().st_mtime - left.stat().st_mtime > _STALE:
                    _remove(left)
        text, library, kept = work / FILES[0], work / FILES[2], folder / f"{stem}.c"
        text.write_bytes(source.encode())
        compilations.append(stem.rpartition("-")[2])
        message = _compile(start, work, None)
        os.replace(text, kept)
        if message:
            raise CompileError(f"{kept} does not compile\n{message}\nits compiler: {shlex.join(start)}")
        with library.open("rb") as file:
            os.fsync(file.fileno())  # Errors of writes that were put off show here, before the bytes are believed.
        target = folder / f"{stem}-{_digest(library)}.so"
        try:
            os.link(library, target)
        except OSError:  # The name is taken, or the file system has no hard links.
            if not _agrees(target):
                os.replace(library, target)
        for path in folder.glob(f"{stem}-*.so"):
            if path != target and not _agrees(path):
                path.unlink(missing_ok=True)
        return target
    finally:
        _remove(work)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]


def _agrees(path: Path) -> bool:
    """Tell whether the bytes of a library are those that its name was made from."""
    with contextlib.suppress(OSError):
        return path.stem.endswith(_digest(path))
    return False
