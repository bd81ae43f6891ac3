"""What stands at a wall in finished campaigns, before and after: bounds, ceilings, gaps to the best lane, efficiencies.

    python -m benchmarks.walls CAMPAIGN ...

Reads merged.nc alone and counts by the same definitions whatever version wrote it, so that campaigns of several
versions stand in one table: all lanes that came to an end count, and a lane is in a poor basin where its loss is more
than 0.1 above the least of its cell's. Days at ceilings are known of campaigns that counted them. Efficiencies are
those of lanes in no poor basin: medians over members, then over cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import netCDF4
import numpy as np

from phloem.io.merge.at_bounds import at_bound
from phloem.jobs.single_cell import calibration_named
from phloem.names import POOR_BASIN_GAP, STATUS

ENDED = [STATUS[name] for name in ("calibrated", "calibrated_after_redraw", "poor_basin", "dead_stand", "budget")]


def look(path: Path) -> dict[str, str]:
    """Return the figures of one campaign, as text."""
    with netCDF4.Dataset(path / "merged.nc") as file:
        file.set_auto_mask(False)
        experiment, leading = str(file.getncattr("experiment")), file["status"].ndim - 1
        keys = ("status", "loss", "parameters", "initial_pools", "nnse", "nnse_validation", "ceiling_days", "borrowed")
        arrays = {name: file[name][:] for name in keys if name in file.variables}
    rows = {name: values.reshape(-1, *values.shape[leading:]) for name, values in arrays.items()}
    tables = calibration_named(experiment).tables
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
    if "ceiling_days" in rows:
        days = rows["ceiling_days"][ended]
        found["lanes with days at a ceiling, %"] = f"{100 * np.mean((days > 0).any(1)):.1f}"
        found["days there, median of such lanes"] = (
            f"{np.median(days.max(1)[(days > 0).any(1)]):.0f}" if days.any() else "-"
        )
        found["borrowed lanes"] = f"{int((rows['borrowed'] > 0).sum())}"
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
