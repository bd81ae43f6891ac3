"""The three experiments on real biomass: the one tower of fluxval_monthly near an unflagged growth curve.

PA-SPn (Panama) lies 15 km from the centre of a GROA cell with 27 stand ages. What is there is monthly, so this is an
example of the path, not of the protocol: daily forcing is interpolated between mid-months (rain is even within a
month), RECO is compared by month, GPP and ET of a month stand on each of its days, LAI on its middle day.

    python -m benchmarks.real_growth --out campaigns/panama
"""

from __future__ import annotations

import argparse
import calendar
import sys
from pathlib import Path

import numpy as np
import tomli_w
import xarray as xr

from phloem.analysis.curves.growth_curves import fit_growth_curve
from phloem.io.drivers.grid_cell import GridCell, calendar_days, cell_name
from phloem.io.drivers.store import StorePaths, chunk_columns, seal_store, write_chunk
from phloem.io.references.forest_stands import read_stands
from phloem.io.references.growth_curves import total_biomass
from phloem.jobs.config.paths import data_root
from phloem.jobs.experiments.three_experiments import describe, run_experiments

SITE, CELL = "PA-SPn", (9.25, -79.75)
YEARS = (2001, 2016)
AGES = 107
ROOT_SHOOT = 0.25
"""Assumed; no map of it is at hand."""

FORCING = {
    "tasmin": "T2M_MIN",
    "tasmax": "T2M_MAX",
    "rsds": "SSRD",
    "co2": "CO2",
    "vpd": "VPD",
}


def main() -> None:
    """Make the store, run the experiments, print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of the store and the campaigns")
    out = parser.parse_args().out
    root = data_root()
    if root is None:
        sys.exit("the data are read from PHLOEM_DATA (fluxval_monthly, growth); set it")
    out.mkdir(parents=True, exist_ok=True)
    cell, description = make_cell(root)
    paths = StorePaths(out / "store")
    write_chunk(paths.chunk(0), [cell])
    facts = {"first_year": YEARS[0], "last_year": YEARS[1], "calendar": "standard", "step": 0.5}
    seal_store(paths.root, facts, chunk_columns(0, [cell]))
    campaign = {
        "campaign": {"name": "panama", "members": 5},
        "data": {"kind": "grid", "path": str(paths.root.resolve())},
        "experiment": {
            "forcing_years": list(YEARS),
            "calibration_years": [2007, 2008],
            "validation_years": [2009, 2009],
            "edc4_sharpness": 1e4,
            "edc7": False,
        },
    }
    (out / "panama.toml").write_text(tomli_w.dumps(campaign))
    experiments = run_experiments(out / "panama.toml", out, [])
    print("\n".join([description, *describe(experiments)]))


def make_cell(root: Path) -> tuple[GridCell, str]:
    """Return the cell, and what was fitted to its stands."""
    stands = read_stands(root / "growth" / "groa_agb_age.csv")[CELL]
    fit = fit_growth_curve(stands)
    with xr.open_dataset(root / "fluxval_monthly" / "fluxval_monthly.nc") as file:
        site = file.sel(site=SITE).load()
    year, doy = calendar_days(*YEARS, "standard")
    lengths = np.array([calendar.monthrange(y, m)[1] for y in range(YEARS[0], YEARS[1] + 1) for m in range(1, 13)])
    month = np.repeat(np.arange(len(lengths)), lengths)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    middle = first + lengths // 2

    def monthly(name: str) -> np.ndarray:
        values = site[name].values.astype(float)
        return np.where(values < -9000, np.nan, values)

    forcing = {
        name: np.interp(np.arange(len(month)), middle, monthly(source)).astype(np.float32)
        for name, source in FORCING.items()
    }
    forcing["pr"] = monthly("TOTAL_PREC")[month].astype(np.float32)
    late = np.arange(len(lengths)) >= 12 * (2009 - YEARS[0])

    def flux(fitted: np.ndarray, withheld: np.ndarray) -> np.ndarray:
        return np.where(late, withheld, fitted)

    gpp = flux(monthly("GPP"), monthly("GPP_val"))
    reco = flux(monthly("NBE") + monthly("GPP"), monthly("NEE_val") + monthly("GPP_val"))
    et = flux(monthly("ET"), monthly("ET_val"))
    nothing = np.full(len(month), np.nan, np.float32)
    seen = {"gpp": gpp[month].astype(np.float32), "et": et[month].astype(np.float32)}
    seen |= {"reco": nothing.copy(), "lai": nothing.copy()}
    seen["reco"][first + lengths - 1] = reco
    seen["lai"][middle] = monthly("LAI")
    start = np.zeros(len(month), np.int8)
    start[first] = 1
    biomass = monthly("ABGB")
    curve = total_biomass(fit.agb(np.arange(1.0, AGES + 1)), ROOT_SHOOT)
    cell = GridCell(
        name=cell_name(*CELL), latitude=CELL[0], longitude=CELL[1], calendar="standard", year=year, doy=doy,
        forcing=forcing, observations=seen, window_start=start, evaporative_fraction=nothing,
        trajectory=curve.astype(np.float32),
        statics={"biomass_snapshot": float(biomass[np.isfinite(biomass)][0])},
    )  # fmt: skip
    return cell, "\n".join([cell.name, *fit.told()])


if __name__ == "__main__":
    main()
