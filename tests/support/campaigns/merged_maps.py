"""A merged campaign over a store of many made cells: known drivers of its parameters, written by the real writers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.tiles import write_tile
from phloem.io.drivers.grid_cell import GridCell, calendar_days, cell_name
from phloem.io.drivers.store import Store, StorePaths, chunk_columns, seal_store, write_chunk
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.tables import GRID
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS
from phloem.names import FORCING, STATUS, STREAMS
from tests.support.campaigns.campaign_samples import tile_arrays
from tests.support.campaigns.campaigns import write_campaign
from tests.support.campaigns.claims import claim_next

YEARS = (2003, 2006)
STEP = 0.5
CHUNK = 40
ROWS = [parameter.name for parameter in PARAMETERS]
UNITS = {"soil_clay": ("%", "clay"), "pft_enf": ("1", "pft_enf"), "fires": ("1", "fires")}


def make_cells(count: int, seed: int = 1, calendar: str = "standard", step: float = STEP) -> list[GridCell]:
    """Return cells of a lattice south of 66 N: one weather, warmer, wetter and brighter by turns; four statics."""
    rng = np.random.default_rng(seed)
    year, doy = calendar_days(*YEARS, calendar)
    weather = boreal_weather(60.0, YEARS[1] - YEARS[0] + 1, rng, YEARS[0])
    width = int(np.ceil(np.sqrt(count)))
    found = []
    for number in range(count):
        latitude, longitude = 55 + step * (0.5 + number // width), 20 + step * (0.5 + number % width)
        forcing = {name: weather[name][: len(year)].astype(np.float32) for name in FORCING}
        warmer = np.float32(rng.uniform(-8, 8))
        forcing["tasmin"], forcing["tasmax"] = forcing["tasmin"] + warmer, forcing["tasmax"] + warmer
        for name in ("pr", "rsds", "vpd"):
            forcing[name] = forcing[name] * np.float32(rng.uniform(0.6, 1.4))
        nothing = np.full(len(year), np.nan, np.float32)
        seen = {**dict.fromkeys(STREAMS, nothing), "gpp": np.ones(len(year), np.float32)}
        statics = {
            "soil_clay": rng.uniform(5, 60),
            "pft_enf": rng.uniform(0, 1),
            "elevation": rng.uniform(0, 900),
            "fires": rng.uniform(0, 1),
        }
        found.append(
            GridCell(
                name=cell_name(latitude, longitude, step), latitude=latitude, longitude=longitude, calendar=calendar,
                year=year, doy=doy, forcing=forcing, observations=seen,
                window_start=np.zeros(len(year), np.int8), evaporative_fraction=nothing,
                trajectory=np.full(1, np.nan, np.float32), statics=statics,
            )
        )  # fmt: skip
    return found


def write_store(root: Path, cells: list[GridCell], step: float = STEP) -> Store:
    """Write a driver store of cells of so many degrees."""
    paths, columns = StorePaths(root), {}
    for number, begin in enumerate(range(0, len(cells), CHUNK)):
        part = cells[begin : begin + CHUNK]
        write_chunk(paths.chunk(number), part, UNITS)
        for key, values in chunk_columns(number, part).items():
            columns.setdefault(key, []).extend(values)
    facts: dict[str, Any] = {"first_year": YEARS[0], "last_year": YEARS[1], "calendar": cells[0].calendar, "step": step}
    return seal_store(root, facts, columns)


def plan_baseline(folder: Path, store: Store) -> Campaign:
    """Plan a baseline campaign of five members over a store, in FOLDER/baseline."""
    data = {"kind": "grid", "path": str(store.paths.root)}
    years = {"forcing_years": [*YEARS], "calibration_years": [2003, 2004], "validation_years": [2005, 2006]}
    experiment = {"name": "baseline", "years": 4, "edc7": False, **years}
    path = write_campaign(folder, campaign={"members": 5}, data=data, experiment=experiment, tiles={"cells": CHUNK})
    return open_or_plan(path, folder / "baseline", [])


def make_parameters(cells: list[GridCell], noise: float, seed: int = 2) -> np.ndarray:
    """Return parameters (cells, 5, 30): leaves live longer where needleleaf forest is, wood shorter where it is wet.

    Args:
        cells: whose statics and rain drive them.
        noise: relative scatter of the members.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    values = np.array([np.sqrt(p.lower * p.upper) for p in PARAMETERS]) * np.ones((len(cells), 5, 1))
    enf = np.array([cell.statics["pft_enf"] for cell in cells])
    rain = np.array([cell.forcing["pr"].mean() for cell in cells])
    values[..., ROWS.index("leaf_lifespan")] = (1.5 + 4.0 * (enf > 0.5))[:, None]
    values[..., ROWS.index("turnover_wood")] = (1e-4 * rain / rain.mean())[:, None]
    return values * (1 + noise * rng.standard_normal(values.shape))


def commit_members(campaign: Campaign, parameters: np.ndarray, diverged: float = 0.0) -> None:
    """Commit all tiles of a campaign with these parameters, some lanes diverged, and merge."""
    rng = np.random.default_rng(7)
    attributes = {"configuration_hash": campaign.configuration.fingerprint(), "version": campaign.version}
    for tile, positions in enumerate(campaign.tiles):
        planned = campaign.tile_cells(tile)
        arrays = tile_arrays([cell.name for cell in planned], streams=len(GRID.streams))
        arrays["latitude"] = np.array([cell.latitude for cell in planned])
        arrays["longitude"] = np.array([cell.longitude for cell in planned])
        lost = rng.random(arrays["status"].shape) < diverged
        arrays["status"] = np.where(lost, STATUS["diverged"], STATUS["calibrated"]).astype(np.int8)
        arrays["parameters"] = np.where(lost[..., None], np.nan, parameters[np.array(positions)])
        for name in ("loss", "raw"):
            filled = np.nan_to_num(arrays[name])
            arrays[name] = np.where(lost.reshape(lost.shape + (1,) * (filled.ndim - 2)), np.nan, filled)
        write_tile(campaign.paths, tile, claim_next(campaign.paths, tile), calibration_schema(GRID), arrays, attributes)
    campaign.kind.merge(campaign)
