"""Scores a tower campaign beside the published calibrated outputs, same windows, and prints Markdown tables.

    python -m benchmarks.towers campaigns/fluxnet

The published outputs are read from PHLOEM_DATA (oracle/daily_*_default_*.nc); each tower's one published run is scored
against the same observations on the same days as our members.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.io.drivers.tower_files import read_tower
from phloem.jobs.config.paths import data_root
from phloem.names import STREAMS

OURS = {"gpp": "gpp", "et": "ET", "lai": "lai"}


def published(root: Path, site: str, observations: dict[str, np.ndarray], window: slice) -> np.ndarray:
    """Return the NNSE of the published run by stream, (4,)."""
    (path,) = (root / "oracle").glob(f"daily_{site}_default_*.nc")
    with xr.open_dataset(path, decode_times=False) as file:
        simulated = {name: file[theirs].values.astype(float) for name, theirs in OURS.items()}
        simulated["reco"] = file["nee"].values.astype(float) + simulated["gpp"]
    scores = []
    for name in STREAMS:
        seen = observations[name][window]
        known = np.isfinite(seen)
        error = ((simulated[name][window] - seen)[known] ** 2).sum()
        spread = ((seen[known] - seen[known].mean()) ** 2).sum()
        scores.append(spread / (spread + error))
    return np.array(scores)


def numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def rows(directory: Path, root: Path) -> list[dict[str, object]]:
    """Score every tower of a campaign."""
    scores = []
    with xr.open_dataset(directory / "merged.nc") as merged:
        for site in map(str, merged["cell"].values):
            cell = read_tower(root / "fluxnet_daily" / f"{site}.nc", quality="keep")
            windows = {"nnse": slice(0, cell.training_days), "nnse_validation": slice(cell.training_days, None)}
            site_members = merged.sel(cell=site)
            best = int(np.nanargmin(site_members["loss"].values))
            for variable, window in windows.items():
                ours = site_members[variable].values
                theirs = published(root, site, cell.observations, window)
                scores.append(
                    {
                        "site": site,
                        "window": "training" if variable == "nnse" else "validation",
                        "published": theirs,
                        "median": np.nanmedian(ours, axis=0),
                        "best": ours[best],
                        "highest": np.nanmax(ours.sum(1)),
                        "loss": site_members["loss"].values,
                    }
                )
    return scores


def table(scores: list[dict[str, object]], window: str) -> str:
    """Return one window's Markdown table; the sums decide."""
    lines = [
        "| tower | published: gpp reco et lai | sum | median member | best member (least loss) | sum | difference |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in scores:
        if row["window"] != window:
            continue
        theirs, median, best = (np.asarray(row[name]) for name in ("published", "median", "best"))
        gain = best.sum() - theirs.sum()
        lines.append(
            f"| {row['site']} | {numbers(theirs)} | {theirs.sum():.3f} | {numbers(median)} | {numbers(best)} "
            f"| {best.sum():.3f} | {gain:+.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("directory", type=Path, help="directory of a merged campaign of the 11 towers")
    options = parser.parse_args()
    root = data_root()
    if root is None:
        parser.error("PHLOEM_DATA is not set: the published outputs are read from there")
    scores = rows(options.directory, root)
    for window in ("training", "validation"):
        print(f"\n**{window} window**\n\n{table(scores, window)}")
    print("\nEnd losses of the members:")
    for row in scores:
        if row["window"] == "training":
            print(f"- {row['site']}: {' '.join(f'{v:.2f}' for v in np.asarray(row['loss']))}")


if __name__ == "__main__":
    main()
