"""JSON files that prove themselves: the last key is the SHA-256 of all bytes before it, and a copy stands beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.io.files.atomic import CorruptFile, checksum, read_bytes, write_atomically

_SEAL = b',\n"sha256": "'
_TAIL = b'"}\n'


def write_sealed(path: Path, table: Mapping[str, Any]) -> None:
    """Write a JSON object that no one can alter unnoticed, and a copy of it; the file itself comes last.

    Args:
        path: the file.
        table: JSON values under any key but "sha256"; not empty.
    """
    if not table or "sha256" in table:
        raise ValueError("a sealed table needs keys, and none called 'sha256'")
    head = json.dumps(table, separators=(",", ":")).encode()[:-1]
    sealed = head + _SEAL + checksum(head).encode() + _TAIL
    write_atomically(copy_of(path), sealed)
    write_atomically(path, sealed)


def copy_of(path: Path) -> Path:
    """Return where the copy of a sealed file stands."""
    return path.with_name(f"{path.stem}.copy{path.suffix}")


def read_sealed(path: Path) -> dict[str, Any]:
    """Return a sealed JSON object, from the copy where the file itself is damaged or gone.

    Raises:
        CorruptFile: neither is what was written.
        FileNotFoundError: there is neither.
    """
    try:
        return _read(path)
    except (CorruptFile, FileNotFoundError) as error:
        try:
            return _read(copy_of(path))
        except FileNotFoundError:
            raise error from None


def _read(path: Path) -> dict[str, Any]:
    data = read_bytes(path)
    head, seal, tail = data.rpartition(_SEAL)
    if not seal or tail != checksum(head).encode() + _TAIL:
        raise CorruptFile(f"{path}: its checksum does not match its {len(data)} bytes")
    found = json.loads(head + b"}")
    if not isinstance(found, dict):
        raise CorruptFile(f"{path}: not a table")
    return found
