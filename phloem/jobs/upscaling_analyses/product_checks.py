"""Products of an upscaling checked: carbon balances, direct against indirect net exchange, totals, biomass."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from phloem.analysis.causes.balance_figures import draw_grid
from phloem.analysis.causes.carbon_totals import carbon_totals
from phloem.analysis.causes.net_exchange import NetExchange, compare_net_exchange
from phloem.analysis.style.plot_style import styled, to_png
from phloem.errors import InputError, unreadable
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.products.raw_files import OpenFiles
from phloem.io.references.flux_fields import FluxFields, open_flux_fields
from phloem.jobs.config.upscaling_benchmark_file import BiomassSection, UpscalingBenchmarkFile
from phloem.jobs.upscaling_analyses.check_mass_files import check_mass_files
from phloem.jobs.upscaling_analyses.compare_cci import ModelVersion, compare_with_cci
from phloem.jobs.upscaling_analyses.dated_allocation import DatedAllocation, date_allocation

USUAL = {"product": "fluxes.nc", "allocation": "allocation.nc"}
"""Names of products in a campaign's folder of them."""


@dataclass(frozen=True)
class ChosenProducts:
    """Files that are checked.

    Attributes:
        product: of `phloem apply`; None: none.
        allocation: of `phloem allocate`; None: none.
        references: maps of biomass.
    """

    product: Path | None
    allocation: Path | None
    references: tuple[Path, ...]


NO_PRODUCT = "none"
"""Name by which a file in its usual place is passed over."""


def chosen_products(root: Path, file: UpscalingBenchmarkFile, base: Path) -> ChosenProducts:
    """Return the files that are checked.

    Args:
        root: of the campaign.
        file: choices.
        base: that paths in it are relative to.

    Raises:
        InputError: a file that is named is not there, or biomass is compared without an allocation.
    """
    found: dict[str, Path | None] = {}
    for key, usual in USUAL.items():
        named = str(getattr(file.benchmark, key))
        if named == NO_PRODUCT:
            found[key] = None
            continue
        path = (base / Path(named).expanduser()) if named else CampaignPaths(root).products_dir / usual
        if named and not path.is_file():
            verb = "apply" if key == "product" else "allocate"
            raise InputError(f"{path}: no such file (benchmark.{key}); `phloem {verb}` writes it")
        found[key] = path if path.is_file() else None
    references = tuple(base / Path(one).expanduser() for one in file.biomass.paths) if file.biomass else ()
    for path in references:
        if not path.is_file():
            raise InputError(f"{path}: no such file (biomass.paths)")
    if references and found["allocation"] is None:
        raise InputError("biomass.paths: there is no allocation whose leaves and wood could be compared; name it with "
                         "benchmark.allocation")  # fmt: skip
    return ChosenProducts(found["product"], found["allocation"], references)


def check_products(
    folder: Path, chosen: ChosenProducts, file: UpscalingBenchmarkFile
) -> tuple[dict[str, Any] | None, list[str]]:
    """Check products, and write mass.*, net_exchange.png and biomass.* beside the benchmark.

    Args:
        folder: to write into.
        chosen: what is there.
        file: choices.

    Returns:
        The `products` of benchmark.json, None without products; and what could not be done, in words.

    Raises:
        InputError: a file that cannot be read as what it should be.
    """
    if chosen.product is None and chosen.allocation is None:
        return None, []
    document: dict[str, Any] = {
        "files": {key: path.name for key in USUAL if (path := getattr(chosen, key)) is not None},
        "mass": None,
        "net_exchange": None,
        "totals": {},
        "outside": None,
        "biomass": None,
    }
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix=".dated-", dir=folder.parent) as aside:
        dated = DatedAllocation(None, None, {})
        if chosen.allocation is not None:
            dated = date_allocation(chosen.allocation, Path(aside))
        paths = [path for path in (chosen.product, dated.months, dated.stocks) if path is not None]
        try:
            notes += _check_files(folder, paths, chosen, file, document)
            if file.biomass is not None and dated.stocks is not None:
                document["biomass"] = _biomass(folder, dated, dated.stocks, chosen, file.biomass)
        except InputError as error:
            raise InputError(_own_names(str(error), dated, chosen)) from error
        notes = [_own_names(note, dated, chosen) for note in notes]
    return document, notes


def _own_names(words: str, dated: DatedAllocation, chosen: ChosenProducts) -> str:
    """Return a message that names the user's file where it named the copies of its parts."""
    for path in (dated.months, dated.stocks):
        if path is not None and chosen.allocation is not None:
            words = words.replace(str(path), str(chosen.allocation)).replace(path.name, chosen.allocation.name)
    return words


def _check_files(
    folder: Path, paths: list[Path], chosen: ChosenProducts, file: UpscalingBenchmarkFile, document: dict[str, Any]
) -> list[str]:
    """Put net exchange, totals and mass into the document; return what could not be checked, in words."""
    with OpenFiles() as files:
        fields = open_flux_fields(paths, files)
        exchange = compare_net_exchange(fields)
        written = _written_totals(chosen.product)
        document["totals"] = carbon_totals(fields) | written.get("totals", {})
        document["outside"] = written.get("outside")
        if exchange is not None:
            document["net_exchange"] = exchange.to_json()
            (folder / "net_exchange.png").write_bytes(to_png(_net_exchange_figure(fields, exchange), dpi=130))
    try:
        found = check_mass_files(folder, paths, stocks_at=file.benchmark.stocks_at)
    except InputError as error:
        return [f"mass is not checked: {error}"]
    document["mass"] = found | {"files": list(document["files"].values())}
    return []


def _written_totals(product: Path | None) -> dict[str, Any]:
    """Return what stands beside a product: global totals over the land that its drivers know of, share outside."""
    path = None if product is None else product.with_name(f"{product.stem}.totals.json")
    if path is None or not path.is_file():
        return {}
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        totals = {flux: of_maps["global"]["global"] for flux, of_maps in held["totals"].items()}
        return {"totals": totals, "outside": held["outside"] / held["months"] if held["months"] else None}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error, "phloem apply") from error


def _biomass(
    folder: Path, dated: DatedAllocation, stocks: Path, chosen: ChosenProducts, section: BiomassSection
) -> dict[str, Any]:
    if not dated.versions:
        raise InputError(f"{chosen.allocation}: has no cLeaf and cWood, which are compared with maps of biomass")
    versions = {
        statistic: ModelVersion((stocks,), {name: own for name, own in names.items() if own != name})
        for statistic, names in dated.versions.items()
    }
    return compare_with_cci(folder, versions, chosen.references, non_forest=section.non_forest)


@styled()
def _net_exchange_figure(fields: FluxFields, exchange: NetExchange) -> Figure:
    figure = Figure(figsize=(9.6, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    lat, lon = fields.grid.latitude.centres, fields.grid.longitude.centres
    unit = "gC m⁻² d⁻¹"
    draw_grid(figure, left, lat, lon, exchange.difference, f"mean of NEE − (RECO − GPP), {unit}", "RdBu_r",
              both_ways=True)  # fmt: skip
    draw_grid(figure, right, lat, lon, exchange.rmse, f"root mean square of the same, {unit}", "viridis",
              both_ways=False)  # fmt: skip
    for axes, values in ((left, exchange.difference), (right, exchange.rmse)):
        if not np.isfinite(values).any():
            axes.set_title("no cell has all three fluxes", fontsize=8, loc="left")
    return figure
