"""Section of an upscaling's report on its products: carbon balances, net exchange, totals and biomass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.network_scores import picture
from phloem.analysis.report.sections import (
    Found,
    ReportSection,
    picture_part,
    pictures_section,
    plain_table,
    refuse_malformed,
)
from phloem.analysis.report.upscaling_scores import RESULT, text
from phloem.analysis.style.wording import number, typeset

ABSENT = (
    "No product was checked. `phloem apply DIR --drivers X.nc --out DIR/products/fluxes.nc` makes one, and "
    "`phloem benchmark DIR` checks it; other places are named with `--set product=...`."
)


def upscaling_products_section(found: Found, files: ReportFiles) -> ReportSection:
    """Return the section.

    Args:
        found: folder of the benchmark and its benchmark.json; None where there is none.
        files: takes figures and tables.

    Raises:
        WorkError: the benchmark is not what `phloem benchmark` writes.
    """
    title = "Products: mass, totals, biomass"
    if found is None or not found[1].get("products"):
        return pictures_section("products", title, [ABSENT], [])
    folder, document = found
    with refuse_malformed(folder / RESULT, "benchmark"):
        products = document["products"]
        parts = [
            _mass(folder, products["mass"], files),
            _exchange(folder, products["net_exchange"], files),
            _totals(products["totals"], files),
            _biomass(folder, products["biomass"], files),
        ]
        lines = ["Files: " + ", ".join(f"`{name}`" for name in products["files"].values()) + "."]
        lines += [f"{line[0].upper()}{line[1:]}." for line in document["notes"] if line.startswith("mass")]
        return pictures_section("products", title, lines, [one for one in parts if one is not None])


def _mass(folder: Path, mass: Mapping[str, Any] | None, files: ReportFiles) -> dict[str, Any] | None:
    if mass is None:
        return None
    rows = [
        [name, *(small(one[key]) for key in ("residual", "absolute", "rmse", "worst")), f"{one['cells']:,}"]
        for name, one in mass["identities"].items()
    ]
    columns = ["identity", "residual, PgC yr⁻¹", "of absolute values", "RMSE of a cell, gC m⁻² d⁻¹", "largest", "cells"]
    note = f"{mass['months']} months, {mass['first']} to {mass['last']}; all cells, weighted by area."
    closure = mass["stock_closure"]
    if closure:
        note += (
            f" NEP less the change of {' + '.join(closure['stocks'])}: {small(closure['imbalance'])} PgC yr⁻¹ on the "
            f"mean of {len(closure['years'])} years (printed: 2.4 for the mean of the land models, 0.4 for UFLUX); "
            f"median RMSE of a cell {small(closure['rmse'])} gC m⁻² yr⁻¹. Fires and land use are in neither."
        )
    if mass["left_out"]:
        note += " Not checked: " + "; ".join(mass["left_out"]) + "."
    drawn = picture(folder, "mass.png", "residuals of the carbon balance on maps", files, "benchmark")
    return picture_part("Carbon balance", note, [drawn], table=plain_table(columns, rows) if rows else None)


def _exchange(folder: Path, exchange: Mapping[str, Any] | None, files: ReportFiles) -> dict[str, Any] | None:
    if exchange is None:
        return None
    note = (
        f"NEE as it was learned against RECO − GPP of the same product, {exchange['pairs']:,} cells and months, "
        f"weighted by area: r² (Pearson) {text(exchange['r2_pearson'])}, NSE {text(exchange['nse'])}, slope of NEE on "
        f"RECO − GPP {text(exchange['slope_obs_on_pred'])}, bias of RECO − GPP {small(exchange['bias'])} gC m⁻² d⁻¹ "
        "(printed r² about 0.7, slope about 1). Three models that know nothing of each other do not add up by "
        "themselves."
    )
    drawn = picture(folder, "net_exchange.png", "difference of both ways to NEE on maps", files, "benchmark")
    return picture_part("Net exchange, direct and indirect", note, [drawn])


def _totals(totals: Mapping[str, Any], files: ReportFiles) -> dict[str, Any] | None:
    if not totals:
        return None
    rows = [
        [name.upper(), text(one["mean"]), text(one["trend"]["slope"], 3), _probability(one["trend"]["p"]),
         text(one["trend"]["theil_sen"], 3), text(one["interannual_variability"], 3), str(one["whole_years"]),
         typeset(one["unit"])]
        for name, one in totals.items()
    ]  # fmt: skip
    columns = ["flux", "mean", "trend a year", "p", "Theil–Sen", "IAV (SD / mean)", "whole years", "unit"]
    files.table(
        "upscaling_totals",
        ["flux", "unit", "year", "total"],
        [[name, one["unit"], year, total] for name, one in totals.items()
         for year, total in zip(one["years"], one["total"], strict=True)],
    )  # fmt: skip
    note = "Of all cells with a value; years with all months. LE as the water that it evaporates."
    return picture_part("Totals, trends and variability", note, [], table=plain_table(columns, rows))


def _biomass(folder: Path, biomass: Mapping[str, Any] | None, files: ReportFiles) -> dict[str, Any] | None:
    if biomass is None:
        return None
    drawn = [
        picture(folder, f"{Path(name).stem}.png", f"biomass of {version} against satellites", files, "benchmark")
        for version, name in biomass["figures"].items()
    ]
    note = "Carbon of leaves and wood against ESA CCI Biomass x 0.47 (printed: r² 0.70, RMSE 19.1 MgC ha⁻¹)."
    return picture_part("Biomass of satellites", note, drawn)


def _probability(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else text(value, 3)


def small(value: float | None) -> str:
    """Write a residual, which may be nothing but rounding."""
    return "–" if value is None else "0" if value == 0 else number(value, 2)
