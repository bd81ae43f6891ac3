"""Campaigns on workers that are told of GPUs, as `phloem run` starts them where there are some."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from phloem.hpc.local_engine import LocalEngine
from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.run.execute import supervise
from phloem.jobs.run.state import CampaignState, read_state
from phloem.jobs.run.supervisor import Supervisor

HOST = os.uname().nodename
CPU = {"JAX_PLATFORMS": "cpu", "NPROC": "1", "OMP_NUM_THREADS": "1"}

OfSlot = Callable[[int], dict[str, str]]


def of_slot(slot: int) -> dict[str, str]:
    """Return what a worker is told of its GPU; it computes on a processor all the same."""
    return {**CPU, "CUDA_VISIBLE_DEVICES": str(slot)}


def compute(root: Path, workers: int, of_slot: OfSlot = of_slot) -> tuple[Campaign, LocalEngine, CampaignState]:
    """Run what `phloem run` does on this machine, with workers that are told of GPUs."""
    campaign = open_campaign(root)
    table = campaign.configuration.engine.model_copy(update={"gpus": workers})
    campaign = replace(campaign, configuration=campaign.configuration.model_copy(update={"engine": table}))
    engine = LocalEngine(workers, of_slot=of_slot, hang_seconds=120)
    campaign.paths.make()
    state = supervise(Supervisor(campaign, engine, done=set(read_state(campaign).done)))
    return campaign, engine, state


def journalled(root: Path, name: str) -> list[dict[str, Any]]:
    """Return the events of a name in a campaign's journals."""
    return [event for event in read_events(root / "journals") if event["event"] == name]


def logged(root: Path) -> list[dict[str, Any]]:
    """Return all events in the logs of a campaign's workers."""
    return [event for log in sorted(root.glob("logs/*.log")) for event in read_events(log)]
