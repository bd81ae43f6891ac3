"""Programs that XLA has compiled for tests, kept from run to run.

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

from phloem.kernels.time_loop.cpu.c_compiler import processor

KEPT_BYTES = 2_000_000_000
"""Above so many bytes all is forgotten: what old versions of the code were compiled to is never asked for again."""

STALE_SECONDS = 86_400
"""Age at which the folder of a run has been left behind by one that was killed."""


class CompiledPrograms:
    """The programs of one run.

    Attributes:
        folder: where JAX keeps them during the run.
    """

    def __init__(self, cache: Path):
        """Begin a run with the programs of those before it.

        Args:
            cache: the folder that lasts. Its inner folder's name tells the processor: programs of another may not run.
        """
        place = cache / hashlib.sha256(processor().encode()).hexdigest()[:12]
        self._kept = place / "kept"
        self._kept.mkdir(parents=True, exist_ok=True)
        for left in place.glob("run-*"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        programs = list(self._kept.iterdir())
        if sum(program.stat().st_size for program in programs) > KEPT_BYTES:
            shutil.rmtree(self._kept)
            self._kept.mkdir()
            programs = []
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
        self._known = {program.name for program in programs}
        for program in programs:
            os.link(program, self.folder / program.name)

    def keep(self) -> None:
        """End the run: keep what is new and whole."""
        for program in self.folder.iterdir():
            if program.name not in self._known and _whole(program):
                with contextlib.suppress(FileExistsError):  # another run has kept it
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
