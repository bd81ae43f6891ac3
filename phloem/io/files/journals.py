"""Journals: events of a campaign, one checksummed JSON line each.

Each worker appends to its own file. A kill can tear the last line, a bad disk can alter any: such lines are
skipped and counted, and cost no other line. When its writer is gone a journal is rolled up into one that holds many;
a kill in between leaves lines twice, which count once.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from phloem.io.files.atomic import OnFull, naming, sync_directory, when_there_is_room, write_atomically

_SEAL = b',"crc32":"'


class Events(list[dict[str, Any]]):
    """The events of one or more journals, in the order of files and lines.

    Attributes:
        skipped: lines that failed their checksum.
    """

    def __init__(self, events: Iterable[dict[str, Any]] = (), skipped: int = 0) -> None:
        super().__init__(events)
        self.skipped = skipped


def append_event(path: Path, event: Mapping[str, Any], on_full: OnFull | None = None) -> None:
    """Append one event to a journal and make it durable.

    Args:
        path: the journal; created where there is none.
        event: JSON values under any key but "crc32".
        on_full: called with `path` when the disk is full, before the line is written again.
    """
    append_events(path, [event], on_full)


def append_events(path: Path, events: Iterable[Mapping[str, Any]], on_full: OnFull | None = None) -> None:
    """Append events to a journal and make them durable, all in one write; arguments as in `append_event`."""
    line = b""
    for event in events:
        if not event or "crc32" in event:
            raise ValueError(f"not an event: {dict(event)!r}")
        # The line feed before the line parts it from whatever a killed writer left behind.
        line += b"\n" + _sealed(json.dumps(event, sort_keys=True, separators=(",", ":")).encode()) + b"\n"
    if not line:
        return
    is_new = not path.exists()
    with naming(path):
        while not when_there_is_room(lambda: _append_once(path, line), path, on_full):
            continue
        if is_new:
            when_there_is_room(lambda: sync_directory(path.parent), path, on_full)


def _append_once(path: Path, line: bytes) -> bool:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        written = os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return written == len(line)


def _sealed(body: bytes) -> bytes:
    return body[:-1] + _SEAL + f'{zlib.crc32(body):08x}"}}'.encode()


def read_events(path: Path, leave_out: str = "") -> Events:
    """Return the events of a journal, or of all journals of a folder; none where there is nothing.

    Args:
        path: a journal, or a folder of journals (*.jsonl and *.log, taken in the order of their names).
        leave_out: events of this name are not even parsed.

    Returns:
        The whole events, lines that an earlier journal has left out; `skipped` counts the damaged lines.
    """
    events = Events()
    seen: set[bytes] = set()
    for journal in _journals(path) if path.is_dir() else [path]:
        try:
            lines = _read(journal).split(b"\n")
        except FileNotFoundError:
            continue
        own = [line for line in lines if line and line not in seen] if seen else list(filter(None, lines))
        unwanted = f'"event":"{leave_out}"'.encode()
        own = [line for line in own if unwanted not in line] if leave_out else own
        own_events = _unsealed(own)
        events.skipped += len(own) - len(own_events)
        events.extend(own_events)
        seen.update(own)
    return events


def _unsealed(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the events of the lines that are whole; all of them are parsed at once, which is three times as fast."""
    bodies = []
    for line in lines:
        head, seal, tail = line.rpartition(_SEAL)
        if seal and tail == b'%08x"}' % zlib.crc32(b"}", zlib.crc32(head)):
            bodies.append(head)
    try:
        events = json.loads(b"[" + b"},".join(bodies) + b"}]") if bodies else []
    except ValueError:  # a line can be sealed by chance and still be no event
        events = [event for body in bodies if (event := _parsed(body + b"}")) is not None]
    return [event for event in events if isinstance(event, dict)]


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _read(path: Path) -> bytes:
    with naming(path):
        return path.read_bytes()


def _journals(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".jsonl", ".log"))


def roll_up(sources: Sequence[Path], target: Path) -> None:
    """Put the lines of journals whose writers are gone into one journal, and remove them.

    Args:
        sources: journals that nobody appends to any more.
        target: a journal in the same folder, which is extended.
    """
    sources = [path for path in sources if path != target]
    if not sources:
        return
    parts = [_read(path) for path in (target, *sources) if path.exists()]
    lines = dict.fromkeys(line for part in parts for line in part.split(b"\n") if line)
    write_atomically(target, b"\n".join(lines) + b"\n")
    for path in sources:
        path.unlink(missing_ok=True)
