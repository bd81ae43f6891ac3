"""Attempts: who computes a tile, until when that is believed, and how it ended.

An attempt is claimed by the exclusive creation of a file whose number is one more than the last; it ends by the
exclusive creation of another, or by its tile, of which then only the last claim is kept. No locks. Where the holder
can be seen (same machine), it is looked at; elsewhere its beats are believed until they are older than the lease, by
the clock of the file system that holds both.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from phloem.endings import Ending
from phloem.errors import WorkError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.atomic import OnFull, when_there_is_room, write_atomically
from phloem.io.files.journals import append_event

LEASE_SECONDS = 600.0
"""A silent attempt on a machine that cannot be looked at is given up after this; clocks may differ by minutes."""

_NAME = re.compile(r"tile_([0-9]+)\.([0-9]+)\.(claim|end|beat|forgiven)")
"""Names of the files of attempts; whatever else lies beside them is not ours."""


class TakenError(WorkError):
    """Somebody else computes this tile, or has done so."""


@dataclass(frozen=True)
class Holder:
    """The process that holds an attempt.

    Attributes:
        worker: its name in journals and logs.
        host: name of its machine.
        pid: its process id there.
        started: when it started, in ticks of that machine; a reused process id has another.
        place: boot and process namespace, within which pid and started mean something.
        job: id of the batch job it runs in; empty outside of one.
        restart: how often that job was requeued.
    """

    worker: str
    host: str = ""
    pid: int = 0
    started: int = 0
    place: str = ""
    job: str = ""
    restart: int = 0


@cache
def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return os.uname().nodename


def _started(pid: int) -> int | None:
    """Return when a process of this machine started; None where it is dead, or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return 0
    return None if fields[0] in "ZX" else int(fields[19])


def process_exists(pid: str) -> bool:
    """Tell whether a process of this machine has an id, as a file name gives it; also a dead one not yet reaped."""
    return pid.isdecimal() and len(pid) < 10 and psutil.pid_exists(int(pid))  # more digits overflow: no process


def holder(worker: str, job: str = "", restart: int = 0, host: str = "") -> Holder:
    """Return this process as a holder; `host` where the batch system has a name of its own for this machine."""
    pid = os.getpid()
    return Holder(worker, host or os.uname().nodename, pid, _started(pid) or 0, _place(), job, restart)


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt of a tile as its files tell it.

    Attributes:
        tile: the tile.
        number: 1 for the first.
        holder: who claimed it.
        end: how it ended: `class`, `message` and more; empty while it is open.
    """

    tile: int
    number: int
    holder: Holder
    end: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Numbers:
    """The files of one tile's attempts, by number."""

    claims: set[int] = field(default_factory=set)
    ends: set[int] = field(default_factory=set)
    beats: set[int] = field(default_factory=set)
    forgivens: set[int] = field(default_factory=set)

    @property
    def newest(self) -> int:
        """The newest attempt, 0 where there is none."""
        return max(self.claims, default=0)

    @property
    def open(self) -> int:
        """The newest attempt where it has no end, else 0."""
        return 0 if self.newest in self.ends else self.newest


def _numbers_in(folder: Path) -> dict[int, Numbers]:
    found: dict[int, Numbers] = {}
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return found
    for name in names:
        named = _NAME.fullmatch(name)
        if named is None:
            continue
        tile, number, what = named.groups()
        getattr(found.setdefault(int(tile), Numbers()), f"{what}s").add(int(number))
    return found


def list_attempts(paths: CampaignPaths) -> dict[int, Numbers]:
    """Return the attempts of all tiles that have any; one listing a thousand tiles."""
    found: dict[int, Numbers] = {}
    if paths.attempts_dir.is_dir():
        for folder in sorted(paths.attempts_dir.iterdir()):
            found.update(_numbers_in(folder) if folder.is_dir() else {})
    return found


def attempt_numbers(paths: CampaignPaths, index: int) -> Numbers:
    """Return the attempts of one tile."""
    return _numbers_in(paths.attempt_folder(index)).get(index, Numbers())


