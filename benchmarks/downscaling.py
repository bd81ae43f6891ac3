"""Measures what days made of monthly drivers cost: daily towers, their months, and the same parameters on both.

    python -m benchmarks.downscaling --campaign campaigns/towers

Drivers of the daily towers (PHLOEM_DATA/fluxnet_daily, without those whose VPD is vapour pressure) are averaged over
months and downscaled again. The model runs on the measured days and on the made ones with the published recovered
parameters and, with `--campaign`, with every calibrated member of a tower campaign; monthly GPP, RECO, ET and LAI are
compared. `flat` is each month's mean on all of its days: what a model with a monthly step sees of the weather.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import list_towers, read_tower
from phloem.io.merge.read_cells import read_merged
from phloem.io.monthly.downscaling import daily_forcing
from phloem.jobs.config.paths import data_root
from phloem.jobs.single_cell import simulate_cell
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.names import FORCING, STATUS, STREAMS

WRONG_VPD = ("AU-DaS", "AU-Dry", "AU-Stp")
"""Towers whose VPD is vapour pressure (PROVENANCE.md)."""

MANNERS: dict[str, tuple[str, str] | None] = {
    "flat": None,
    "smooth, even rain": ("even", "smooth"),
    "smooth, wet days": ("wet-days", "smooth"),
    "cloudy, even rain": ("even", "cloudy"),
    "cloudy, wet days": ("wet-days", "cloudy"),
}
"""How days are made: rain and light, as in `daily_forcing`."""

COLUMNS = {
    "decomposition_rate": "decomposition_rate",
    "f_auto": "f_auto",
    "f_foliar": "f_fol",
    "f_root": "f_root",
    "leaf_lifespan": "leaf_lifespan",
    "turnover_wood": "tor_wood",
    "turnover_root": "tor_root",
    "turnover_litter": "tor_litter",
    "turnover_som": "tor_som",
    "temperature_sensitivity": "Q10",
    "canopy_efficiency": "canopy_efficiency",
    "bud_burst_day": "Bday",
    "f_labile": "f_lab",
    "labile_release_period": "clab_release_period",
    "leaf_fall_day": "Fday",
    "leaf_fall_period": "leaf_fall_period",
    "lcma": "LCMA",
    "uwue": "uWUE",
    "paw_drainage_capacity": "PAW_Qmax",
    "field_capacity": "field_capacity",
    "wilting_point_fraction": "wilting_point_frac",
    "labile_lifespan": "lab_lifespan",
    "moisture_sensitivity": "moisture_factor",
    "paw_to_puw_fraction": "h2o_xfer",
    "puw_drainage_capacity": "PUW_Qmax",
    "radiation_et_coefficient": "boese_r",
}
"""The published table's columns; the fire parameters, which nothing reads, are not in it."""

INITIAL = ("Clab0", "Cfol0", "Croot0", "Cwood0", "Clit0", "Csom0", "PAW0", "PUW0")


def published(root: Path) -> dict[str, np.ndarray]:
    """Return parameters and initial pools of the published `default` run of each tower, (1, 38)."""
    with (root / "oracle" / "recovered_parameters.csv").open(newline="") as file:
        rows = {row["site"]: row for row in csv.DictReader(file) if row["config"] == "default"}
    by_site = {}
    for site, row in rows.items():
        values = [float(row[COLUMNS[p.name]]) if p.name in COLUMNS else 0.5 * (p.lower + p.upper) for p in PARAMETERS]
        by_site[site] = np.array([values + [float(row[name]) for name in INITIAL]])
        assert by_site[site].shape == (1, len(PARAMETERS) + len(POOLS))
    return by_site


def calibrated(campaign: Path) -> dict[str, np.ndarray]:
    """Return parameters and initial pools of every calibrated member of each tower, (members, 38)."""
    rows = read_merged(campaign / "merged.nc", ("parameters", "initial_pools", "status"))
    good = np.isin(rows["status"], (STATUS["calibrated"], STATUS["calibrated_after_redraw"]))
    values = np.concatenate([rows["parameters"], rows["initial_pools"]], axis=2)
    return {str(site): values[n][good[n]] for n, site in enumerate(rows["cell"])}


