"""What comes of a run: a merged product, or an end of which another process has told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.run.state import CampaignState


class Finished(NamedTuple):
    """A campaign whose tiles are done.

    Attributes:
        campaign: the campaign.
        state: its state.
        merged: its merged product.
    """

    campaign: Campaign
    state: CampaignState
    merged: Path


@dataclass(frozen=True)
class ToldElsewhere:
    """A process that has nothing to say: a rank that is not the first, who started the world, or who does not wait.

    Attributes:
        status: with which it ends: 0, 1 where work failed, 2 where the input was wrong.
    """

    status: int = 0
