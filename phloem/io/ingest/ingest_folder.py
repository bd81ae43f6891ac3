"""A store in the making: its facts, its finished files, and the lock of its worker."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from phloem.errors import InputError, WorkError
from phloem.io.files.atomic import CorruptFile, checksum, write_atomically
from phloem.io.files.journals import append_event, read_events
from phloem.io.files.sealed_json import copy_of, read_sealed, write_sealed

Dropped = tuple[str, float, float, str, str]
"""Name, latitude, longitude, reason and details of a cell that was left out."""


class MadePaths(Protocol):
    """Files of a store that is made piece by piece; each piece is a file with a number."""

    @property
    def root(self) -> Path:
        """The folder."""

    @property
    def journal(self) -> Path:
        """One line for each piece that is done."""

    @property
    def dropped(self) -> Path:
        """What was left out (CSV)."""

    @property
    def log(self) -> Path:
        """For people."""

    def chunk(self, number: int) -> Path:
        """Return the file of a piece."""


@dataclass(frozen=True)
class IngestFolder:
    """The folder of a store that is being made.

    Attributes:
        paths: of the store.
    """

    paths: MadePaths

    @property
    def plan(self) -> Path:
        """What the store is made of: the ingest file's content, and its inputs with size and time (sealed JSON)."""
        return self.paths.root / "ingest.json"

    @property
    def domain(self) -> Path:
        """The cells, as found once."""
        return self.paths.root / "domain.h5"

    @property
    def lock(self) -> Path:
        """Locked by the ingest that is at work."""
        return self.paths.root / "ingest.lock"

    def is_begun(self) -> bool:
        """Return whether an ingest was begun here."""
        return self.plan.exists()

    def is_free(self) -> bool:
        """Return whether a new store can be made here: no folder, or one that holds at most what a kill left.

        That is a lock, and of the plan, which is the first that is written, its copy or a part of either.
        """
        root = self.paths.root
        return not root.exists() or (root.is_dir() and all(self._is_first(path) for path in root.iterdir()))

    def _is_first(self, path: Path) -> bool:
        plans = self.plan.name, copy_of(self.plan).name
        return path in (self.lock, copy_of(self.plan)) or (
            path.suffix == ".tmp" and path.name.startswith(tuple(f"{name}." for name in plans))
        )

    def check_place(self, kind: str = "ingest") -> None:
        """Refuse a folder below something that is no folder, and one that holds something else.

        Args:
            kind: what is made there, for messages.

        Raises:
            InputError: which file stands in the way, or that another folder is due.
        """
        above = next((path for path in self.paths.root.absolute().parents if path.exists()), None)
        if above is not None and not above.is_dir():
            raise InputError(f"{self.paths.root}: {above} is a file, not a folder; name another folder with --out")
        if not self.is_begun() and not self.is_free():
            raise InputError(f"{self.paths.root}: exists and holds no {kind}; name another folder with --out")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against other ingests for as long as this process lives.

        Raises:
            WorkError: another ingest is at work in it.
            InputError: no such folder can be made.
        """
        try:
            self.paths.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"{self.paths.root}: cannot be written ({error.strerror}); name another --out") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise WorkError(
                    f"{self.paths.root}: another ingest is at work there; wait for it, or stop it"
                ) from None
            except OSError:
                pass  # no locks on this file system: chunks are atomic and the same whoever writes them
            yield
        finally:
            os.close(descriptor)

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Write down what the store is made of."""
        write_sealed(self.plan, plan)

    def compare(self, plan: Mapping[str, Any]) -> None:
        """Refuse to go on with anything else than what the store was begun with.

        Raises:
            InputError: the ingest file or an input is another; what has changed is named.
        """
        try:
            begun = read_sealed(self.plan)
        except (CorruptFile, OSError) as error:
            raise InputError(f"{self.plan}: damaged ({error}); delete {self.paths.root} and ingest anew") from error
        changed = _changes(begun, plan)
        if changed:
            listed = "\n  ".join(changed[:20]) + (f"\n  and {len(changed) - 20} more" if len(changed) > 20 else "")
            raise InputError(
                f"{self.paths.root} was begun with something else:\n  {listed}\n"
                "Ingest into another folder with --out, or delete this one."
            )

    def sweep(self) -> None:
        """Remove what killed writers have left."""
        for path in [path for where in ("", "chunks/*/", "patches/") for path in self.paths.root.glob(f"{where}*.tmp")]:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Take back an ingest, with the chunks that it has made; files of others stay, and the folder with them.

        The plan goes last, so that what a kill amid this leaves is an ingest still, which the next one goes on with.
        """
        paths = self.paths
        chunks = [paths.chunk(number) for number in _numbers(paths.journal)]
        for chunk in chunks:
            chunk.unlink(missing_ok=True)
        for path in (paths.journal, paths.dropped, paths.log, self.domain):
            path.unlink(missing_ok=True)
        for path in (copy_of(self.plan), self.plan, self.lock):
            path.unlink(missing_ok=True)
        for folder in (*sorted({chunk.parent for chunk in chunks}), paths.root / "chunks", paths.root):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def say(self, lines: Sequence[str]) -> None:
        """Append lines to the log."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self.paths.log.open("a", encoding="utf-8") as log:
            log.writelines(f"{now}  {line}\n" for line in lines)

    def commit(
        self,
        number: int,
        columns: Mapping[str, Any],
        dropped: Sequence[Dropped],
        impossible: Mapping[str, int],
        valued: Mapping[str, int],
    ) -> None:
        """Write down that a chunk is done, and the checksum of its file.

        Args:
            number: of the chunk.
            columns: of the table of cells, for its cells.
            dropped: its cells that were left out.
            impossible: values that count as missing, by variable.
            valued: cells with any value, by observed stream.
        """
        path = self.paths.chunk(number)
        digest, size = (checksum(path.read_bytes()), path.stat().st_size) if columns["name"] else ("", 0)
        event = {"event": "chunk", "number": number, "sha256": digest, "bytes": size, "columns": columns}
        counts = {"impossible": dict(impossible), "valued": dict(valued)}
        append_event(self.paths.journal, {**event, "dropped": list(dropped), **counts})

    def done(self) -> dict[int, dict[str, Any]]:
        """Return the chunks whose files are what the journal says, by number."""
        found = {}
        for event in read_events(self.paths.journal):
            if event.get("event") == "chunk":
                found[int(event["number"])] = event
        return {number: event for number, event in sorted(found.items()) if self._is_whole(number, event)}

    def _is_whole(self, number: int, event: Mapping[str, Any]) -> bool:
        if not event["sha256"]:
            return True
        try:
            return checksum(self.paths.chunk(number).read_bytes()) == event["sha256"]
        except OSError:
            return False

    def write_dropped(self, dropped: Sequence[Dropped]) -> None:
        """Write the table of what was left out, from south to north."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["cell", "latitude", "longitude", "reason", "detail"])
        rows: list[Dropped] = sorted(dropped, key=lambda row: (row[1], row[2]))
        table.writerows(rows)
        write_atomically(self.paths.dropped, text.getvalue().encode())


def _numbers(journal: Path) -> list[int]:
    """Numbers of the chunks that a journal names, each once."""
    return sorted({int(event["number"]) for event in read_events(journal) if event.get("event") == "chunk"})


def _changes(begun: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """What differs between two plans, in words."""
    then, now = _flat(begun["content"]), _flat(plan["content"])
    changed = [
        f"{key}: begun with {then.get(key)!r}, now {now.get(key)!r}"
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]
    before, after = (_stamps(one) for one in (begun, plan))
    changed += [f"{path}: is new" for path in sorted(set(after) - set(before))]
    changed += [f"{path}: is gone" for path in sorted(set(before) - set(after))]
    for path in sorted(set(before) & set(after)):
        if before[path] != after[path]:
            size = f"{before[path][0]} bytes then, {after[path][0]} now"
            changed.append(f"{path}: has changed ({size if before[path][0] != after[path][0] else 'another time'})")
    return changed


def _stamps(plan: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {str(path): (int(size), int(time)) for path, size, time in plan["inputs"]}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def stamp(paths: Sequence[Path]) -> list[list[Any]]:
    """Return path, size and time of change (ns) of some files, each once, sorted."""
    found = []
    for path in sorted(set(paths)):
        status = path.stat()
        found.append([str(path), status.st_size, status.st_mtime_ns])
    return found
