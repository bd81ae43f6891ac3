"""What a notebook names: a cell of a campaign, and the product that is there once the campaign is merged."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from phloem.errors import InputError, WorkError, some
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.unit_table import PlannedUnit
from phloem.jobs.run.status import status_json


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a hint at the nearest of some names, empty where none is near."""
    near = difflib.get_close_matches(name, names, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def planned_cell(campaign: Campaign, cell: str) -> PlannedUnit:
    """Return a cell as it was planned.

    Raises:
        InputError: there is none of this name.
    """
    names = campaign.cells.names
    if cell not in names:
        raise InputError(
            f"{campaign.paths.root}: no cell {cell!r}.{did_you_mean(str(cell), names)} It has {some(names)}"
        )
    return campaign.cells[names.index(cell)]


def require_product(campaign: Campaign) -> Path:
    """Return the path of the product.

    Raises:
        WorkError: it is not merged yet; the message has how far it is, and the command.
    """
    root, merged = campaign.paths.root, campaign.paths.merged
    if merged.exists():
        return merged
    tiles = status_json(campaign)["tiles"]
    if tiles["done"] == sum(tiles.values()):
        raise WorkError(f"{root} is not merged: phloem merge {root}")
    raise WorkError(
        f"{root} is not merged: {tiles['done']} of {sum(tiles.values())} tiles have a result. Go on with: "
        f'phloem run {root}, or phloem.run("{root}")'
    )
