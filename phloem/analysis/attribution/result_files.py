"""DIR/attribution: the files of an attribution as JSON, CSV, NetCDF and figures; whole or not there."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.attribution.attribution_figures import draw_attribution
from phloem.analysis.attribution.results import Attribution
from phloem.analysis.style.plot_style import to_png
from phloem.io.files.atomic import naming
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled, put_texts, write_netcdf
from phloem.io.files.whole_folder import whole_folder
from phloem.version import VERSION

JSON = "attribution.json"
SHAP = "shap.nc"
DIGITS = 7
"""Significant digits of the numbers in JSON and CSV."""

Row = Mapping[str, Any]


def write_attribution(folder: Path, attribution: Attribution) -> Path:
    """Write all files of an attribution into a folder of their own.

    They are written into a folder beside it, which then takes its place: what was there before is replaced as a whole,
    and a failure leaves it as it was.

    Args:
        folder: where they shall be; its parent is made where it is not there.
        attribution: what was found.

    Returns:
        The path of attribution.json.

    Raises:
        OSError: the disk is full, or the place may not be written to.
    """
    with whole_folder(folder) as draft:
        _write_all(draft, attribution)
    return folder / JSON


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers of seven significant digits, None for those that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def _write_all(folder: Path, attribution: Attribution) -> None:
    document = plain(attribution.to_json())
    _write(folder / JSON, json.dumps(document, indent=1, allow_nan=False).encode())
    for name, rows in tables(document).items():
        _write(folder / name, to_csv(rows))
    _write(folder / "pca_scores.csv", to_csv(_pca_scores(attribution)))
    write_netcdf(folder / SHAP, lambda file: _fill_shap(file, attribution))
    for name, figure in draw_attribution(document).items():
        _write(folder / name, to_png(figure, dpi=150))


def _write(path: Path, data: bytes) -> None:
    with naming(path):
        path.write_bytes(data)


def to_csv(rows: Sequence[Row]) -> bytes:
    """Return a table of rows with the same keys; only a line feed where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return text.getvalue().encode()


