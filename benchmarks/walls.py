"""What stands at a wall in finished campaigns, before and after: bounds, ceilings, gaps to the best lane, efficiencies.

    python -m benchmarks.walls CAMPAIGN ...

Reads merged.nc and counts by the same definitions whatever version wrote it, so that campaigns of several versions
stand in one table: all lanes that came to an end count, and a lane is in a poor basin where its loss is more than 0.1
above the least of its cell's. Days at ceilings are counted here, by a run of every lane, where the campaign has not.
Efficiencies are those of lanes in no poor basin: medians over members, then over cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax.numpy as jnp
import netCDF4
import numpy as np

from phloem.io.merge.at_bounds import at_bound
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.single_cell import calibration_named
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.days_at_bounds import days_at_bounds
from phloem.names import POOR_BASIN_GAP, STATUS

ENDED = [STATUS[name] for name in ("calibrated", "calibrated_after_redraw", "poor_basin", "dead_stand", "budget")]

CELLS = 12
"""Cells that are run side by side."""


def count_ceilings(path: Path, parameters: np.ndarray, pools: np.ndarray) -> np.ndarray:
    """Run all lanes of a campaign and count the days at whose end each pool stood at its ceiling.

    Args:
        path: of the campaign.
        parameters: (cells, members, parameters).
        pools: initial, (cells, members, pools).

    Returns:
        (cells, members, pools).
    """
    campaign = open_campaign(path)
    experiment = campaign.configuration.calibration
    objective, members = experiment.objective(), parameters.shape[1]
    days = np.zeros(pools.shape, int)
    for first in range(0, len(campaign.cells), CELLS):
        part = range(first, min(first + CELLS, len(campaign.cells)))
        sites = [experiment.site(campaign.read_unit(campaign.cells[place])) for place in part]
        data = site_data(sites, np.dtype(experiment.precision))
        lanes = np.repeat(np.arange(len(part)), members)
        columns = [values[part.start : part.stop].reshape(len(lanes), -1).T for values in (parameters, pools)]
        inputs = objective.model.inputs_of_values(jnp.asarray(columns[0], experiment.precision))
        found = days_at_bounds(
            objective.model, inputs, jnp.asarray(columns[1], experiment.precision), data.tables, jnp.asarray(lanes),
            backend=experiment.time_loop,
        )  # fmt: skip
        days[part.start : part.stop] = np.asarray(found.ceiling).T.reshape(len(part), members, -1)
    return days


def look(path: Path) -> dict[str, str]:
    """Return the figures of one campaign, as text."""
    with netCDF4.Dataset(path / "merged.nc") as file:
        file.set_auto_mask(False)
        experiment, leading = str(file.getncattr("experiment")), file["status"].ndim - 1
        keys = ("status", "loss", "parameters", "initial_pools", "nnse", "nnse_validation", "ceiling_days", "borrowed")
        arrays = {name: file[name][:] for name in keys if name in file.variables}
    rows = {name: values.reshape(-1, *values.shape[leading:]) for name, values in arrays.items()}
    tables = calibration_named(experiment).tables
    if "ceiling_days" not in rows:
        rows["ceiling_days"] = count_ceilings(path, rows["parameters"], rows["initial_pools"])
    ended = np.isin(rows["status"], ENDED) & np.isfinite(rows["loss"])
    cells = ended.any(1)
    rows, ended = {name: values[cells] for name, values in rows.items()}, ended[cells]
    loss = np.where(ended, rows["loss"], np.inf)
    gap = (loss - loss.min(1, keepdims=True))[ended]
    read = [place for place, one in enumerate(tables.parameters) if one.read]
    parameters = at_bound(rows["parameters"], tables.parameters)[ended][:, read]
    pools = at_bound(rows["initial_pools"], tables.pools)[ended]
    soil = tables.pool_names.index("som") if "som" in tables.pool_names else 0
    kept = ended & (loss <= loss.min(1, keepdims=True) + POOR_BASIN_GAP)
    found = {
        "lanes": f"{ended.sum()}",
        f"above the best by more than {POOR_BASIN_GAP:g}, %": f"{100 * np.mean(gap > POOR_BASIN_GAP):.1f}",
        "by more than 0.5, %": f"{100 * np.mean(gap > 0.5):.1f}",
        "parameters at a bound, %": f"{100 * np.mean(parameters != 0):.1f}",
        "initial pools at a bound, %": f"{100 * np.mean(pools != 0):.1f}",
        f"initial {tables.pool_names[soil]} at its upper bound, %": f"{100 * np.mean(pools[:, soil] == 1):.1f}",
    }
    days = rows["ceiling_days"][ended]
    most = days.max(1)[(days > 0).any(1)]
    found["lanes with days at a ceiling, %"] = f"{100 * len(most) / len(days):.1f}"
    found["with more than 30 such days, %"] = f"{100 * np.sum(most > 30) / len(days):.1f}"
    found["days there, median and most of such lanes"] = f"{np.median(most):.0f}, {most.max()}" if len(most) else "-"
    found["borrowed lanes"] = f"{int((rows['borrowed'] > 0).sum())}" if "borrowed" in rows else "-"
    for window, name in (("calibration", "nnse"), ("validation", "nnse_validation")):
        values = np.where(kept[..., None], rows[name], np.nan)
        for place, stream in enumerate(tables.streams):
            known = np.isfinite(values[..., place])
            if known.any():
                some = values[..., place][known.any(1)]
                found[f"NNSE of {stream}, {window}"] = f"{np.median(np.nanmedian(some, axis=1)):.4f}"
    return found


def main() -> None:
    """Print a table, one column a campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaigns", nargs="+", type=Path)
    campaigns = parser.parse_args().campaigns
    columns = [look(path) for path in campaigns]
    print("| | " + " | ".join(path.name for path in campaigns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for key in dict.fromkeys(key for column in columns for key in column):
        print(f"| {key} | " + " | ".join(column.get(key, "-") for column in columns) + " |")


if __name__ == "__main__":
    main()
