"""Attempts that are claimed whoever holds the tile, as by one who thinks that the holder is gone."""

from __future__ import annotations

from phloem.io.campaign.attempts import Holder, TakenError, claim, count_attempts, holder
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.atomic import OnFull


def claim_next(paths: CampaignPaths, index: int, me: Holder | None = None, on_full: OnFull | None = None) -> int:
    """Claim the next attempt of a tile, or the first above it that no other claims at the same moment; return it."""
    while True:
        try:
            return claim(paths, index, count_attempts(paths, index) + 1, me or holder("nobody"), on_full)
        except TakenError:
            continue
