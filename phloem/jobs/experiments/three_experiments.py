"""`experiments`: baseline, single-year and growth-curve over one driver store, and what comes of comparing them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.experiments.page import write_page
from phloem.analysis.experiments.truth_recovery import recovery, truth_figure
from phloem.analysis.parameters.derived_quantities import derived
from phloem.analysis.style.plot_style import to_png
from phloem.errors import InputError, WorkError
from phloem.io.drivers.store import StorePaths, open_store
from phloem.io.files.atomic import write_atomically
from phloem.io.files.journals import read_events
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.store_cells import plan_columns
from phloem.jobs.config.campaign_file import Configuration, load_configuration
from phloem.jobs.config.experiment import GRID_EXPERIMENTS
from phloem.jobs.config.paths import data_root, expand_path
from phloem.jobs.experiments import run_forward as forward
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.run.engines import run
from phloem.jobs.run.outcome import ToldElsewhere
from phloem.names import ALL_STREAMS, PARAMETERS, STATUS

PAGE = "index.html"


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
    checks = [load_configuration(target, [*keys, f'experiment.name="{name}"']) for name in GRID_EXPERIMENTS]
    if first.data.kind == "grid":
        path = expand_path(str(first.data.path), target.resolve().parent)
        if not path.is_file():
            opened = open_store(path)
            for one in checks:  # all of them before the first is computed
                plan_columns(opened, one.data.sites, one.experiment)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from error
    if first.data.kind == "synthetic":
        store = _synthetic_store(checks[0], out / "store", data_root() if real_places else None)
        keys += ['data.kind="grid"', f"data.path={json.dumps(str(store.resolve()))}"]
    for name in GRID_EXPERIMENTS:
        say(f"experiment {name}")
        outcome = run(target, out / name, [*keys, f'experiment.name="{name}"'], workers)
        if isinstance(outcome, ToldElsewhere) and outcome.status:
            failure = InputError if outcome.status == 2 else WorkError
            raise failure(f"experiment {name} ended with status {outcome.status}: its ranks have said why")
    campaigns = [open_campaign(out / name) for name in GRID_EXPERIMENTS]
    if lacking := [str(one.paths.root) for one in campaigns if not one.paths.merged.exists()]:
        raise WorkError(f"{lacking[0]} is not merged: phloem run {lacking[0]}")
    years = min(forward.YEARS, checks[-1].experiment.years)
    others = [out / name for name in GRID_EXPERIMENTS[:2]]
    found = forward.run_forward(out / "growth-curve", others, out / "forward.nc", years)
    return _deliver(campaigns, found, out)


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
    cells = [cell.name for cell in campaigns[-1].cells]
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
        "nnse": {name: _efficiencies(rows) for name, rows in merged.items()},
        "campaigns": {one.configuration.experiment.name: _cost(one, merged) for one in campaigns},
    }
    truth = read_truth(campaigns[-1], cells)
    if truth is not None:
        estimates = {
            name: derived(np.where(_good(rows)[..., None], rows["parameters"], np.nan)) for name, rows in merged.items()
        }
        summary["truth"] = recovery(estimates, derived(truth))
        planned = {cell.name: (cell.latitude, cell.longitude) for cell in campaigns[-1].cells}
        places = np.array([planned[name] for name in cells])
        png = to_png(truth_figure(places, estimates, derived(truth)))
        write_atomically(out / "truth.png", png)
    write_atomically(out / "experiments.json", (json.dumps(summary, indent=1) + "\n").encode())
    figures = [path for path in (out / "forward.png", out / "truth.png") if path.exists()]
    summary["page"] = str(write_page(out / PAGE, campaigns[-1].configuration.campaign.name, summary, figures))
    return summary


def _good(rows: dict[str, np.ndarray]) -> np.ndarray:
    return np.isin(rows["status"], forward.GOOD)


def _efficiencies(rows: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """Return the median over the cells of the members' median efficiency, by window and stream."""
    result: dict[str, dict[str, float | None]] = {}
    for window in ("nnse", "nnse_validation"):
        values = np.where(_good(rows)[..., None], rows[window], np.nan)
        middle = forward.nanmedian(forward.nanmedian(values, 1), 0)
        result[window] = {
            name: None if np.isnan(value) else round(float(value), 4)
            for name, value in zip(ALL_STREAMS, middle, strict=False)
        }
    return result


def _cost(campaign: Campaign, merged: Mapping[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return what a campaign has cost."""
    rows = merged[campaign.configuration.experiment.name]
    seconds = sum(e["seconds"] for e in read_events(campaign.paths.journals_dir) if e["event"] == "ran")
    equivalents = float(np.nansum(rows["gradient_equivalents"]))
    years = len(campaign.configuration.experiment.protocol.years)
    return {
        "lanes": int(rows["status"].size),
        "diverged": int((rows["status"] == STATUS["diverged"]).sum()),
        "wall_seconds": round(seconds, 1),
        "gradients_a_lane": round(equivalents / rows["status"].size, 1),
        "gradient_cell_years": round(equivalents * years),
        "gradient_cell_years_per_second": round(equivalents * years / seconds) if seconds else None,
    }


def read_truth(campaign: Campaign, cells: Sequence[str]) -> np.ndarray | None:
    """Return the true parameters of a synthetic domain, (cells, 30), or None where nobody knows them."""
    path = StorePaths((campaign.paths.root / campaign.cells[0].source.rpartition("#")[0]).parents[2]).truth
    if not path.is_file():
        return None
    with path.open(newline="") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    return np.array([[float(rows[cell][name]) for name in PARAMETERS] for cell in cells])


def describe(found: dict[str, Any]) -> list[str]:
    """Return lines for people of what `run_experiments` returns."""
    table = {"file": f"{found['directory']}/forward.nc", "unit": found["biomass_unit"], **found}
    lines = forward.describe(table)
    lines.append("NNSE, median over cells and members, calibration / validation")
    for name, rows in found["nnse"].items():
        pairs = [
            f"{stream} {_two(rows['nnse'].get(stream))} / {_two(rows['nnse_validation'].get(stream))}"
            for stream in ALL_STREAMS
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
