"""Tile files: claimed, committed once, inspected, swept and quarantined.

No locks and no clocks: an attempt is claimed by the exclusive creation of a file, a commit is the exclusive
creation of a name, and a tile is done when file, journal and checksum agree.
"""

from __future__ import annotations

import enum
import itertools
import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from phloem.errors import WorkError
from phloem.io.campaign.attempts import LEASE_SECONDS, count_attempts, file_system_now, process_exists
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import SCHEMA_VERSION, TileSchema, with_basins
from phloem.io.files.atomic import (
    CorruptFile,
    OnFull,
    checksum,
    hdf5_image,
    naming,
    parse_hdf5,
    read_bytes,
    sync_directory,
    when_there_is_room,
    write_atomically,
)
from phloem.io.files.journals import append_event, read_events
from phloem.names import STATUS


class Commit(NamedTuple):
    """Entry of the journals about one set of bytes.

    Attributes:
        attempt: the first attempt that has it.
        size: bytes of the file.
        lanes: lanes by the name of their status.
    """

    attempt: int
    size: int
    lanes: Mapping[str, int]


Commits = dict[int, dict[str, Commit]]
"""By tile: each journalled checksum and what is known of it."""


class StaleAttempt(WorkError):  # noqa: N818
    """A commit that came too late: a newer attempt was claimed, or other bytes are committed."""


class TileState(enum.Enum):
    """State of a tile's file on disk."""

    DONE = "done"
    CORRUPT = "corrupt"
    MISSING = "missing"


def write_tile(
    paths: CampaignPaths,
    index: int,
    attempt: int,
    schema: TileSchema,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    on_full: OnFull | None = None,
    *,
    worker: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Commit a tile: exactly one set of bytes ever becomes the result of a tile.

    The checksum is journalled as "prepared" before the file gets its name and as "committed" afterwards, so
    that no kill leaves a whole tile without a journal line.

    Args:
        paths: the campaign.
        index: the tile.
        attempt: what `claim_tile` gave.
        schema: what a tile of the campaign holds.
        arrays: one array a variable of the schema.
        attributes: of the file; nothing that differs between attempts. `whole` (true) says that every lane of the
            cells is there.
        on_full: called while the disk is full, and waits.
        worker: whose journal to append to; by default one of this process.
        facts: more JSON values for the journal's line, such as `seconds`.

    Returns:
        SHA-256 of the committed file, in hexadecimal.

    Raises:
        ValueError: arrays or attributes are not those of a tile; the message names the variable.
        StaleAttempt: the commit came too late and its bytes are not those that are committed.
        CorruptFile: what was written could not be read back.
    """
    if "attempt" in attributes:
        raise ValueError("attribute 'attempt': attempts must agree byte for byte; the journal tells them apart")
    describe = {
        name: {"dimensions": " ".join(v.dimensions), "units": v.units, "long_name": v.long_name}
        for name, v in schema.variables.items()
    }
    own = {"tile": index, "schema": SCHEMA_VERSION}
    image = hdf5_image(schema.validate(arrays, bool(attributes.get("whole", True))), {**attributes, **own}, describe)
    sha256 = checksum(image)
    journal = paths.journal(worker or default_worker())
    names = {code: name for name, code in STATUS.items()}
    status = np.asarray(arrays["status"])
    if "loss" in schema.variables:
        status = with_basins(status, np.asarray(arrays["loss"]))
    counts = Counter(names[int(code)] for code in status.flat)
    line = {"tile": index, "attempt": attempt, "sha256": sha256, "bytes": len(image), "lanes": counts}
    path = paths.tile(index)

    def check(temporary: Path) -> None:
        _parse_tile(data := read_bytes(temporary), str(temporary), schema)
        if data != image:
            raise CorruptFile(f"{temporary}: reads back other bytes than were written")
        _refuse_stale(paths, index, attempt)
        append_event(journal, {"event": "prepared", **line}, on_full)

    while not _has_bytes(path, image):
        _refuse_stale(paths, index, attempt)
        state, reason, committed = _examine(paths, index, None)
        if state is TileState.DONE and committed == image:
            break
        if state is TileState.DONE:
            raise StaleAttempt(f"tile {index}: attempt {attempt} differs from the committed tile, which stays")
        if state is TileState.CORRUPT:
            quarantine(paths, path, reason, on_full, worker=worker)
        temporary = paths.tile_temporary(index, attempt)
        try:
            write_atomically(path, image, temporary, on_full, before_commit=check, exclusive=True)
        except FileExistsError:
            continue
    append_event(journal, {"event": "committed", **line, **(facts or {})}, on_full)
    return sha256


def default_worker() -> str:
    """Return the name of this process's journal."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _refuse_stale(paths: CampaignPaths, index: int, attempt: int) -> None:
    newest = count_attempts(paths, index)
    if not 1 <= attempt <= newest:
        raise ValueError(f"tile {index}: attempt {attempt} was never claimed (newest: {newest})")
    if attempt < newest:
        raise StaleAttempt(f"tile {index}: attempt {attempt} is stale, attempt {newest} was claimed after it")


def _has_bytes(path: Path, image: bytes) -> bool:
    try:
        return read_bytes(path) == image
    except (FileNotFoundError, CorruptFile):
        return False


def _parse_tile(data: bytes, name: str, schema: TileSchema) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, attributes = parse_hdf5(data, name)
    if attributes.get("schema") != SCHEMA_VERSION:
        raise CorruptFile(f"{name}: schema {attributes.get('schema')}, not {SCHEMA_VERSION}")
    try:
        return schema.validate(arrays, bool(attributes.get("whole", True))), attributes
    except ValueError as error:
        raise CorruptFile(f"{name}: {error}") from error


def read_commits(paths: CampaignPaths) -> Commits:
    """Return the checksums that the journals know, by tile; read once for many calls of `diagnose_tile`."""
    return commits_in(read_events(paths.journals_dir))


def commits_in(events: Iterable[Mapping[str, Any]]) -> Commits:
    """Return the checksums that some events tell of, by tile."""
    commits: Commits = {}
    for event in events:
        if event.get("event") in ("prepared", "committed"):
            sha256, attempt = event["sha256"], event["attempt"]
            known = commits.setdefault(event["tile"], {})
            if sha256 not in known or attempt < known[sha256].attempt:
                known[sha256] = Commit(attempt, event["bytes"], event["lanes"])
    return commits


def inspect_tile(paths: CampaignPaths, index: int, commits: Commits | None = None) -> TileState:
    """Return the state of a tile on disk: done only where journal, file and checksum agree."""
    return diagnose_tile(paths, index, commits)[0]


def diagnose_tile(paths: CampaignPaths, index: int, commits: Commits | None = None) -> tuple[TileState, str]:
    """Return the same as `inspect_tile`, with the reason in words; see `load_tile`."""
    state, reason, _ = _examine(paths, index, commits)
    return state, reason


def load_tile(
    paths: CampaignPaths, index: int, schema: TileSchema, commits: Commits | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any], int]:
    """Return arrays and attributes of a tile that is done, and the attempt that committed it.

    Raises:
        CorruptFile: the tile is not done; the message says why.
    """
    commits = read_commits(paths) if commits is None else commits
    state, reason, data = _examine(paths, index, commits)
    if state is not TileState.DONE:
        raise CorruptFile(reason)
    arrays, attributes = _parse_tile(data, str(paths.tile(index)), schema)
    return arrays, attributes, commits[index][checksum(data)].attempt


