"""How far campaigns are, as a notebook shows it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.run.status import show, status_json


class CampaignStatus(dict[str, Any]):
    """The JSON object of `phloem status`, which shows itself in words: tiles, lanes, failures and what to do next.

    Example:
        >>> import phloem
        >>> status = phloem.open_campaign("campaigns/transect").status()
        >>> status["lanes"]["calibrated"] + status["lanes"]["calibrated_after_redraw"]
        6
        >>> print(str(status).splitlines()[0])
        campaign transect in campaigns/transect
    """

    def __init__(self, found: dict[str, Any], words: str) -> None:
        super().__init__(found)
        self._words = words

    def __repr__(self) -> str:
        return self._words

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._words)}</pre>"


def read_status(campaign: Campaign) -> CampaignStatus:
    """Return how far a campaign is."""
    found = status_json(campaign)
    return CampaignStatus(found, show(campaign, found))


def summary_table(campaigns: Sequence[Campaign]) -> str:
    """Return a row a campaign as HTML: what it is, and how far."""
    heads = ("campaign", "experiment", "cells", "members", "tiles done", "merged", "directory")
    rows = []
    for one in campaigns:
        tiles = status_json(one)["tiles"]
        rows.append(
            (
                one.configuration.campaign.name,
                one.configuration.experiment.name,
                f"{len(one.cells):,}",
                one.configuration.campaign.members,
                f"{tiles['done']:,} of {sum(tiles.values()):,}",
                "yes" if one.paths.merged.exists() else "no",
                one.paths.root,
            )
        )
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