def _read(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty where the file is absent or damaged: then nothing is known, and nothing assumed."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_attempt(paths: CampaignPaths, index: int, number: int) -> AttemptRecord:
    """Return what is known of an attempt; a damaged claim has a holder without name."""
    claim = _read(paths.claim(index, number))
    try:
        who = Holder(**{name: claim[name] for name in Holder.__dataclass_fields__})
    except (KeyError, TypeError):
        who = Holder("")
    return AttemptRecord(index, number, who, read_end(paths, index, number))


def read_end(paths: CampaignPaths, index: int, number: int) -> dict[str, Any]:
    """Return how an attempt ended, empty where it has not; a damaged end is a lost worker's."""
    path = paths.end(index, number)
    found = _read(path)
    if not isinstance(found.get("class"), str):
        return {"class": Ending.WORKER_LOST, "message": "how it ended cannot be read"} if path.exists() else {}
    return found


def read_beat(paths: CampaignPaths, index: int, number: int) -> dict[str, Any]:
    """Return what a running attempt last said, empty where it said nothing yet."""
    return _read(paths.beat(index, number))


def file_system_now(folder: Path) -> float:
    """Return the time on the clock of the file system, which stamps the beats; this host's where it is read-only."""
    probe = folder / f".clock.{secrets.token_hex(6)}.tmp"
    try:
        probe.touch(exist_ok=False)
        now = probe.stat().st_mtime
        probe.unlink(missing_ok=True)
        return now
    except OSError:
        return time.time()


Verdict = Callable[[Holder], str]
"""How a holder's batch job ended, as an end's class; empty where it is not known for certain to be over."""


def is_alive(
    paths: CampaignPaths, attempt: AttemptRecord, now: float, me: Holder | None = None, verdict: Verdict | None = None
) -> bool:
    """Tell whether an open attempt is to be left to its holder.

    Args:
        paths: the campaign.
        attempt: without an end.
        now: from `file_system_now`.
        me: who asks; an earlier life of the same batch job is over.
        verdict: asked of holders on machines that cannot be looked at.
    """
    who = attempt.holder
    if me is not None and me.job and me.job == who.job and me.restart > who.restart:
        return False
    if who.place == _place():
        return _started(who.pid) == who.started
    if verdict is not None and who.job and verdict(who):
        return False
    return now - _last_heard(paths, attempt) < LEASE_SECONDS


def _last_heard(paths: CampaignPaths, attempt: AttemptRecord) -> float:
    """Return when an attempt's holder was last heard, by the clock of the file system; 0 where nothing is left."""
    for path in (paths.beat(attempt.tile, attempt.number), paths.claim(attempt.tile, attempt.number)):
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            continue
    return 0.0


def end_attempt(
    paths: CampaignPaths,
    index: int,
    number: int,
    kind: str,
    message: str = "",
    on_full: OnFull | None = None,
    journal: Path | None = None,
    **facts: Any,
) -> bool:
    """Write down how an attempt ended; the first word stands.

    Args:
        paths: the campaign.
        index: the tile.
        number: the attempt.
        kind: how it ended, of `Ending`.
        message: for people.
        on_full: called while the disk is full.
        journal: of the caller, to which an end without a commit is told too.
        facts: more JSON values, such as `seconds` and `host`.

    Returns:
        Whether this call wrote it.
    """
    body = {"class": kind, "message": message, "time": round(time.time(), 1), **facts}
    try:
        write_atomically(paths.end(index, number), json.dumps(body).encode(), on_full=on_full, exclusive=True)
    except FileExistsError:
        return False
    paths.beat(index, number).unlink(missing_ok=True)
    if journal is not None and kind != Ending.COMMITTED:
        event = {"event": "ended", "tile": index, "attempt": number, "class": kind, "message": message}
        told = {name: facts[name] for name in ("host", "job", "last") if facts.get(name)}
        append_event(journal, {**event, "seconds": facts.get("seconds", 0.0), **told}, on_full)
    return True


def take_tile(
    paths: CampaignPaths,
    index: int,
    me: Holder,
    on_full: OnFull | None = None,
    verdict: Verdict | None = None,
) -> int:
    """Claim the next attempt of a tile that nobody holds; no two callers ever get the same number.

    An open attempt whose holder is gone is ended as a lost worker's.

    Returns:
        1 for the first attempt.

    Raises:
        TakenError: somebody holds it, was quicker, or has committed it while the caller was starting.
    """
    if paths.tile(index).exists():
        raise TakenError(f"tile {index} is committed")
    numbers = attempt_numbers(paths, index)
    if numbers.open:
        before = read_attempt(paths, index, numbers.open)
        if is_alive(paths, before, file_system_now(paths.attempts_dir), me, verdict):
            raise TakenError(f"tile {index} is held by {before.holder.worker} (attempt {before.number})")
        end_lost(paths, before, me.worker, on_full, verdict)
    return claim(paths, index, numbers.newest + 1, me, on_full)


def count_attempts(paths: CampaignPaths, index: int) -> int:
    """Return the number of a tile's newest attempt, 0 where there is none."""
    return attempt_numbers(paths, index).newest


def claim(paths: CampaignPaths, index: int, number: int, me: Holder, on_full: OnFull | None = None) -> int:
    """Claim one attempt of a tile, whoever holds the tile: a commit of an earlier one is stale from now on.

    Args:
        paths: the campaign.
        index: the tile.
        number: the attempt, above all that there are.
        me: who claims it.
        on_full: called while the disk is full.

    Returns:
        The attempt.

    Raises:
        TakenError: another has claimed it.
    """
    path = paths.claim(index, number)
    when_there_is_room(lambda: path.parent.mkdir(parents=True, exist_ok=True), path, on_full)
    try:
        write_atomically(path, json.dumps(asdict(me)).encode(), on_full=on_full, exclusive=True)
    except FileExistsError:
        raise TakenError(f"tile {index}: attempt {number} was claimed by another at this moment") from None
    return number


def end_lost(
    paths: CampaignPaths,
    attempt: AttemptRecord,
    found_by: str,
    on_full: OnFull | None = None,
    verdict: Verdict | None = None,
) -> bool:
    """End an attempt whose holder is gone without a word."""
    who = attempt.holder
    kind = verdict(who) if verdict is not None and who.job else ""
    if not kind:
        kind = Ending.WORKER_LOST if who.place == _place() and not who.job else Ending.NODE_LOST
    message = f"process {who.pid} on {who.host or 'an unknown host'} is gone"
    said = read_beat(paths, attempt.tile, attempt.number)
    facts: dict[str, Any] = {"host": who.host, "worker": who.worker, "job": who.job, "found_by": found_by}
    facts |= {
        "seconds": said.get("elapsed", 0.0),
        "saved": bool(said.get("saved")),
        "last": _last_heard(paths, attempt),
    }
    journal = paths.journal(found_by)
    return end_attempt(paths, attempt.tile, attempt.number, kind, message, on_full, journal, **facts)


def keep_floor(paths: CampaignPaths, index: int, number: int) -> None:
    """See that the next attempt of a tile gets a higher number than this and all others, and that none is open."""
    number = max(number, count_attempts(paths, index)) + 1
    try:
        claim(paths, index, number, holder("nobody"))
    except TakenError:
        return
    end_attempt(paths, index, number, Ending.COMMITTED, "its file went bad")


def forget_attempts(paths: CampaignPaths, index: int, numbers: Numbers, keep: int = 0) -> None:
    """Remove the files of a tile's attempts but the claim of one to `keep`, the newest claim last."""
    for number in sorted(numbers.claims | numbers.ends | numbers.beats | numbers.forgivens):
        paths.beat(index, number).unlink(missing_ok=True)
        paths.forgiven(index, number).unlink(missing_ok=True)
        paths.end(index, number).unlink(missing_ok=True)
        if number != keep:
            paths.claim(index, number).unlink(missing_ok=True)


def forgive(paths: CampaignPaths, index: int, numbers: Numbers) -> None:
    """Let the ends of a tile's attempts so far count no more."""
    paths.forgiven(index, numbers.newest).touch()


def unforgiven_ends(paths: CampaignPaths, index: int, numbers: Numbers) -> Iterator[dict[str, Any]]:
    """Yield how a tile's attempts ended since they were last forgiven, oldest first, with their `attempt`."""
    for number in sorted(numbers.ends):
        if number > max(numbers.forgivens, default=0):
            yield {**read_end(paths, index, number), "attempt": number}
