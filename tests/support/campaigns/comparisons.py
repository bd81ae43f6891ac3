"""What the tests of the benchmark share: files, made maps, and the scores that a calibration knows already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import xarray as xr

from phloem.analysis.benchmark.pairs import Pairs
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.analyse.benchmark_cells import BenchmarkCells
from phloem.jobs.analyse.place_series import series_of
from phloem.jobs.analyse.withheld_years import compare_runs
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import open_campaign
from phloem.names import STREAMS


def write(path: Path, *references: dict[str, Any], **more: Any) -> Path:
    path.write_text(tomli_w.dumps({"reference": list(references), **more}))
    return path


def nnse(pairs: Pairs, cell: int, member: int) -> float:
    """S / (S + E) of a member at a cell (docs/science.md#observations)."""
    part = pairs.cell == cell
    y, x = pairs.reference[part], pairs.members[part, member]
    spread = ((y - y.mean()) ** 2).sum()
    return float(spread / (spread + ((y - x) ** 2).sum()))


def check_nnse(campaign_folder: Path, tolerance: float) -> int:
    """Every member's efficiency in the withheld years is what the calibration itself has evaluated."""
    campaign = open_campaign(campaign_folder)
    members = read_members(campaign, campaign.cells.names)
    rows = read_merged(campaign.paths.merged, ("nnse_validation",), members.cells)["nnse_validation"]
    found = {one.slug: one for one in compare_runs(members, range(len(members.cells)), STREAMS, [], {}, [])}
    checked = 0
    for row, stream in enumerate(STREAMS):
        for cell, member in np.argwhere(members.good).tolist():
            value = nnse(found[f"{stream}-withheld"], cell, member)
            assert value == pytest.approx(rows[cell, member, row], abs=tolerance), (stream, cell, member)
            checked += 1
    return checked


def check_windows(campaign_folder: Path, tolerance: float) -> int:
    """A member's efficiency over the windows that a report shows of it is what its calibration has evaluated."""
    campaign = open_campaign(campaign_folder)
    members = read_members(campaign, campaign.cells.names)
    rows = read_merged(campaign.paths.merged, ("nnse",), members.cells)["nnse"]
    windowed = [name for name in STREAMS if name in campaign.configuration.experiment.window_means]
    places, checked = range(len(members.cells)), 0
    for member in range(members.good.shape[1]):
        alone = members.good & (np.arange(members.good.shape[1]) == member)
        for one in series_of(replace(members, good=alone), places, np.zeros(len(places))):
            assert (one.first[0], one.members) == (np.datetime64("2001-01-01"), int(alone[one.place].sum()))
            assert (np.diff(one.centres) > 0).all()
            for name in windowed if one.members else ():
                means = one.streams[name]
                seen = np.isfinite(means.observed)
                deviations = means.observed[seen] - means.observed[seen].mean()
                error = ((means.median - means.observed)[seen] ** 2).sum() / (deviations**2).sum()
                wanted = rows[one.place, member, STREAMS.index(name)]
                assert 1 / (1 + error) == pytest.approx(wanted, abs=tolerance), (name, one.cell, member)
                checked += 1
    return checked


def cells_of(folder: Path) -> BenchmarkCells:
    campaign = open_campaign(folder)
    return BenchmarkCells(read_members(campaign, campaign.cells.names), {}, 0.3, folder, 500)


def write_map(path: Path, cells: BenchmarkCells, values: np.ndarray, units: str, step: float = 0.5) -> Path:
    """A global map from north to south and from 0 to 360 that has some values at the cells, packed."""
    lat, lon = np.arange(90 - step / 2, -90, -step), np.arange(step / 2, 360, step)
    field = np.full((len(lat), len(lon)), np.nan)
    rows = np.round((90 - step / 2 - cells.members.latitude) / step).astype(int)
    columns = np.round((cells.members.longitude % 360 - step / 2) / step).astype(int)
    field[rows, columns] = values
    made = xr.Dataset(
        {"x": (("lat", "lon"), field, {"units": units})},
        {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})},
    )
    made.to_netcdf(path, encoding={"x": {"zlib": True}})
    return path