def tables(document: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the CSV tables of an attribution, by file name, rows of each with the same keys.

    Args:
        document: what attribution.json holds.
    """
    good = [target for target in document["targets"] if not target["refused"]]
    screens = document["identifiability"] or {}
    return {
        "importance.csv": [
            {"target": target["name"], **row, "noise_floor": target["noise_floor"]}
            for target in good
            for row in target["importance"]
        ],
        "groups.csv": [{"target": target["name"], **row} for target in good for row in target["groups"]],
        "scores.csv": [_scores(target) for target in document["targets"]],
        "dependence.csv": [row for target in good for row in _curves(target)],
        "breakpoints.csv": [
            {
                "target": target["name"],
                "predictor": curve["predictor"],
                "units": curve["units"],
                **(curve["breakpoint"] or dict.fromkeys(("x", "low", "high"))),
            }
            for target in good
            for curve in target["dependence"]
        ],
        "identifiability.csv": [
            {
                "screen": kind,
                "limit": part["limit"],
                "parameter": row["parameter"],
                "median_cv": row["median_cv"],
                "cells": row["cells"],
                "kept": row.get("kept"),
                "share_kept": row.get("share_kept"),
            }
            for kind, part in screens.items()
            for row in part["rows"]
        ],
        "pca.csv": list(_components(document["pca"])),
        "partition.csv": [
            {"target": target["name"], **row, "total": target["partition"]["total"]}
            for target in good
            if target["partition"]
            for row in target["partition"]["groups"]
        ],
    }


def _scores(target: Row) -> Row:
    row: dict[str, Any] = {"target": target["name"], "units": target["units"]}
    row |= {key: target[key] for key in target if key.startswith("cells_")}
    row["estimator"] = target.get("estimator")
    for kind in ("random", "blocked"):
        for key in ("r2", "rmse", "r2_mean", "r2_sd", "rmse_mean", "rmse_sd"):
            row[f"{kind}_{key}"] = (target.get(kind) or {}).get(key)
    low, high = (target.get("r2_members") or {}).get("random") or (None, None)
    return {**row, "r2_members_low": low, "r2_members_high": high, "refused": target["refused"] or ""}


def _curves(target: Row) -> Iterable[Row]:
    for curve in target["dependence"]:
        for number, x in enumerate(curve["x"]):
            row = {"target": target["name"], "predictor": curve["predictor"], "units": curve["units"], "x": x}
            for key in ("trend", "low", "high", "boot_low", "boot_high"):
                row[key] = curve[key][number] if curve[key] else None
            yield row


def _components(pca: Row | None) -> Iterable[Row]:
    if not pca:
        return
    for number, (explained, loadings) in enumerate(zip(pca["explained"], pca["loadings"], strict=True), 1):
        yield {"component": number, "explained": explained, **dict(zip(pca["variables"], loadings, strict=True))}


def _pca_scores(found: Attribution) -> list[Row]:
    if found.pca is None or found.pca.refused:
        return []
    there = np.flatnonzero(np.isfinite(found.pca.scores).all(axis=1))
    return [
        {"cell": int(cell), "latitude": float(found.latitude[cell]), "longitude": float(found.longitude[cell])}
        | {f"pc{number + 1}": plain(float(found.pca.scores[cell, number])) for number in range(3)}
        for cell in there
    ]


def _fill_shap(file: netCDF4.Dataset, attribution: Attribution) -> None:
    """Put in phi of every target, where any was explained, with the predictors' values there."""
    names = list(attribution.explained)
    predictors = next(iter(attribution.explained.values())).predictors if names else ()
    cells = np.unique(np.concatenate([np.empty(0, np.int64), *(attribution.explained[name].cells for name in names)]))
    file.setncatts(
        {
            "Conventions": CONVENTIONS,
            "title": "SHAP values: what each predictor adds to the modelled value of each target",
            "source": f"phloem {VERSION}",
        }
    )
    for dimension, size in (("cell", cells.size), ("target", len(names)), ("predictor", len(predictors))):
        file.createDimension(dimension, size)
    for name, axis, values, units in (
        ("lat", "latitude", attribution.latitude, "degrees_north"),
        ("lon", "longitude", attribution.longitude, "degrees_east"),
    ):
        file.createVariable(name, "f8", ("cell",))[:] = values[cells]
        file[name].setncatts({"standard_name": axis, "units": units})
    file.createVariable("cell", "i4", ("cell",))[:] = cells
    file["cell"].long_name = "number of the cell in the order of the attribution, from 0"
    results = {result.name: result for result in attribution.targets}
    known = {predictor.name: predictor for predictor in attribution.predictors}
    for name, dimension, words, text in (
        ("target", "target", names, "name of the target"),
        ("predictor", "predictor", list(predictors), "name of the predictor"),
        ("target_units", "target", [results[name].units for name in names], "units of phi on the natural scale"),
        ("target_scale", "target", [results[name].scale for name in names], "natural: phi is in the target's units; "
         "log: phi is of its natural logarithm"),
        ("predictor_units", "predictor", [known[name].units for name in predictors], "units of predictor_value"),
    ):  # fmt: skip
        put_texts(file, name, dimension, list(words), {"long_name": text})
    file.createVariable("expected", "f8", ("target",))[:] = [attribution.explained[name].expected for name in names]
    file["expected"].long_name = "what the model predicts where nothing is known; with the sum of phi, its prediction"
    file.createVariable("phi", "f4", ("target", "cell", "predictor"), zlib=True, complevel=1, fill_value=FILL)
    file["phi"].setncatts({"long_name": "SHAP value; missing where a cell was not explained", "coordinates": "lat lon"})
    for number, name in enumerate(names):
        rows = np.full((cells.size, len(predictors)), np.nan, np.float32)
        rows[np.searchsorted(cells, attribution.explained[name].cells)] = attribution.explained[name].phi
        file["phi"][number] = filled(rows)
    file.createVariable("predictor_value", "f8", ("cell", "predictor"), zlib=True, complevel=1, fill_value=FILL)
    file["predictor_value"].setncatts({"long_name": "value of the predictor", "coordinates": "lat lon"})
    if cells.size and predictors:
        file["predictor_value"][:] = filled(np.asarray(attribution.values[cells], float))
