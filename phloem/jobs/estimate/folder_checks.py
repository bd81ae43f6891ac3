"""Checks of the campaigns' folder and of the caches: room, speed, and abilities of the file system."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from phloem.io.files.atomic import NO_HARD_LINKS, write_atomically
from phloem.io.files.file_system import Mount, Traits, mount_of, try_folder
from phloem.jobs.estimate.check import CheckFinding, Level

GIB = 2**30
LEAST_FREE = 1.0
"""GiB below which a campaign is likely to wait for room."""

LEAST_FILES = 10_000
"""Files that must still be allowed: a campaign of some thousand tiles has as many until it is tidied up."""

JAX_CACHE = "JAX_COMPILATION_CACHE_DIR"


def check_folder(folder: Path) -> CheckFinding:
    """Look at the folder where campaigns would go."""
    place = folder.resolve()
    mount = mount_of(place)
    try:
        free = shutil.disk_usage(place).free / GIB
        traits = try_folder(place)
        milliseconds = _durable_write(place)
    except OSError as error:
        text = f"{place}: cannot be written ({error.strerror}){_lies_on(mount)}"
        return CheckFinding(
            "problem", text, "go to a folder that you may write to, and ask there", {"folder": str(place)}
        )
    status = os.statvfs(place)
    few = status.f_files > 0 and status.f_favail < LEAST_FILES
    parts = [f"{place}: {free:.1f} GiB free{_lies_on(mount)}, a durable write of 1 MB takes {milliseconds:.0f} ms"]
    if few:
        parts.append(f"room for {status.f_favail} more files only")
    if abs(traits.ahead) > 1.0:
        way = "ahead of" if traits.ahead > 0 else "behind"
        parts.append(f"its clock is {abs(traits.ahead):.0f} s {way} this machine's")
    lacks = _lacks(traits)
    parts += [text for _, text in lacks]
    if mount is not None and mount.is_memory:
        parts.append("it lies in memory: all is gone when the machine is switched off")
    level: Level = "note" if lacks or few or (mount is not None and mount.is_memory) else "ok"
    if free < LEAST_FREE or any(bad == "problem" for bad, _ in lacks):
        level = "problem"
    mend = "" if level == "ok" else "go to a folder on another file system, and ask there"
    facts = {
        "folder": str(place),
        "free_gib": round(free, 1),
        "durable_write_ms": round(milliseconds, 1),
        "mount": None if mount is None else {**asdict(mount), "network": mount.is_network},
        **asdict(traits),
    }
    return CheckFinding(level, "; ".join(parts), mend, facts)


def _lies_on(mount: Mount | None) -> str:
    if mount is None:
        return ""
    network = ", seen by other machines" if mount.is_network else ""
    return f" ({mount.kind} of {mount.source}{network}{', read-only' if mount.read_only else ''})"


def _durable_write(folder: Path) -> float:
    """Milliseconds of an atomic write of 1 MB."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        begun = time.perf_counter()
        for count in range(5):
            write_atomically(Path(inside) / f"{count}", b"x" * 1_000_000)
        return 200 * (time.perf_counter() - begun)


def _lacks(traits: Traits) -> list[tuple[Level, str]]:
    """What a file system does not do, and what of it stops campaigns."""
    lacks: list[tuple[Level, str]] = []

    def add(name: str, level: Level, meaning: str) -> None:
        if name in traits.faults:
            lacks.append((level, f"{meaning} ({traits.faults[name].text})"))

    add("exclusive_creation", "problem", "no exclusive creation of files, by which tiles are claimed")
    add("renames", "problem", "no atomic rename, by which files are replaced")
    add("syncs", "problem", "files and folders cannot be made durable")
    link = traits.faults.get("hard_links")
    if link is not None and link.code in NO_HARD_LINKS:
        add(
            "hard_links",
            "note",
            "no hard links: tiles are committed by a look and a rename; let one run work at a time",
        )
    else:
        add("hard_links", "problem", "hard links, by which tiles are committed, do not work")
    add("locks", "note", "no locks: start one ingest at a time")
    if traits.grain >= 1.0:
        lacks.append(("note", f"times of change are kept to {traits.grain:g} s: two changes within them look like one"))
    return lacks


def check_kernel_cache() -> CheckFinding:
    """Look at the folder of compiled kernels."""
    from phloem.kernels.time_loop.cpu.c_compiler import cache_folder, is_noexec

    mend = "export PHLOEM_CACHE=/a/folder/that/you/may/write"
    try:
        folder = cache_folder()
    except RuntimeError as error:
        return CheckFinding("note", f"no place for compiled kernels, each process compiles its own: {error}", mend)
    found = _cache(folder, "*.so", "compiled kernels", "each process compiles its own", mend)
    if is_noexec(folder):
        text = f"{found.text}; its file system is mounted noexec: each process compiles its own in a temporary folder"
        return CheckFinding("note", text, mend, {**found.facts, "noexec": True})
    return found


def check_program_cache() -> CheckFinding:
    """Look at the folder in which JAX keeps compiled programs."""
    chosen = os.environ.get(JAX_CACHE)
    mend = f"export {JAX_CACHE}=/a/folder/that/you/may/write"
    if not chosen:
        return CheckFinding(
            "note", f"JAX keeps no programs, each worker compiles its own ({JAX_CACHE} is not set)", mend
        )
    folder = Path(chosen).expanduser().absolute()
    return _cache(folder, "*-cache", "programs of JAX", "each worker compiles its own", mend)


def _cache(folder: Path, pattern: str, what: str, otherwise: str, mend: str) -> CheckFinding:
    """Where a cache lies, whether it can be written, and what is in it."""
    fault = _unwritable(folder)
    sizes = [path.stat().st_size for path in folder.glob(pattern) if path.is_file()]
    facts = {"folder": str(folder), "files": len(sizes), "bytes": sum(sizes), "writable": not fault}
    text = f"{folder}: {len(sizes)} {what}, {sum(sizes) / 1e6:.1f} MB"
    if fault:
        return CheckFinding("note", f"{text}; cannot be written ({fault}): {otherwise}", mend, facts)
    return CheckFinding("ok", text, facts=facts)


def _unwritable(folder: Path) -> str:
    """Why a folder, or the one in which it would be made, cannot be written; empty where it can."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        return f"{place}: {error.strerror}"
