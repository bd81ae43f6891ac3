"""Small contents of reports: cells on a grid or at places, facts, and what attribution and benchmarks leave behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from phloem.analysis.experiments.forward_product import ForwardRuns
from phloem.analysis.report.page import Contents
from phloem.analysis.report.sections import CampaignFacts
from phloem.analysis.report_data.cell_sets import CellSet
from phloem.analysis.style.plot_style import to_png
from phloem.io.merge.read_slices import Lattice
from phloem.model_tables import ModelTables
from phloem.names import STREAMS
from tests.support.kernels.dalec_names import PARAMETERS, TOWERS

MEMBERS = 5


def facts(**changes: Any) -> CampaignFacts:
    """Facts of a campaign."""
    values: dict[str, Any] = {
        "name": "Towers <of> May",
        "version": "9.8.7",
        "configuration_hash": "c0ffee",
        "seed": 31,
        "members": MEMBERS,
        "optimiser": "fast, 4 starts",
        "wall_seconds": 754.0,
        "events": {"tile_attempts": 12},
        "configuration_text": '[campaign]\nname = "Towers <of> May"\n',
    }
    return CampaignFacts(**{**values, **changes})


def tower_cells(merged: xr.Dataset, tables: ModelTables = TOWERS) -> CellSet:
    """The cells of a product of towers, at made-up places."""
    names = [str(name) for name in merged["cell"].values]
    slots = [str(name) for name in merged["parameter"].values]
    number = np.arange(len(names), dtype=float)
    return CellSet(
        tables=tables,
        title="site",
        names=names,
        latitude=50.0 + 2 * number,
        longitude=-100.0 + 60 * number,
        lattice=None,
        status=merged["status"].values.astype(int),
        redraws=merged["redraws"].values.astype(int),
        loss=merged["loss"].values,
        scores={
            s: (merged["nnse"].values[..., n], merged["nnse_validation"].values[..., n]) for n, s in enumerate(STREAMS)
        },
        parameter=lambda name: merged["parameters"].values[..., slots.index(name)],
    )


def grid_cells(
    rows: int, columns: int, title: str = "baseline", seed: int = 0, every: int = 1, step: float = 0.5
) -> CellSet:
    """Cells of a grid, one place in so many; parameters vary smoothly over it and by member."""
    rng = np.random.default_rng(seed)
    place = np.arange(0, rows * columns, every)
    row, column = np.divmod(place, columns)
    south, west = (50.25, 20.25) if rows < 100 else (-59.75, -179.75)
    lattice = Lattice(south, west, (step, step), rows, columns, row, column)
    latitude, longitude = south + step * row, west + step * column
    shape = (place.size, MEMBERS)
    status = np.zeros(shape, int)
    status[1::17, 3] = 1
    status[2::19, 0] = 2
    status[3::23, 1:] = 2
    wave = 0.5 + 0.4 * np.sin(0.3 * row + seed) * np.cos(0.2 * column)

    def parameter(name: str) -> np.ndarray:
        one = TOWERS.parameter(name)
        low, high = one.lower, one.upper
        own = np.random.default_rng([seed, PARAMETERS.index(name)])
        width = 0.02 if PARAMETERS.index(name) % 2 else 0.3
        u = np.clip(wave[:, None] + own.normal(0, width, shape), 0.01, 0.99)
        return np.asarray(low * (high / low) ** u)

    return CellSet(
        tables=TOWERS,
        title=title,
        names=[f"N{a:05.2f}E{b:06.2f}" for a, b in zip(latitude, longitude, strict=True)],
        latitude=latitude,
        longitude=longitude,
        lattice=lattice,
        status=status,
        redraws=np.where(status == 2, 5, 0),
        loss=rng.uniform(-4, -2, shape),
        scores={stream: (rng.uniform(0.3, 1, shape), rng.uniform(0.3, 1, shape)) for stream in STREAMS},
        parameter=parameter,
    )


class MadeUpRuns(ForwardRuns):
    """Forward runs that no file holds."""

    def trajectories(self, experiment: str, rows: np.ndarray, ages: np.ndarray) -> np.ndarray:
        which = self.experiments.index(experiment)
        values = self.median[which][rows][:, None, ages - 1] / 50.0
        return values * np.linspace(0.9, 1.1, self.members)[:, None]


def forward_runs(cells: CellSet, experiments: tuple[str, ...], years: int = 100) -> ForwardRuns:
    """Runs that grow towards a level that the experiment decides."""
    age = np.arange(1, years + 1)
    shape = 1 - np.exp(-age / 40)
    level = 9000 + 40 * cells.latitude[:, None]
    return MadeUpRuns(
        path=Path("nowhere"),
        experiments=experiments,
        cells=tuple(cells.names),
        members=MEMBERS,
        coordinates=np.stack([cells.latitude, cells.longitude], 1),
        median=np.stack([(0.6 + 0.2 * n) * level * shape for n in range(len(experiments))]).astype(np.float32),
        target=(level * shape).astype(np.float32),
    )


def attribution() -> dict[str, Any]:
    """What `phloem attribute` writes: one target with everything, one without blocks, one refused."""
    rng = np.random.default_rng(5)
    predictors = [
        ("mat", "climate", "degC", "annual mean temperature"),
        ("vpd", "climate", "kPa", "mean VPD"),
        ("ph", "soil", "1", "pH"),
        ("enf", "vegetation", "1", "needle-leaved evergreens"),
        ("flat", "soil", "1", "constant"),
    ]
    x = np.linspace(-10, 15, 200)
    trend = np.tanh((x - 2) / 3) * 0.1
    none = [None] * 200

    def dependence(name: str, units: str, known: bool) -> dict[str, Any]:
        px = rng.uniform(-10, 15, 300)
        return {
            "predictor": name, "units": units, "x": x.tolist(), "trend": trend.tolist(),
            "low": (trend - 0.02).tolist(), "high": (trend + 0.02).tolist(),
            "boot_low": (trend - 0.03).tolist() if known else none,
            "boot_high": (trend + 0.03).tolist() if known else none,
            "breakpoint": {"x": 2.1, "low": 1.2, "high": 3.4} if known else None,
            "points_x": px.tolist(),
            "points_phi": (np.tanh((px - 2) / 3) * 0.1 + rng.normal(0, 0.03, px.size)).tolist(),
        }  # fmt: skip

    def target(name: str, units: str, long_name: str) -> dict[str, Any]:
        shares = {"mat": 41.5, "enf": 30.0, "vpd": 20.5, "ph": 8.0}
        groups = {one: group for one, group, _, _ in predictors}
        return {
            "name": name, "units": units, "long_name": long_name, "refused": None, "cells_used": 198,
            "cells_unconverged": 30, "cells_without_predictors": 2, "cells_without_result": 10, "estimator": "exact",
            "random": {"r2": 0.71, "rmse": 0.012, "r2_mean": 0.7, "r2_sd": 0.04, "rmse_mean": 0.012, "rmse_sd": 0.001},
            "blocked": {"r2": 0.42, "rmse": 0.02, "r2_mean": 0.4, "r2_sd": 0.1, "rmse_mean": 0.02, "rmse_sd": 0.002},
            "r2_members": {"random": [0.61, 0.74]}, "noise_floor": 9.1,
            "importance": [
                {"predictor": one, "group": groups[one], "share": share, "low": share - 3, "high": share + 4,
                 "signal": share > 9.1, "signal_share": share / 0.92 if share > 9.1 else 0.0,
                 "direction": "+" if one != "ph" else "mixed"}
                for one, share in shares.items()
            ],
            "groups": [{"group": group, "share": share, "low": share - 3, "high": share + 4, "signal_share": of_signal,
                        "signal_low": of_signal - 3, "signal_high": of_signal + 4}
                       for group, share, of_signal in (
                           ("climate", 62.0, 67.4), ("vegetation", 30.0, 32.6), ("soil", 8.0, 0.0))],
            "dependence": [dependence("mat", "degC", True), dependence("enf", "1", False)],
            "partition": {"score": "r2 of held-out cells", "total": 0.7, "subsets": [], "groups": [
                {"group": group, "independent": value, "joint": 0.1, "alone": value + 0.1, "share": value / 0.7}
                for group, value in (("climate", 0.45), ("soil", -0.02), ("vegetation", 0.27))]},
        }  # fmt: skip

    wood = target("turnover_wood", "yr-1", "wood turnover")
    leaf = {
        **target("leaf_lifespan", "yr", "leaf lifespan"),
        "blocked": None,
        "blocked_refused": "one block",
        "partition": None,
    }
    root = {"name": "npp_root", "units": "1", "long_name": "share of NPP to fine roots",
            "refused": "all 240 cells masked: no member agreement (rCV > 0.3)"}  # fmt: skip
    screens = [("decomposition_rate", 0.8), ("f_auto", 0.05), ("turnover_wood", 3.0), ("lcma", None)]
    return {
        "version": "9.8.7", "settings": {"n_estimators": 500, "folds": 5}, "cells": 240, "members": 5, "seconds": 12.0,
        "predictors": [{"name": a, "group": b, "units": c, "long_name": d, "finding": "constant" if a == "flat" else ""}
                       for a, b, c, d in predictors],
        "targets": [wood, leaf, root],
        "identifiability": {
            kind: {"limit": limit, "rows": [{"parameter": a, "median_cv": b, key: 0.5} for a, b in screens]}
            for kind, limit, key in (("std", 0.6, "kept"), ("mad", 0.3, "share_kept"))
        },
        "pca": {"variables": ["lcma", "f_wood", "ce"], "explained": [0.53, 0.3, 0.17], "cells": 200, "refused": None,
                "loadings": [[0.8, -0.1, 0.2], [0.1, 0.9, 0.1], [-0.3, 0.1, 0.9]]},
    }  # fmt: skip


def benchmark(folder: Path, cells: CellSet) -> dict[str, Any]:
    """What `phloem benchmark` writes: a map of biomass with its points, and a comparison that was refused."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True)
    difference = np.round(np.linspace(-30, 40, len(cells.names)), 3)
    columns = ["cell", "latitude", "longitude", "reference", "simulated", "low", "high", "difference"]
    with (folder / "biomass.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for name, a, b, d in zip(cells.names, cells.latitude, cells.longitude, difference, strict=True):
            writer.writerow([name, a, b, 100, 100 + d, 90, 130, d])
    with netCDF4.Dataset(folder / "differences.nc", "w") as file:
        file.createDimension("cell", len(cells.names))
        file.createVariable("cell", str, ("cell",))[:] = np.array(cells.names, object)
        file.createVariable("biomass_difference", "f4", ("cell",), fill_value=np.nan)[:] = difference
    for kind in ("scatter", "map"):
        figure = Figure(figsize=(2, 2))
        figure.subplots().plot([0, 1], [0, 1])
        (folder / f"{kind}_biomass.png").write_bytes(to_png(figure))
    scores = {"pairs": 240, "bias": 5.0, "pbias": 4.2, "rmse": 21.3, "mae": 17.0, "r": 0.8, "r2_pearson": 0.64,
              "nse": 0.5, "nnse": 0.667, "slope_obs_on_pred": 0.9, "slope_pred_on_obs": 0.7}  # fmt: skip
    found = {
        "version": "9.8.7",
        "comparisons": [
            {"slug": "biomass", "name": "CCI biomass", "quantity": "agb", "units": "Mg ha-1",
             "long_name": "above-ground biomass", "kind": "map", "source": "cci.nc", "regrid": "mean", "refused": None,
             "cells": 240, "pairs": 240, "scores": scores,
             "weighted": {"pbias": 4.0, "rmse": 20.0}, "members": {"rmse": [20.0, 25.5]}, "within_members": 0.31,
             "strata": [{"by": "pft", "name": "ENF", "pairs": 100, "pbias": 1.0, "rmse": 10.0, "nse": 0.4,
                         "r2_pearson": 0.5}],
             "points": {"file": "biomass.csv"}},
            {"slug": "cardamom", "name": "CARDAMOM", "quantity": "npp_wood", "units": "1", "long_name": "NPP to wood",
             "kind": "map", "source": "c.nc", "regrid": "mean", "refused": "no cell in common", "cells": 0, "pairs": 0},
        ],
    }  # fmt: skip
    (folder / "benchmark.json").write_text(json.dumps(found))
    return found


def grid_contents(rows: int = 20, columns: int = 30, **changes: Any) -> Contents:
    """A campaign on a grid."""
    cells = grid_cells(rows, columns, every=2 if rows < 100 else 1)
    values: dict[str, Any] = {
        "title": "boreal grid",
        "facts": [facts(name="boreal grid", experiment="baseline")],
        "sets": [cells],
    }
    return Contents(**{**values, **changes})
