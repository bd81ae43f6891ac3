"""`experiments`: baseline, single-year and growth-curve over one driver store, and what comes of comparing them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.experiments.page import write_page
from phloem.analysis.experiments.truth_recovery import recovery, truth_figure
from phloem.analysis.style.plot_style import to_png
from phloem.errors import InputError, WorkError
from phloem.hpc.mpi_engine import inside_world
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import StorePaths, open_store
from phloem.io.files.atomic import write_atomically
from phloem.io.files.journals import read_events
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.calibration.merged_members import store_folder
from phloem.jobs.calibration.store_cells import plan_columns
from phloem.jobs.campaign.campaign import Campaign, is_campaign, open_campaign
from phloem.jobs.campaign.campaign_set import together
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.config.campaign_file import Configuration, load_configuration
from phloem.jobs.config.experiments import SIDE_BY_SIDE
from phloem.jobs.config.paths import data_root, expand_path
from phloem.jobs.experiments import run_forward as forward
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.run.engines import run
from phloem.jobs.run.outcome import ToldElsewhere
from phloem.model_tables import ModelTables
from phloem.names import STATUS

PAGE = "index.html"

MAPPED = ("turnover_wood", "npp_wood", "leaf_lifespan")
"""Derived quantities whose maps are held against the truth."""


def run_experiments(
    target: Path,
    out: Path,
    assignments: Sequence[str],
    engine: str | None = None,
    workers: int = 0,
    real_places: bool = True,
) -> dict[str, Any]:
    """Run the three experiments, one after the other, then forward; what is there already is not computed again.

    Args:
        target: a campaign file over a driver store; the name of its experiment is overridden.
        out: directory of the three campaigns, of the store of a synthetic domain, and of what is compared.
        assignments: `key.path=value` texts.
        engine: name of an engine instead of the file's.
        workers: processes; 0: as the configuration says.
        real_places: a synthetic domain lies on real land where PHLOEM_DATA has it; else on made-up land always.

    Returns:
        What experiments.json holds.

    Raises:
        InputError: bad file, key, value or input.
        WorkError: some tiles have no result.
    """
    keys = [*assignments, *([f'engine.name="{engine}"'] if engine else [])]
    first = load_configuration(target, [*keys, 'experiment.name="baseline"'])
    if not first.data.is_store:
        raise InputError(f'{target}: data.kind = "{first.data.kind}"; the three experiments run over a driver store')
    checks = [load_configuration(target, [*keys, f'experiment.name="{name}"']) for name in SIDE_BY_SIDE]
    if first.data.kind == "grid":
        path = expand_path(str(first.data.path), target.resolve().parent)
        if not path.is_file():
            opened = open_store(path)
            for one in checks:  # all of them before the first is computed
                plan_columns(opened, one.data.sites, one.calibration)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from error
    if first.data.kind == "synthetic":
        store = _synthetic_store(checks[0], out / "store", data_root() if real_places else None)
        keys += ['data.kind="grid"', f"data.path={json.dumps(str(store.resolve()))}"]
    if not inside_world():  # there, one process plans for all
        _plan_all(target, out, keys)
    for name in SIDE_BY_SIDE:
        say(f"experiment {name}")
        outcome = run(target, out / name, [*keys, f'experiment.name="{name}"'], workers)
        if isinstance(outcome, ToldElsewhere) and outcome.status:
            failure = InputError if outcome.status == 2 else WorkError
            raise failure(f"experiment {name} ended with status {outcome.status}: its ranks have said why")
    campaigns = [open_campaign(out / name) for name in SIDE_BY_SIDE]
    together(out, campaigns).require_products()
    years = forward_years(campaigns[-1])
    others = [out / name for name in SIDE_BY_SIDE[:2]]
    found = forward.run_forward(out / "growth-curve", others, out / "forward.nc", years)
    return _deliver(campaigns, found, out)


def _plan_all(target: Path, out: Path, keys: Sequence[str]) -> None:
    """Plan the experiments that are not, all of them before the first is computed.

    Raises:
        InputError: what is wrong with any of them; none is planned then that was not before.
    """
    made: list[Path] = []
    try:
        for name in SIDE_BY_SIDE:
            known = is_campaign(out / name)
            open_or_plan(target, out / name, [*keys, f'experiment.name="{name}"'])
            made += [] if known else [out / name]
    except InputError:
        for root in made:
            shutil.rmtree(root, ignore_errors=True)
        raise


def forward_years(growth: Campaign) -> int:
    """Years that are run forward: no more than the growth-curve run and the store's growth curves have."""
    cell = growth.read_unit(growth.cells[0])
    assert isinstance(cell, GridCell)
    return min(forward.YEARS, growth.configuration.calibration.protocol.simulated, len(cell.trajectory))


def _synthetic_store(configuration: Configuration, root: Path, data: Path | None) -> Path:
    """Make the store of a synthetic domain, or take the one that is there.

    Raises:
        InputError: the one there is another domain's.
    """
    from phloem.jobs.synthetic.boreal_domain import make_store

    cells, seed = configuration.data.cells, configuration.campaign.seed
    if StorePaths(root).index.exists():
        facts = open_store(root).facts
        if (facts.get("cells"), facts.get("seed")) != (cells, seed):
            raise InputError(
                f"{root}: a domain of {facts.get('cells')} cells and seed {facts.get('seed')}, not of {cells} and "
                f"{seed}; name another --out"
            )
        return root
    with ProgressBar("making drivers", cells) as bar:
        make_store(root, cells, seed, data, bar.update)
    return root


