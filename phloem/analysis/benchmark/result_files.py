"""The folder of a benchmark: JSON, tables, maps and figures, replaced as a whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.benchmark.benchmark_figures import (
    by_cell,
    map_figure,
    on_the_map,
    scatter_figure,
    scorecard_figure,
)
from phloem.analysis.benchmark.pairs import Pairs, compare
from phloem.analysis.benchmark.scorecard import NAMES as CARD_COLUMNS
from phloem.analysis.benchmark.scorecard import rows_of, scorecard
from phloem.analysis.style.plot_style import to_png
from phloem.io.files.netcdf import CONVENTIONS, FILL, UNSTRUCTURED, filled, put_texts, write_netcdf
from phloem.io.files.whole_folder import check_replaceable, whole_folder
from phloem.version import VERSION

RESULT = "benchmark.json"
DIFFERENCES = "differences.nc"
SCORECARD = "scorecard.png"
MAX_LISTED_ROWS = 20_000
"""Rows of a comparison's table; of more pairs an even draw is written."""

COLUMNS = (
    "experiment", "slug", "kind", "quantity", "units", "cells", "pairs", "bias", "pbias", "relative", "rmse", "nrmse",
    "mae", "r", "r2_pearson", "r2_explained", "nse", "nnse", "explained_variance", "slope_obs_on_pred",
    "intercept_obs_on_pred", "slope_pred_on_obs", "intercept_pred_on_obs", "iav_observed", "iav_simulated",
    "within_members",
)  # fmt: skip
"""Columns of scores.csv."""


def variable(slug: str, word: str) -> str:
    """Return the name of a comparison's variable in differences.nc: of its reference, simulated or difference."""
    return f"{slug}_{word}".replace("-", "_")


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not a benchmark's, which would be replaced.

    Raises:
        InputError: something else is there.
    """
    check_replaceable(folder, RESULT)


def write_benchmark(folder: Path, comparisons: Sequence[Pairs], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write all comparisons into a folder, in place of what was there.

    It is written aside and takes its name when it is whole.

    Args:
        folder: to write.
        comparisons: with different slugs.
        facts: further keys of benchmark.json.

    Returns:
        What benchmark.json holds.

    Raises:
        InputError: the folder holds something else.
    """
    check_folder(folder)
    with whole_folder(folder) as draft:
        return _fill(draft, comparisons, facts)


def _fill(folder: Path, comparisons: Sequence[Pairs], facts: Mapping[str, Any]) -> dict[str, Any]:
    results = []
    drawn: list[Pairs] = []
    for pairs in comparisons:
        result = compare(pairs)
        if not result["refused"]:
            result["scorecard"] = scorecard(pairs.only(pairs.valid)).to_json()
        results.append(result)
        if result["refused"]:
            continue
        usable = pairs.only(pairs.valid)
        drawn.append(usable)
        result["points"] = {"file": f"{pairs.slug}.csv", "rows": min(len(usable.cell), MAX_LISTED_ROWS)}
        (folder / f"{pairs.slug}.csv").write_text(_points(usable), encoding="utf-8")
        (folder / f"scatter_{pairs.slug}.png").write_bytes(to_png(scatter_figure(usable)))
        mapped = on_the_map(usable)
        if len(mapped.cell):
            (folder / f"map_{pairs.slug}.png").write_bytes(to_png(map_figure(mapped)))
    document = {"version": VERSION, **facts, "comparisons": results}
    (folder / "scores.csv").write_text(_scores(results), encoding="utf-8")
    if rows := rows_of(results):
        (folder / "scorecard.csv").write_text(_cards(rows), encoding="utf-8")
        (folder / SCORECARD).write_bytes(to_png(scorecard_figure(rows)))
    if drawn:
        write_netcdf(folder / DIFFERENCES, lambda file: _differences(file, drawn))
    (folder / RESULT).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return document


def _points(pairs: Pairs) -> str:
    """The table of a comparison's pairs."""
    places = np.arange(len(pairs.cell))
    if len(places) > MAX_LISTED_ROWS:
        places = np.unique(np.linspace(0, len(places) - 1, MAX_LISTED_ROWS).round().astype(int))
    part = pairs.only(places)
    low, high = part.range()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("cell", "latitude", "longitude"),
            *([] if part.date is None else ["date"]),
            *(*part.strata, "reference", "simulated", "low", "high", "difference"),
        ]
    )
    columns = [part.reference, part.simulated, low, high, part.simulated - part.reference]
    for row, cell in enumerate(part.cell.tolist()):
        labels = [part.strata[name][row] for name in part.strata]
        place = [f"{part.latitude[cell]:.6g}", f"{part.longitude[cell]:.7g}"]
        place += [] if part.date is None else [str(part.date[row])]
        writer.writerow([part.cells[cell], *place, *labels, *(f"{values[row]:.7g}" for values in columns)])
    return text.getvalue()


def _scores(results: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        flat = {**result, **result.get("scores", {})}
        values = [flat.get(name) for name in COLUMNS]
        writer.writerow(["" if v is None else f"{v:.7g}" if isinstance(v, float) else v for v in values])
    return text.getvalue()


def _cards(rows: Sequence[tuple[str, Mapping[str, float | None]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["comparison", *CARD_COLUMNS])
    for title, card in rows:
        values = [card[name] for name in CARD_COLUMNS]
        writer.writerow([title, *("" if value is None else f"{value:.4f}" for value in values)])
    return text.getvalue()


def _differences(file: netCDF4.Dataset, comparisons: Sequence[Pairs]) -> None:
    """Reference, simulated values and their difference at the cells, means over each cell's pairs."""
    names = list(dict.fromkeys(name for pairs in comparisons for name in pairs.cells))
    place = {name: n for n, name in enumerate(names)}
    file.setncatts({"Conventions": CONVENTIONS, "title": "phloem benchmark", "source": f"phloem {VERSION}"})
    file.createDimension("cell", len(names))
    put_texts(file, "cell", "cell", names, {"long_name": "cell id"})
    for name, units in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        degrees = np.empty(len(names))
        for pairs in comparisons:
            degrees[[place[cell] for cell in pairs.cells]] = getattr(pairs, name)
        target = file.createVariable(name, "f8", ("cell",))
        target.setncatts({"units": units, "standard_name": name})
        target[:] = degrees
    for pairs in comparisons:
        cells, reference, simulated = by_cell(pairs)
        rows = [place[pairs.cells[cell]] for cell in cells.tolist()]
        fields = {"reference": reference, "simulated": simulated, "difference": simulated - reference}
        for word, values in fields.items():
            difference = np.full(len(names), np.nan, np.float32)
            difference[rows] = values
            target = file.createVariable(variable(pairs.slug, word), "f4", ("cell",), fill_value=FILL, zlib=True)
            title = f"{pairs.long_name}, {word}: {pairs.name}"
            target.setncatts({"units": pairs.units or "1", "long_name": title, "coordinates": "latitude longitude"})
            target.CDI_grid_type = UNSTRUCTURED
            target[:] = filled(difference)
