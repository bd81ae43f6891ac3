"""What kept a file from being written, in words: a full disk is told as one, whatever a library made of it."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from phloem.errors import WorkError
from phloem.io.files.atomic import FULL_DISK

PROBE_BYTES = 65536
"""So much is written to see whether there is room. A quota that is exhausted is seen by nothing else."""


def is_full(folder: Path) -> bool:
    """Return whether nothing more can be written in a folder for want of room, by trying."""
    probe = folder / f".phloem-room.{os.getpid()}.tmp"
    try:
        with probe.open("wb", buffering=0) as file:
            file.write(bytes(PROBE_BYTES))
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in FULL_DISK
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return False


def why_not_written(path: Path, error: BaseException) -> str:
    """Return what kept a file from being written: that the disk is full where it is, else what was said.

    Args:
        path: of the file.
        error: what was raised; libraries in C often drop the reason.
    """
    said = str(error)
    if (isinstance(error, OSError) and error.errno in FULL_DISK) or is_full(path.parent):
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(path.parent).free
            return f"disk full, or a quota used up, at {path.parent} ({free / 2**20:.1f} MiB free): {said}"
        return f"disk full, or a quota used up, at {path.parent}: {said}"
    return said


def not_written(path: Path, error: BaseException, again: str) -> WorkError:
    """Return what is raised where a product could not be written.

    Args:
        path: of the product; what stood there before still does.
        error: what was raised.
        again: the command that writes it.
    """
    return WorkError(
        f"{path} could not be written: {why_not_written(path, error)}. What was there is as it was; {again}"
    )
