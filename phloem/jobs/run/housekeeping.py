"""Keeps the number of files bounded: what ended workers and finished tiles leave becomes lines of one journal."""

from __future__ import annotations

import os
import re
from pathlib import Path

from phloem.io.campaign.attempts import LEASE_SECONDS, file_system_now, forget_attempts, list_attempts, process_exists
from phloem.io.files.journals import append_events, roll_up
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.run.state import CampaignState

ROLLED = "rolled"
"""Name of the journal and of the log that hold what was rolled up."""

MANY_FILES = 2000
"""Fewer than this are left as they are: they are easier to look at."""

_WRITER = re.compile(r"(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{4}(\..+)?")


def tidy(campaign: Campaign, state: CampaignState, least: int = MANY_FILES) -> int:
    """Roll up the journals, logs and attempts of a campaign in which nothing runs.

    A finished tile keeps its file alone. That it had so many attempts stands in the journal, so the next one, should
    its file ever go bad, gets a higher number.

    Args:
        campaign: planned.
        state: lately read.
        least: with fewer files nothing is done.

    Returns:
        Number of files removed.
    """
    if state.beats:
        return 0
    paths, done = campaign.paths, set(state.done)
    attempts = {tile: numbers for tile, numbers in list_attempts(paths).items() if tile in done}
    rolled, log = paths.journal(ROLLED), paths.log(ROLLED)
    journals, logs = (_ended(target) for target in (rolled, log))
    if len(attempts) + len(journals) + len(logs) < least:
        return 0
    events = [{"event": "attempts", "tile": tile, "newest": numbers.newest} for tile, numbers in attempts.items()]
    append_events(rolled, events)
    for tile, numbers in attempts.items():
        forget_attempts(paths, tile, numbers)
    roll_up(journals, rolled)
    roll_up(logs, log)
    return len(attempts) + len(journals) + len(logs)


def _ended(target: Path) -> list[Path]:
    """Return the journals beside a target whose writers are gone: seen here, else silent for longer than a lease."""
    now = file_system_now(target.parent)
    ended = []
    for path in sorted(target.parent.glob(f"*{target.suffix}")):
        found = _WRITER.fullmatch(path.stem)
        if path == target:
            continue
        if found and found["host"] == os.uname().nodename:
            gone = not process_exists(found["pid"])
        else:
            gone = now - path.stat().st_mtime > LEASE_SECONDS
        if gone or (found and int(found["pid"]) == os.getpid()):
            ended.append(path)
    return ended
