"""Devices that were lost, as a campaign's journals tell, until `phloem retry` forgives them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from phloem.hpc.tasks import Device
from phloem.io.files.journals import append_event

LOST, NONE_LEFT, FORGIVEN = "device lost", "no device left", "devices forgiven"
"""Events: a device is given no more work, a supervisor has no other, and `phloem retry` takes all for mended."""

MAX_LISTED_DEVICES = 20
"""Devices that are named one by one."""


def forgiven_at(events: Iterable[Mapping[str, Any]]) -> float:
    """Return when lost devices were last forgiven, in seconds since 1970; 0 where they never were."""
    return max((event["time"] for event in events if event["event"] == FORGIVEN), default=0.0)


def lost_devices(events: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return host, device and last message of each device that was lost and is not forgiven, by host and device."""
    since = forgiven_at(events)
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for event in events:
        if event["event"] == LOST and event["time"] >= since:
            key = event["host"], event["device"]
            found[key] = max(found.get(key, event), event, key=lambda one: one["time"])
    return [{name: event[name] for name in ("host", "device", "message")} for _, event in sorted(found.items())]


def hosts_without_device(events: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the machines on which a supervisor lost all devices that it had, and that are not forgiven."""
    since = forgiven_at(events)
    return {event["host"] for event in events if event["event"] == NONE_LEFT and event["time"] >= since}


def forgive_devices(journal: Path) -> None:
    """Take all devices that were lost so far for mended."""
    append_event(journal, {"event": FORGIVEN, "time": time.time()})


def describe_lost(devices: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a line for each lost device."""
    lines = []
    for device in devices[:MAX_LISTED_DEVICES]:
        name = str(Device(device["host"], device["device"]))
        why = device["message"].removeprefix(name).lstrip(": ")  # a message that came from the worker names it first
        lines.append(f"{name} was lost: {why}")
    more = len(devices) - MAX_LISTED_DEVICES
    return [*lines, *([f"and {more} more devices: phloem status --json names them all"] if more > 0 else [])]
