"""A patch store in the making: what it is made of, its finished patches, and the lock of its worker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.drivers.store import StorePaths
from phloem.io.files.atomic import checksum
from phloem.io.files.journals import append_event, read_events
from phloem.io.ingest.ingest_folder import Dropped, IngestFolder
from phloem.io.patches.patch_store import PatchStore, PatchStorePaths, seal_patches, write_patch
from phloem.io.patches.stored_patch import StoredPatch

_EVENT = "patch"


@dataclass(frozen=True)
class PatchIngest:
    """The folder of a patch store that is being made; open it with `begun_ingest`.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def paths(self) -> PatchStorePaths:
        """Files of the store."""
        return PatchStorePaths(self.root)

    @property
    def folder(self) -> IngestFolder:
        """Plan, lock, log and table of what was left out: as of any store that is being made."""
        return IngestFolder(StorePaths(self.root))

    def done(self) -> dict[str, dict[str, Any]]:
        """Return the events of the patches whose files are what the journal says, by name: `row`, `dropped`, `counts`.

        A patch that came to nothing has no row.
        """
        events = read_events(self.paths.journal)
        found = {str(event["name"]): event for event in events if event.get("event") == _EVENT}
        return {name: event for name, event in found.items() if self._is_whole(event)}

    def _is_whole(self, event: Mapping[str, Any]) -> bool:
        row = event["row"]
        if row is None:
            return True
        try:
            return checksum(self.paths.patch(row["name"]).read_bytes()) == row["sha256"]
        except OSError:
            return False

    def commit(
        self,
        patch: StoredPatch | None,
        name: str,
        corner: tuple[float, float],
        dropped: Sequence[Dropped] = (),
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Write a patch and note that it is done.

        Args:
            patch: None: no cell of it is left.
            name: of the patch.
            corner: latitude of its southern and longitude of its western edge, degrees.
            dropped: its cells that were left out.
            counts: what was counted on the way, by what it is.

        Raises:
            InputError: it is no patch that a training can read.
        """
        row = None if patch is None else write_patch(self.paths, patch, *corner)
        event = {"event": _EVENT, "name": name, "row": row, "dropped": list(dropped), "counts": dict(counts or {})}
        append_event(self.paths.journal, event)

    def seal(self, facts: Mapping[str, Any]) -> PatchStore:
        """Make the folder a store of all patches that are done.

        Raises:
            InputError: no patch is left.
        """
        done = self.done()
        self.folder.write_dropped([tuple(row) for event in done.values() for row in event["dropped"]])
        rows = [event["row"] for event in done.values() if event["row"] is not None]
        if not rows:
            raise InputError(f"{self.root}: no patch is left; {self.paths.dropped} says why")
        return seal_patches(self.root, facts, rows)

    def count(self, what: str) -> int:
        """Return what was counted in all patches that are done."""
        return sum(int(event["counts"].get(what, 0)) for event in self.done().values())


@contextlib.contextmanager
def begun_ingest(root: Path, plan: Mapping[str, Any]) -> Iterator[PatchIngest]:
    """Begin to make a store, or go on with one that was begun with the same.

    Args:
        root: its folder.
        plan: `content`, what its bytes depend on; `inputs`, files with size and time (`ingest_folder.stamp`).

    Raises:
        InputError: the folder holds something else, or was begun with something else.
        WorkError: another ingest is at work in it.
    """
    ingest = PatchIngest(root)
    folder = ingest.folder
    folder.check_place()
    if folder.is_begun():
        folder.compare(plan)
    with folder.held():
        folder.sweep()
        for path in root.glob("patches/*.tmp"):
            path.unlink(missing_ok=True)
        if not folder.is_begun():
            folder.begin(plan)
        yield ingest
