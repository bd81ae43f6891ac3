"""Paths in configuration files: the folder of the real data, variables, relative paths."""

from __future__ import annotations

import os
from pathlib import Path

from phloem.errors import InputError


def data_root() -> Path | None:
    """Return the folder of the real data sets: PHLOEM_DATA, else ../shared/data beside the repository."""
    given = os.environ.get("PHLOEM_DATA")
    if given:
        return Path(given)
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return beside if beside.is_dir() else None


def expand_path(text: str, base: Path) -> Path:
    """Return the path that a campaign file means: variables expanded, relative paths from the file's folder.

    Raises:
        InputError: when the text names a variable that is not set.
    """
    root = data_root()
    if "$PHLOEM_DATA" in text or "${PHLOEM_DATA}" in text:
        if root is None:
            raise InputError(
                f"{text!r}: PHLOEM_DATA is not set, and there is no ../shared/data beside the repository. "
                "Set PHLOEM_DATA to the folder that holds the data sets, or write the path itself."
            )
        text = text.replace("${PHLOEM_DATA}", str(root)).replace("$PHLOEM_DATA", str(root))
    text = os.path.expandvars(os.path.expanduser(text))
    if "$" in text:
        raise InputError(f"path {text!r} names an environment variable that is not set")
    return (base / text).resolve()
