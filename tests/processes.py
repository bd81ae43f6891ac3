"""Processes that tests look for."""

from __future__ import annotations

from pathlib import Path


def children(parent: int) -> list[int]:
    """Return the worker processes that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found += [int(entry.name)] if b"spawn_main" in (entry / "cmdline").read_bytes() else []
        except OSError:
            continue
    return found
