"""Programs that XLA has compiled for tests, kept from run to run, beside the C kernels in the user's cache.

JAX knows a program by its text, its options and its own version, and writes it in one go under its name: a process that
is killed there leaves a torn file, which would be found, warned of and never mended. Tests kill many processes.
Therefore each run works in a folder of its own, which begins with links to what is kept, and what is whole in it at the
end of the run is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import zlib
from pathlib import Path

from phloem.kernels.time_loop.cpu.c_compiler import cache_folder, processor

KEPT_BYTES = 2_000_000_000
"""Above so many bytes all is forgotten: what old versions of the code were compiled to is never asked for again."""

STALE_SECONDS = 86_400
"""Age at which the folder of a run has been left behind by one that was killed."""


class CompiledPrograms:
    """The programs of one run.

    Attributes:
        folder: where JAX keeps them during the run.
    """

    def __init__(self, cache: Path | None = None):
        """Begin a run with the programs of those before it.

        Args:
            cache: the folder that lasts; by default in the user's cache, or a temporary one where that cannot be used.
                An inner folder's name tells the processor: programs of another may not run.
        """
        try:
            place = self._place(cache or cache_folder().parent / "tests")
        except (OSError, RuntimeError):
            place = self._place(Path(tempfile.mkdtemp(prefix="phloem-compiled-")))
        self._kept = place / "kept"
        for left in place.glob("run-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
        size = 0
        for program in self._kept.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another run has just forgotten all
                size += program.stat().st_size
                os.link(program, self.folder / program.name)
        self._known = {program.name for program in self.folder.iterdir()}
        self._full = size > KEPT_BYTES

    @staticmethod
    def _place(cache: Path) -> Path:
        place = cache / hashlib.sha256(processor().encode()).hexdigest()[:12]
        (place / "kept").mkdir(parents=True, exist_ok=True)
        return place

    def keep(self) -> None:
        """End the run: keep what is new and whole."""
        if self._full:
            shutil.rmtree(self._kept, ignore_errors=True)
            self._kept.mkdir(exist_ok=True)
        for program in self.folder.iterdir():
            if program.name not in self._known and _whole(program):
                with contextlib.suppress(FileExistsError, FileNotFoundError):  # another run keeps it, or forgets all
                    os.link(program, self._kept / program.name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _whole(program: Path) -> bool:
    """Tell whether a file is all of what was compressed."""
    stream = zlib.decompressobj()
    try:
        stream.decompress(program.read_bytes())
    except (OSError, zlib.error):
        return False
    return stream.eof
