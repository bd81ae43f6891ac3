"""Examples in documents and docstrings, run as they stand."""

from __future__ import annotations

import doctest
import os
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLBACKEND", "agg")


def failing_examples(text: str, name: str, folder: Path, names: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Run all `>>>` examples of a text in a folder, one after the other.

    Args:
        text: the document or docstring.
        name: what to call it in messages.
        folder: the working directory meanwhile.
        names: variables that are there at the beginning.

    Returns:
        How many examples there are, and what was expected and found of those that fail.
    """
    test = doctest.DocTestParser().get_doctest(text, dict(names or {}), name, name, 0)
    said: list[str] = []
    with chdir(folder):
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    return len(test.examples), "".join(said)
