"""A folder of results that is replaced as a whole, or not at all."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phloem.errors import InputError
from phloem.io.files.atomic import sync_directory

LEFTOVER_SECONDS = 600.0
"""A folder that was begun so long ago is what a killed run left: writing one takes seconds."""


def check_replaceable(folder: Path, marker: str) -> None:
    """Refuse a folder that may not be replaced.

    Args:
        folder: what is to be written.
        marker: the file by which an earlier result is known.

    Raises:
        InputError: a file, a folder that holds something else, or the working directory.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file; name a folder")
    if folder.exists() and folder.resolve() == Path.cwd().resolve():
        raise InputError(f"{folder}: the working directory; it would be replaced: name a folder in it")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise InputError(f"{folder}: exists and holds no {marker}; it would be replaced: name another folder")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder to write into, which takes its name when all went well.

    What a run left that was killed between the two renames is put back first; older drafts are removed.

    Args:
        folder: the name; its parent is made where it is not there.
    """
    place = folder.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    recover(place)
    mark = secrets.token_hex(6)
    draft, old = (place.with_name(f".{place.name}.{mark}.{end}") for end in ("tmp", "old"))
    draft.mkdir()
    try:
        yield draft
        sync_directory(draft)
        if place.exists():  # a folder cannot be renamed onto one that has files
            place.rename(old)
        try:
            draft.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
        sync_directory(place.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def recover(folder: Path) -> None:
    """Put back what a killed run had moved aside, and remove what such runs left long ago."""
    left = sorted(folder.parent.glob(f".{folder.name}.*.old"), key=lambda path: path.stat().st_mtime)
    if left and not folder.exists():
        left.pop().rename(folder)
    for stale in (*left, *folder.parent.glob(f".{folder.name}.*.tmp")):
        if time.time() - stale.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(stale, ignore_errors=True)
