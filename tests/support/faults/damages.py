"""Ways in which a file goes bad; each changes it, and says how."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

Damage = Callable[[np.random.Generator, Path, Path], str]
"""Called with a source of chance, the file, and the same file of another campaign."""


def truncated(rng: np.random.Generator, path: Path, twin: Path) -> str:
    size = path.stat().st_size
    length = int(rng.integers(1, size))
    path.write_bytes(path.read_bytes()[:length])
    return f"to {length} of {size} bytes"


def emptied(rng: np.random.Generator, path: Path, twin: Path) -> str:
    path.write_bytes(b"")
    return "to no bytes"


def flipped(rng: np.random.Generator, path: Path, twin: Path) -> str:
    data = bytearray(path.read_bytes())
    bit = int(rng.integers(len(data) * 8))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return f"bit {bit}"


def appended(rng: np.random.Generator, path: Path, twin: Path) -> str:
    garbage = rng.bytes(int(rng.integers(1, 600)))
    path.write_bytes(path.read_bytes() + garbage)
    return f"{len(garbage)} bytes of garbage"


def zeroed(rng: np.random.Generator, path: Path, twin: Path) -> str:
    """As a disk that lost a block."""
    data = bytearray(path.read_bytes())
    first = int(rng.integers(len(data)))
    length = min(len(data) - first, 512)
    data[first : first + length] = bytes(length) if any(data[first : first + length]) else b"\xff" * length
    path.write_bytes(data)
    return f"bytes {first} to {first + length}"


def neighbours(rng: np.random.Generator, path: Path, twin: Path) -> str:
    """Another file of the same kind in its place."""
    others = [file for file in sorted(path.parent.iterdir()) if file != path and file.suffix == path.suffix]
    chosen = others[int(rng.integers(len(others)))]
    shutil.copyfile(chosen, path)
    return f"by {chosen.name}"


def swapped(rng: np.random.Generator, path: Path, twin: Path) -> str:
    others = [file for file in sorted(path.parent.iterdir()) if file != path and file.suffix == path.suffix]
    chosen = others[int(rng.integers(len(others)))]
    mine, its = path.read_bytes(), chosen.read_bytes()
    path.write_bytes(its)
    chosen.write_bytes(mine)
    return f"with {chosen.name}"


def stale(rng: np.random.Generator, path: Path, twin: Path) -> str:
    """The same file of a campaign of another seed."""
    shutil.copyfile(twin, path)
    return "of another campaign"


DAMAGES: tuple[Damage, ...] = (truncated, flipped, emptied, appended, zeroed, neighbours, swapped, stale)
