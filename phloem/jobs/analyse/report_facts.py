"""Facts of a campaign for its report: cost, attempts, failures by class, versions."""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Mapping

import netCDF4
import numpy as np

from phloem.analysis.report.sections import CampaignFacts
from phloem.endings import FREE
from phloem.io.campaign.attempts import list_attempts
from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.run.status import status_json
from phloem.jobs.synthetic.transect import read_truth
from phloem.jobs.tile.computed_on import in_words

PACKAGES = ("jax", "matplotlib", "netCDF4", "numpy")
"""Packages whose versions a report names."""


def campaign_facts(campaign: Campaign, costs: Mapping[str, int] | None = None, method: str = "") -> CampaignFacts:
    """Count what happened to a campaign that is merged.

    Args:
        campaign: merged.
        costs: what its product tells of the cost; None: as the product of a calibration tells it.
        method: how its lanes were computed, in words; empty: as of its optimiser.
    """
    events: Counter[str] = Counter()
    seconds = 0.0
    newest = {tile: numbers.newest for tile, numbers in list_attempts(campaign.paths).items()}
    for event in read_events(campaign.paths.journals_dir, leave_out="prepared"):
        if event["event"] == "ran":
            seconds += event["seconds"]
        elif event["event"] == "ended":
            events[f"ended attempts: {event['class']}"] += 1
            events["ended attempts that failed"] += event["class"] not in FREE
        elif event["event"] == "set aside":
            events["cells set aside"] += 1
        elif event["event"] == "attempts":
            newest[event["tile"]] = max(event["newest"], newest.get(event["tile"], 0))
        elif event["event"] == "quarantined":
            events["files quarantined"] += 1
    events["attempts"] = sum(newest.values())
    events["tiles"] = len(campaign.tiles)
    events["batches of retried lanes"] = len(campaign.retries)
    events.update(_costs(campaign) if costs is None else costs)
    state = status_json(campaign, verify=False)
    configuration = campaign.configuration
    return CampaignFacts(
        name=configuration.campaign.name,
        version=campaign.version,
        configuration_hash=configuration.fingerprint(),
        seed=configuration.campaign.seed,
        members=configuration.campaign.members,
        optimiser=method or configuration.optimiser.in_words,
        wall_seconds=seconds or None,
        events=dict(sorted(events.items())),
        configuration_text=campaign.paths.configuration.read_text(encoding="utf-8"),
        truth=read_truth(campaign.paths.root / "drivers") if configuration.data.kind == "synthetic" else None,
        experiment=configuration.experiment.name,
        hours={name: hours for name, hours in state["hours"].items() if hours},
        failures=state["failures_by_class"],
        set_aside=state["set_aside"],
        computed_on=in_words(state["computed_on"]),
        versions={"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}},
    )


def _costs(campaign: Campaign) -> Counter[str]:
    """Count over all lanes what the product tells of the cost."""
    with netCDF4.Dataset(str(campaign.paths.merged)) as file:
        redraws, gradients = (np.ma.filled(file[name][...], 0) for name in ("redraws", "gradient_evaluations"))
        equivalents = np.ma.filled(file["gradient_equivalents"][...], np.nan)
    return Counter(
        {
            "lanes drawn anew": int((redraws > 0).sum()),
            "gradient evaluations": int(np.maximum(gradients, 0).sum(dtype=np.int64)),
            "gradients of a whole record": round(float(np.nansum(equivalents))),
        }
    )