def _deliver(campaigns: Sequence[Campaign], found: dict[str, Any], out: Path) -> dict[str, Any]:
    """Compare, write experiments.json, the figures and the page."""
    cells = campaigns[-1].cells.names
    tables = campaigns[-1].configuration.calibration.tables
    wanted = ("parameters", "nnse", "nnse_validation", "status", "gradient_equivalents")
    merged: dict[str, dict[str, np.ndarray]] = {
        one.configuration.experiment.name: read_merged(one.paths.merged, wanted, cells) for one in campaigns
    }
    summary = {
        "directory": str(out),
        "cells": len(cells),
        "members": campaigns[-1].configuration.campaign.members,
        "biomass_unit": found["unit"],
        "year": found["year"],
        "left_out": found["left_out"],
        "biomass": found["biomass"],
        "changes_from": found["changes_from"],
        "changes": found["changes"],
        "changes_screened": found["changes_screened"],
        "nnse": {name: _efficiencies(rows, tables) for name, rows in merged.items()},
        "campaigns": {one.configuration.experiment.name: _cost(one, merged) for one in campaigns},
    }
    truth = read_truth(campaigns[-1], cells)
    if truth is not None:
        estimates = {
            name: tables.derived.compute(np.where(_good(rows)[..., None], rows["parameters"], np.nan))
            for name, rows in merged.items()
        }
        known = tables.derived.compute(truth)
        summary["truth"] = recovery(estimates, known)
        planned = {cell.name: (cell.latitude, cell.longitude) for cell in campaigns[-1].cells}
        places = np.array([planned[name] for name in cells])
        shown = [next(one for one in tables.derived.quantities if one.name == name) for name in MAPPED]
        png = to_png(truth_figure(places, estimates, known, shown))
        write_atomically(out / "truth.png", png)
    write_atomically(out / "experiments.json", (json.dumps(summary, indent=1) + "\n").encode())
    figures = [path for path in (out / "forward.png", out / "truth.png") if path.exists()]
    summary["page"] = str(write_page(out / PAGE, campaigns[-1].configuration.campaign.name, summary, tables, figures))
    return summary


def _good(rows: dict[str, np.ndarray]) -> np.ndarray:
    return good_lanes(rows["status"])


def _efficiencies(rows: dict[str, np.ndarray], tables: ModelTables) -> dict[str, dict[str, float | None]]:
    """Return the median over the cells of the members' median efficiency, by window and stream."""
    result: dict[str, dict[str, float | None]] = {}
    for window in ("nnse", "nnse_validation"):
        values = np.where(_good(rows)[..., None], rows[window], np.nan)
        middle = forward.nanmedian(forward.nanmedian(values, 1), 0)
        result[window] = {
            name: None if np.isnan(value) else round(float(value), 4)
            for name, value in zip(tables.streams, middle, strict=True)
        }
    return result


def _cost(campaign: Campaign, merged: Mapping[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return what a campaign has cost."""
    rows = merged[campaign.configuration.experiment.name]
    seconds = sum(e["seconds"] for e in read_events(campaign.paths.journals_dir) if e["event"] == "ran")
    equivalents = float(np.nansum(rows["gradient_equivalents"]))
    years = len(campaign.configuration.calibration.protocol.years)
    return {
        "lanes": int(rows["status"].size),
        "diverged": int((rows["status"] == STATUS["diverged"]).sum()),
        "wall_seconds": round(seconds, 1),
        "gradients_a_lane": round(equivalents / rows["status"].size, 1),
        "gradient_cell_years": round(equivalents * years),
        "gradient_cell_years_per_second": round(equivalents * years / seconds) if seconds else None,
    }


def read_truth(campaign: Campaign, cells: Sequence[str]) -> np.ndarray | None:
    """Return the true parameters of a synthetic domain, (cells, parameters), or None where nobody knows them."""
    folder = store_folder(campaign)
    path = StorePaths(folder).truth if folder is not None else None
    if path is None or not path.is_file():
        return None
    with path.open(newline="") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    names = campaign.configuration.calibration.tables.parameter_names
    return np.array([[float(rows[cell][name]) for name in names] for cell in cells])


def describe(found: dict[str, Any]) -> list[str]:
    """Return lines for people of what `run_experiments` returns."""
    table = {"file": f"{found['directory']}/forward.nc", "unit": found["biomass_unit"], **found}
    lines = forward.describe(table)
    lines.append("NNSE, median over cells and members, calibration / validation")
    for name, rows in found["nnse"].items():
        pairs = [
            f"{stream} {_two(rows['nnse'].get(stream))} / {_two(rows['nnse_validation'].get(stream))}"
            for stream in rows["nnse"]
        ]
        lines.append(f"{name:14}" + "   ".join(pairs))
    if "truth" in found:
        lines.append("truth: PBIAS %, correlation, share of cells whose truth lies within the members' range")
        for name, rows in found["truth"].items():
            texts = [f"{key} {r['pbias']:.1f}, {_two(r['r'])}, {r['within']:.2f}" for key, r in rows.items()]
            lines += [f"{name:14}{text}" for text in texts]
    lines.append(f"look at {found['page']}; maps, what drives them, and benchmarks: phloem report {found['directory']}")
    return lines


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
