"""The demo: the whole path on data made here."""

from __future__ import annotations

from pathlib import Path

from phloem.jobs.execute import merge, run_campaign
from phloem.jobs.planning import TEMPLATES, open_or_plan
from phloem.jobs.progress import say
from phloem.jobs.reporting import report

CAMPAIGN = TEMPLATES / "demo.toml"


def run_demo(out: Path, workers: int = 0) -> Path:
    """Make, calibrate, merge and report the demo campaign; an interrupted demo goes on where it was.

    Args:
        out: campaign directory.
        workers: processes; 0: one a core.

    Returns:
        The report.
    """
    campaign = open_or_plan(CAMPAIGN, out, [])
    configuration = campaign.configuration
    say(
        f"demo: {len(campaign.cells)} boreal cells x {configuration.campaign.members} members, "
        f"optimiser {configuration.optimiser.name}; truth known, observations noisy and full of gaps"
    )
    run_campaign(campaign, workers)
    merge(campaign)
    return report(campaign)
