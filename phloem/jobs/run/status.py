"""Output of `status` and `evaluate` for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.progress import duration
from phloem.jobs.run.device_losses import describe_lost
from phloem.jobs.run.state import read_state, summary
from phloem.jobs.tile.computed_on import in_words
from phloem.jobs.tile.failures import describe_classes

MAX_LISTED_TILES = 20
"""Tiles that are named one by one."""


def status_json(campaign: Campaign, verify: bool | None = None) -> dict[str, Any]:
    """Return the JSON object of `phloem status`, with what the batch system's queue holds of the campaign.

    Args:
        campaign: planned.
        verify: as for `read_state`.
    """
    if not campaign.paths.batches_dir.is_dir():
        return summary(campaign, read_state(campaign, verify)) | {"queue": {}}
    from phloem.jobs.run.batch_jobs import verdict
    from phloem.jobs.run.slurm.watch import describe_jobs

    return summary(campaign, read_state(campaign, verify, verdict)) | {"queue": describe_jobs(campaign)}


def show(campaign: Campaign, document: dict[str, Any]) -> str:
    """Return a campaign's state in words, with the command that goes on or mends."""
    tiles, lanes, root = document["tiles"], document["lanes"], campaign.paths.root
    hours = {name: value for name, value in document["hours"].items() if value}
    lines = [
        f"campaign {campaign.configuration.campaign.name} in {root}",
        "tiles  " + "  ".join(f"{name} {count}" for name, count in tiles.items()),
        "lanes  " + "  ".join(f"{name} {count}" for name, count in lanes.items() if count),
    ]
    if queue := document["queue"]:
        tasks = "  ".join(f"{name} {count}" for name, count in queue["tasks"].items())
        why = f" ({', '.join(queue['reasons'])})" if queue["reasons"] else ""
        lines.append(f"queue  tasks of round {queue['round']}: {tasks}{why}; jobs {', '.join(queue['jobs'])}")
    if hours:
        lines.append("hours  " + "  ".join(f"{name} {value:.2f}" for name, value in hours.items()) + "  (of workers)")
    if devices := in_words(document["computed_on"]):
        lines.append(f"computed on: {devices}")
    if tiles["running"]:
        lines.append(
            f"pace   {document['steps_per_second']:.0f} steps a second, ETA {duration(document['eta_seconds'])}"
        )
    if not document["verified"]:
        lines.append("       tile files were judged by name; --verify reads every byte")
    for tile, reason in list(document["corrupt"].items())[:MAX_LISTED_TILES]:
        lines.append(f"tile {tile} does not agree with the journals and will be computed again: {reason}")
    lines += describe_lost(document["devices_lost"])
    for name, counts in document["failures_by_class"].items():
        lines.append(f"{name}: {counts['attempts']} attempts of {counts['tiles']} tiles  [{counts['mend']}]")
    for tile, failure in list(document["failures"].items())[:MAX_LISTED_TILES]:
        classes = describe_classes(failure["classes"])
        left = "left alone" if failure["exhausted"] else "tried again by itself"
        cells = ", ".join(failure["cells"])
        lines.append(f"  tile {tile} ({cells}) failed ({classes}): {failure['message']}  [{left}]")
    if len(document["failures"]) > MAX_LISTED_TILES:
        lines.append(f"  and {len(document['failures']) - MAX_LISTED_TILES} more tiles: --json names them all")
    for event in document["set_aside"][:MAX_LISTED_TILES]:
        lines.append(f"cell {event['cell']} (tile {event['tile']}) is set aside: {event['class']}: {event['message']}")
    return "\n".join([*lines, *_next(document, root)])


def _next(document: dict[str, Any], root: Path) -> list[str]:
    """Return the command that goes on or mends."""
    tiles = document["tiles"]
    if document["stopped"]:
        return [f"the campaign was stopped: {document['stopped']}", f"next: mend the cause, then phloem retry {root}"]
    if document["queue"] and (tiles["pending"] or tiles["running"]):
        return []
    if tiles["failed"]:
        return [f"next: mend the cause, then phloem retry {root}"]
    if tiles["pending"] and not tiles["running"]:
        return [f"next: phloem run {root}"]
    if tiles["pending"] or tiles["running"]:
        return []
    if document["set_aside"]:
        return [f"next: phloem report {root}; or mend the cause, then phloem retry {root} --lanes"]
    return [f"next: phloem report {root}"]


def score_table(scores: dict[str, Any]) -> str:
    """Return the scores of `evaluate` as a table."""
    streams = list(scores["members"][0]["nnse"])
    header = f"{scores['site']:10}" + "".join(f"{name:>16}" for name in streams) + f"{'J_obs':>10}"
    lines = [header, f"{'member':10}" + f"{'cal     val':>16}" * len(streams)]

    def number(value: float | None) -> str:
        return "      -" if value is None else f"{value:7.3f}"

    for member, entry in enumerate(scores["members"]):
        cells = [f"{number(entry['nnse'][s])} {number(entry['nnse_validation'][s])}".rjust(16) for s in streams]
        lines.append(f"{member:<10}" + "".join(cells) + f"{entry['j_obs']:10.4f}")
    return "\n".join(lines)