def _examine(paths: CampaignPaths, index: int, commits: Commits | None) -> tuple[TileState, str, bytes]:
    path = paths.tile(index)
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        return TileState.MISSING, f"{path.name}: missing", b""
    except CorruptFile as error:
        return TileState.CORRUPT, str(error), b""
    sha256 = checksum(data)
    if commits is None or sha256 not in commits.get(index, {}):
        # The journals are read after the file: its line is older than its name, so it is there.
        fresh = read_commits(paths).get(index, {})
        if commits is not None:
            commits[index] = fresh
        if sha256 not in fresh:
            known = "journalled checksums are others" if fresh else "no journal knows it"
            return TileState.CORRUPT, f"{path.name}: {known} (file {sha256[:12]})", data
    return TileState.DONE, f"{path.name}: done", data


def sweep(paths: CampaignPaths) -> list[Path]:
    """Remove the temporary files that killed attempts left behind.

    An attempt that is alive and loses its temporary file writes it again; a merge that is alive keeps its own, and one
    on another machine keeps what it has written to within a lease.

    Returns:
        What was removed.
    """
    swept = []
    mine = paths.merged_temporary(socket.gethostname(), 0).name.removesuffix("0.tmp")
    now = file_system_now(paths.root)
    attempts = sorted(paths.attempts_dir.glob("[0-9]*")) if paths.attempts_dir.is_dir() else []
    folders = (paths.root, paths.tiles_dir, paths.checkpoints_dir, paths.report_dir, paths.failures_dir)
    for folder in (*folders, paths.journals_dir, paths.logs_dir, paths.attempts_dir, *attempts):
        for path in sorted(entry for entry in folder.glob("*.tmp")):
            pid = path.name.removeprefix(mine).removesuffix(".tmp")
            if path.name.startswith(mine) and process_exists(pid):
                continue
            if path.name.startswith(f"{paths.merged.name}.") and not path.name.startswith(mine) and _young(path, now):
                continue
            path.unlink(missing_ok=True)
            swept.append(path)
    return swept


def _young(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime < LEASE_SECONDS
    except FileNotFoundError:
        return False


def quarantine(
    paths: CampaignPaths,
    path: Path,
    reason: str,
    on_full: OnFull | None = None,
    *,
    worker: str | None = None,
) -> Path | None:
    """Move a file that does not agree out of the way, and journal it.

    Args:
        paths: the campaign.
        path: the file.
        reason: what does not agree.
        on_full: called while the disk is too full for a name or for the journal's line.
        worker: whose journal to append to; by default one of this process.

    Returns:
        Where the file is now (its name and a counter), or None where it had gone before.
    """
    target = when_there_is_room(lambda: _set_aside(paths, path), path, on_full)
    if target is None:
        return None
    when_there_is_room(lambda: sync_directory(paths.quarantine_dir), path, on_full)
    when_there_is_room(lambda: sync_directory(path.parent), path, on_full)
    event = {"event": "quarantined", "file": path.name, "moved_to": target.name, "reason": reason}
    append_event(paths.journal(worker or default_worker()), event, on_full)
    return target


def _set_aside(paths: CampaignPaths, path: Path) -> Path | None:
    for counter in itertools.count(1):
        target = paths.quarantine_dir / f"{path.name}.{counter}"
        try:
            with naming(target):
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            break
        except FileExistsError:
            continue
    try:
        os.replace(path, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return None
    return target
