"""Predictions of what was left out, read from the merged file of an upscaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError, WorkError, unreadable
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.upscaling.fit_units import TowerData, planned_data, table_of
from phloem.jobs.upscaling.left_out_predictions import LeftOutPredictions
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.jobs.upscaling.tower_scores import read_scores, scores_by_way


@dataclass(frozen=True, eq=False)
class MergedUpscaling:
    """A merged upscaling: towers, predictions of what was left out, and their scores.

    Attributes:
        campaign: merged.
        table: of the upscaling.
        data: its towers.
        found: predictions, without the models.
        scores: scores.json.
    """

    campaign: Campaign
    table: UpscalingTable
    data: TowerData
    found: LeftOutPredictions
    scores: dict[str, Any]

    def by_way(self) -> dict[str, Any]:
        """Return the scores by way, the baseline first, by scheme and flux."""
        return {"baseline": self.scores["baseline"], **scores_by_way(self.scores, self.table.learn)}


def read_upscaling(campaign: Campaign) -> MergedUpscaling:
    """Read what an upscaling has left; it is merged first where it is not.

    Raises:
        InputError: nothing was left out, so that there is nothing to compare.
        WorkError: tiles without result, or a product that is damaged or of another configuration.
    """
    table = table_of(campaign.configuration)
    if not table.cv:
        raise InputError(
            f"{campaign.paths.root}: experiment.cv is empty: nothing was left out, so that nothing can be scored; plan "
            'again with experiment.cv = ["tower", "row"]'
        )
    if not campaign.paths.merged.exists():
        campaign.kind.merge(campaign)
    data = planned_data(campaign)
    return MergedUpscaling(campaign, table, data, read_merged(campaign, data), read_scores(campaign.paths.root))


def read_merged(campaign: Campaign, data: TowerData) -> LeftOutPredictions:
    """Read the predictions of a merged upscaling; its models are in a file of their own.

    Args:
        campaign: merged.
        data: its towers.

    Raises:
        WorkError: the file cannot be read, or is of another configuration or other towers.
    """
    path, again = campaign.paths.merged, f"phloem merge {campaign.paths.root}"
    try:
        with netCDF4.Dataset(str(path)) as file:
            if file.getncattr("configuration_hash") != campaign.configuration.fingerprint():
                raise WorkError(f"{path}: of another configuration; make it again with: {again}")
            named = {name: tuple(str(one) for one in file[name][:]) for name in ("scheme", "way", "flux")}
            values = {
                name: np.ma.filled(file[name][...], np.nan) for name in ("predicted_of_members", "blend")
            } | {name: np.ma.filled(file[name][...], -1) for name in ("status", "tile", "attempt")}  # fmt: skip
    except (OSError, RuntimeError, IndexError, KeyError, AttributeError) as error:
        raise unreadable(path, error, again) from error
    if values["predicted_of_members"].shape[-1] != len(data.rows):
        raise WorkError(f"{path}: of other towers; make it again with: {again}")
    return LeftOutPredictions(
        schemes=named["scheme"],
        ways=named["way"],
        fluxes=named["flux"],
        members=values["predicted_of_members"],
        blend=values["blend"],
        status=values["status"],
        tile=values["tile"],
        attempt=values["attempt"],
        models={},
    )
