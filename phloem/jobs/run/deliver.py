"""The merge of a finished campaign, and the tidying after it."""

from __future__ import annotations

from pathlib import Path

from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.run.housekeeping import tidy
from phloem.jobs.run.state import CampaignState


def deliver(campaign: Campaign, state: CampaignState) -> Path:
    """Merge a finished campaign, and tidy it up; errors as of `KindOfWork.merge`."""
    merged = campaign.kind.merge(campaign)
    tidy(campaign, state)
    return merged
