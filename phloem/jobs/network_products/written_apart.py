"""Products of networks, written by a process of their own: whatever ends it can be told, and leaves what was there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phloem.hpc.apart import ProcessEnded, run_apart
from phloem.io.files.disk_space import not_written
from phloem.io.files.replaced_netcdf import file_aside
from phloem.jobs.progress import ProgressBar

AGAIN = "the same command writes it"

WHOLE = 100.0
"""What such a process reports when all is done."""


def written_apart(function: str, argument: Any, out: Path) -> Path:
    """Let a process of its own write a file, with a bar, and return the file.

    Args:
        function: where it is, as `hpc.apart.run_apart` takes it; it reports per cents.
        argument: what it is called with; must pickle.
        out: the file.

    Raises:
        WorkError: it cannot be written, or the process was ended.
    """
    started: list[int] = []
    try:
        with ProgressBar(f"writing {out.name}", WHOLE, before="reading the patches") as bar:
            run_apart(function, argument, bar.update, started.append)
    except ProcessEnded as error:
        raise not_written(out, error, AGAIN) from error
    finally:
        for process in started:
            file_aside(out, process).unlink(missing_ok=True)
    return out