def whole_years(cell: Cell) -> tuple[Cell, np.ndarray, int]:
    """Return a tower cut to whole years, the days of each of its months, and the first year."""
    months = cell.dates.astype("datetime64[M]").astype(int)
    january = np.flatnonzero(cell.doy == 1)[0]
    stop = len(months)
    while (cell.dates[stop - 1] + 1).astype("datetime64[Y]").astype("datetime64[D]") != cell.dates[stop - 1] + 1:
        stop -= 1
    days = slice(int(january), stop)
    cut = replace(
        cell,
        time=cell.time[days],
        doy=cell.doy[days],
        forcing={name: values[days] for name, values in cell.forcing.items()},
        observations={name: values[days] for name, values in cell.observations.items()},
        evaporative_fraction=cell.evaporative_fraction[days],
        training_days=min(cell.training_days, stop - int(january)),
    )
    _, lengths = np.unique(months[days], return_counts=True)
    return cut, lengths, int(months[january] // 12 + 1970)


def made_of_months(cell: Cell, lengths: np.ndarray, first_year: int, manner: str) -> Cell:
    """Return a tower whose days are made of its months."""
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    months = {name: np.add.reduceat(cell.forcing[name], starts) / lengths for name in FORCING}
    chosen = MANNERS[manner]
    if chosen is None:
        forcing = {name: np.repeat(values, lengths) for name, values in months.items()}
    else:
        daily = daily_forcing(months, lengths, cell.name, cell.latitude, first_year, *chosen)
        forcing = {name: values.astype(float) for name, values in daily.items()}
    return replace(cell, forcing=forcing)


def monthly(cell: Cell, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return monthly means of the streams, (streams, members, months)."""
    outputs = simulate_cell(cell, values, DalecExperiment(precision="float64"))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.stack([np.add.reduceat(getattr(outputs, name), starts, axis=1) / lengths for name in STREAMS])


def compare(simulated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return bias and RMSE in per cent of the mean, and r, each over the months, (3, streams, members)."""
    mean = real.mean(-1)
    error = simulated - real
    moved = simulated - simulated.mean(-1, keepdims=True), real - real.mean(-1, keepdims=True)
    r = (moved[0] * moved[1]).sum(-1) / np.sqrt((moved[0] ** 2).sum(-1) * (moved[1] ** 2).sum(-1))
    return np.stack([100 * error.mean(-1) / mean, 100 * np.sqrt((error**2).mean(-1)) / mean, r])


def table(title: str, sites: dict[str, np.ndarray], root: Path) -> None:
    """Print bias, RMSE and r by tower and manner, and their means over the towers."""
    head = " | ".join(f"{name.upper()} bias, RMSE, r" for name in STREAMS)
    print(f"\n{title}\n\n| tower | days | {head} |\n| --- | --- |{' --- |' * len(STREAMS)}")
    by_manner: dict[str, list[np.ndarray]] = {manner: [] for manner in MANNERS}
    for site, path in list_towers(root / "fluxnet_daily").items():
        if site in WRONG_VPD or not len(sites.get(site, ())):
            continue
        cell, lengths, first_year = whole_years(read_tower(path))
        real = monthly(cell, sites[site], lengths)
        for manner in MANNERS:
            simulated = monthly(made_of_months(cell, lengths, first_year, manner), sites[site], lengths)
            scores = compare(simulated, real).mean(-1)
            by_manner[manner].append(scores)
            print(line(site, manner, scores))
    for manner in MANNERS:
        scores = np.array(by_manner[manner])
        print(line("mean", manner, scores.mean(0)))
        print(line("mean of amounts", manner, np.abs(scores).mean(0)))


def line(site: str, manner: str, scores: np.ndarray) -> str:
    """Return a row of the table."""
    cells = " | ".join(f"{b:+.1f}, {e:.1f}, {r:.3f}" for b, e, r in scores.T)
    return f"| {site} | {manner} | {cells} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", type=Path, help="directory of a merged tower campaign")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        raise SystemExit("PHLOEM_DATA is not set")
    table("Published parameters, bias and RMSE in per cent of the mean", published(root), root)
    if arguments.campaign:
        table(f"Calibrated members of {arguments.campaign.name}, means over them", calibrated(arguments.campaign), root)


if __name__ == "__main__":
    main()
