"""What `status` and `evaluate` print for people."""

from __future__ import annotations

from typing import Any

from phloem.jobs.campaign import Campaign
from phloem.jobs.progress import duration
from phloem.names import STREAMS


def show(campaign: Campaign, found: dict[str, Any]) -> str:
    """Return a campaign's state in words, with the command that goes on or mends."""
    tiles, lanes, root = found["tiles"], found["lanes"], campaign.paths.root
    lines = [
        f"campaign {campaign.configuration.campaign.name} in {root}",
        "tiles  " + "  ".join(f"{name} {count}" for name, count in tiles.items()),
        "lanes  " + "  ".join(f"{name} {count}" for name, count in lanes.items() if count),
    ]
    if tiles["running"]:
        lines.append(f"ETA    {duration(found['eta_seconds'])}")
    for tile, reason in found["corrupt"].items():
        lines.append(f"tile {tile} does not agree with the journals and will be computed again: {reason}")
    for tile, failure in found["failures"].items():
        classes = ", ".join(f"{name} {count}x" for name, count in failure["classes"].items())
        mend = f"phloem retry {root}" if failure["exhausted"] else "tried again by itself"
        lines.append(f"tile {tile} failed ({classes}): {failure['message']}  [{mend}]")
    if tiles["failed"]:
        lines.append(f"next: mend the cause, then phloem retry {root}")
    elif tiles["pending"] and not tiles["running"]:
        lines.append(f"next: phloem run {root}")
    elif not tiles["pending"] + tiles["running"]:
        lines.append(f"next: phloem report {root}")
    return "\n".join(lines)


def score_table(found: dict[str, Any]) -> str:
    """Return the scores of `evaluate` as a table."""
    header = f"{found['site']:10}" + "".join(f"{name:>16}" for name in STREAMS) + f"{'J_obs':>10}"
    lines = [header, f"{'member':10}" + f"{'cal     val':>16}" * len(STREAMS)]

    def number(value: float | None) -> str:
        return "      -" if value is None else f"{value:7.3f}"

    for member, entry in enumerate(found["members"]):
        cells = [f"{number(entry['nnse'][s])} {number(entry['nnse_validation'][s])}".rjust(16) for s in STREAMS]
        lines.append(f"{member:<10}" + "".join(cells) + f"{entry['j_obs']:10.4f}")
    return "\n".join(lines)
