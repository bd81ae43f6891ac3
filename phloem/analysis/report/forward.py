"""The forward runs and the three experiments in the report: trajectories, biomass after the last year, changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phloem.analysis.benchmark.cell_scores import scores
from phloem.analysis.experiments.forward_figures import forward_figure
from phloem.analysis.experiments.forward_product import ForwardRuns
from phloem.analysis.experiments.page import PUBLISHED
from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.sections import ReportSection, render
from phloem.analysis.report_data.cell_sets import nanmedian
from phloem.analysis.style.wording import fixed, typeset
from phloem.io.references.growth_curves import DRY_MATTER
from phloem.model_tables import ModelTables

TRUTH_COLUMNS = (("pbias", 1), ("r", 2), ("within", 2))
"""What is shown of a recovery, with how many digits."""


def biomass_rows(runs: ForwardRuns) -> list[dict[str, Any]]:
    """Compare each experiment's biomass of the last year with the growth curves', over cells that all have."""
    last, target = runs.median[:, :, -1] / DRY_MATTER, runs.target[:, -1] / DRY_MATTER
    common = np.isfinite(last).all(0) & np.isfinite(target)
    rows = []
    for number, name in enumerate(runs.experiments):
        skill = scores(last[number][common], target[common])
        paper = PUBLISHED.get(name)
        rows.append(
            {
                "name": name,
                "cells": skill.cells,
                "rmse": fixed(skill.rmse, 1),
                "pearson": fixed(skill.r2_pearson, 2),
                "explained": fixed(skill.r2_explained, 2),
                "pbias": fixed(skill.pbias, 1),
                "paper_rmse": fixed(paper[0], 1) if paper else "",
                "paper_r2": fixed(paper[1], 2) if paper else "",
            }
        )
    return rows


def forward_section(runs: ForwardRuns, files: ReportFiles) -> ReportSection:
    """Return the section of the forward runs."""
    last = runs.median[:, :, -1] / DRY_MATTER
    files.table(
        "biomass",
        ["cell", "latitude", "longitude", "growth_curve", *runs.experiments],
        zip(
            runs.cells,
            *runs.coordinates.T.tolist(),
            (runs.target[:, -1] / DRY_MATTER).tolist(),
            *last.tolist(),
            strict=True,
        ),
    )
    columns = ["stand_age"]
    values: list[Any] = [list(range(1, runs.years + 1))]
    curves = [("growth_curve", runs.target), *zip(runs.experiments, runs.median, strict=True)]
    for name, biomass in curves:
        for share in (25, 50, 75):
            columns.append(f"{name}_{share}")
            kept = biomass[np.isfinite(biomass).all(1)]
            values.append(
                (np.percentile(kept, share, axis=0) / DRY_MATTER).tolist() if len(kept) else [np.nan] * runs.years
            )
    files.table("trajectories", columns, zip(*values, strict=True))
    label = (
        f"Live biomass over {runs.years} years with the parameters of {', '.join(runs.experiments)}, against the "
        "growth curves; below, maps of the last year less the growth curves"
    )
    picture = files.picture("forward", forward_figure(runs), label)
    body = render("forward.html", rows=biomass_rows(runs), picture=picture, years=runs.years)
    return ReportSection("forward", f"Growth: {runs.years} years with the parameters of each experiment", body)


def experiments_section(found: Mapping[str, Any], tables: ModelTables, files: ReportFiles) -> ReportSection:
    """Return the section on what the experiments change.

    Args:
        found: what `phloem experiments` has written to experiments.json.
        tables: of the model.
        files: takes the tables.
    """
    names = list(found["changes"])
    changes: list[dict[str, Any]] = []
    rows = []
    for derived in tables.derived.quantities:
        unit = "" if derived.unit == "1" else typeset(derived.unit)
        entry: dict[str, Any] = {"meaning": derived.meaning, "unit": unit, "cells": []}
        for name in names:
            every, agreed = found["changes"][name][derived.name], found["changes_screened"][name][derived.name]
            texts = (_number(every["pbias"], 1), _number(agreed["pbias"], 1), agreed["cells"])
            entry["cells"].append(texts)
            rows.append([derived.name, name, every["pbias"], every["cells"], agreed["pbias"], agreed["cells"]])
        changes.append(entry)
    columns = ["quantity", "experiment", "pbias_percent", "cells", "pbias_screened_percent", "cells_screened"]
    files.table("changes", columns, rows)
    nnse = [
        (
            name,
            [
                [_number(both[window].get(stream), 3) for stream in tables.streams]
                for window in ("nnse", "nnse_validation")
            ],
        )
        for name, both in found["nnse"].items()
    ]
    cost = [
        (
            name,
            row["lanes"],
            row["diverged"],
            _number(row["wall_seconds"], 0),
            _number(row["gradients_a_lane"], 0),
            row["gradient_cell_years_per_second"] or "–",
        )
        for name, row in found["campaigns"].items()
    ]
    truth = None
    if "truth" in found:
        truth = [
            (one.meaning, [[_number(rows[one.name][part], digits) for part, digits in TRUTH_COLUMNS]
                           for rows in found["truth"].values()])
            for one in tables.derived.quantities
        ]  # fmt: skip
    body = render(
        "experiments_section.html",
        names=names,
        first=found["changes_from"],
        changes=changes,
        streams=tables.streams,
        nnse=nnse,
        cost=cost,
        truth=truth,
        truths=list(found.get("truth", ())),
    )
    return ReportSection("experiments", "What the experiments change", body)


def biomass_maps(
    runs: ForwardRuns, experiment: str, names: Sequence[str]
) -> dict[str, tuple[str, np.ndarray, str, str]]:
    """Return maps of the last year's biomass of an experiment, and of its difference from the growth curves."""
    which, rows = runs.experiments.index(experiment), runs.rows(names)
    last, target = runs.median[which, :, -1] / DRY_MATTER, runs.target[:, -1] / DRY_MATTER
    unit = "Mg ha⁻¹"

    def at(values: np.ndarray) -> np.ndarray:
        return np.where(rows >= 0, values[rows], np.nan)

    return {
        "biomass": (f"live biomass after {runs.years} years", at(last), "value", unit),
        "biomass_error": (
            f"live biomass after {runs.years} years less growth curve",
            at(last - target),
            "difference",
            unit,
        ),
        "biomass_spread": (
            f"live biomass after {runs.years} years: spread of the members (median distance from the median)",
            at(_spread(runs, experiment)),
            "spread",
            "%",
        ),
    }


def _spread(runs: ForwardRuns, experiment: str) -> np.ndarray:
    everyone = np.arange(len(runs.cells))
    last = runs.trajectories(experiment, everyone, np.array([runs.years]))[:, :, 0].astype(np.float64)
    middle = nanmedian(last)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100 * nanmedian(np.abs(last - middle[:, None])) / middle)


def _number(value: float | None, digits: int) -> str:
    return fixed(float("nan") if value is None else value, digits)
