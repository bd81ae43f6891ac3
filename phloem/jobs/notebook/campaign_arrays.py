"""What is known of a campaign's cells as xarray: a table of them, and the parameters of their members."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import xarray as xr

from phloem.jobs.analyse.report import open_cells
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.notebook.parameter_arrays import labelled
from phloem.names import CELL_STATUS

NOT_MERGED = "not merged"
"""What stands for the status of a cell whose campaign has no product yet."""

PLANNED = {
    "latitude": ("degrees_north", "latitude"),
    "longitude": ("degrees_east", "longitude"),
    "days": ("1", "days that are simulated"),
}
"""Units and long names of what the plan knows of a cell."""


def cells_table(campaign: Campaign) -> xr.Dataset:
    """Return the table of `OpenedCampaign.cells`."""
    names, columns = campaign.cells.names, campaign.cells.columns
    found: dict[str, Any] = {
        name: ("cell", np.asarray(columns[name]), {"units": unit, "long_name": meaning})
        for name, (unit, meaning) in PLANNED.items()
        if name in columns
    }
    if not campaign.paths.merged.exists():
        status, count = np.full(len(names), NOT_MERGED), np.zeros(len(names), int)
    else:
        with ExitStack() as stack:
            cells = open_cells(stack, campaign, names)
        words = {code: word for word, code in CELL_STATUS.items()}
        status, count = np.array([words[code] for code in cells.cell_status.tolist()]), cells.good.sum(1)
        found["least_loss"] = ("cell", cells.least_loss, {"units": "1", "long_name": "least loss of the members"})
    found["status"] = ("cell", status, {"long_name": "what became of the members"})
    found["members_calibrated"] = ("cell", count, {"units": "1", "long_name": "members with a result"})
    return xr.Dataset(found, {"cell": names})


def members_parameters(campaign: Campaign) -> xr.DataArray:
    """Return the array of `OpenedCampaign.parameters`, of a merged campaign."""
    found = read_members(campaign, campaign.cells.names)
    values = np.concatenate([found.parameters, found.pools], axis=2)
    places = {
        "cell": found.cells,
        "latitude": ("cell", found.latitude, {"units": "degrees_north"}),
        "longitude": ("cell", found.longitude, {"units": "degrees_east"}),
    }
    return labelled(values, found.tables).assign_coords(places)
