"""Totals of an application on a grid: yearly, of the globe and of regions, beside its file as `O.totals.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.flux_maps.regional_totals import LATITUDE_BANDS, NOWHERE, FluxBlock, FluxTotals, latitude_band
from phloem.io.files.atomic import write_atomically
from phloem.io.files.netcdf import FILL
from phloem.io.flux_drivers.driver_recipes import LAND
from phloem.io.flux_drivers.driver_source import DriverSource
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP, QUANTITIES
from phloem.jobs.application.table import ApplicationTable
from phloem.jobs.campaign.kind_of_work import Arrays

WHOLE_CELLS = "cells with any result are wholly land: the drivers have no land_fraction"
BY_FRACTION = "land_fraction of the drivers"


def totals_file(out: Path) -> Path:
    """Return the file of totals that stands beside a product: O.totals.json of O.nc."""
    return out.with_name(f"{out.stem}.totals.json")


def first_gap(months: np.ndarray) -> str | None:
    """Return between which months the first gap is; None where they follow each other.

    Args:
        months: datetime64[M], ascending, (months,).
    """
    gaps = np.flatnonzero(np.diff(months.astype(int)) != 1)
    return f"{months[gaps[0]]} and {months[gaps[0] + 1]}" if len(gaps) else None


class ProductTotals:
    """Sums over the rows of a product, as they are written; sites, and months with gaps, have none.

    Attributes:
        counts: months of places with all needed drivers; of them without a result of some flux, without any, and
            outside of the area of applicability.
    """

    def __init__(self, source: DriverSource, fluxes: Sequence[str]) -> None:
        """Begin with nothing.

        Args:
            source: of drivers, whose land and plant classes are read.
            fluxes: of the product.
        """
        self.source, self.fluxes = source, list(fluxes)
        self.counts = {"months": 0, "without_result": 0, "without_any": 0, "outside": 0}
        self.has_land, self.has_classes = source.has(LAND), source.has("igbp")
        regions = {"latitude": LATITUDE_BANDS, **({"igbp": IGBP} if self.has_classes else {})}
        units = {flux: QUANTITIES[FLUXES[flux]].unit for flux in self.fluxes}
        summed = source.places.gridded and first_gap(source.months) is None
        self.totals = FluxTotals(source.months, units, regions) if summed else None

    def add(self, first: int, values: Arrays) -> None:
        """Add whole rows.

        Args:
            first: the first of them.
            values: fluxes and `inside` by name, (places, months), `FILL` or -1 where there is nothing.
        """
        there = values["inside"] >= 0
        self.counts["months"] += int(there.sum())
        self.counts["outside"] += int((values["inside"] == 0).sum())
        fill = np.float32(FILL)
        lacking = [values[flux] == fill for flux in self.fluxes]
        self.counts["without_result"] += int((there & np.logical_or.reduce(lacking)).sum())
        self.counts["without_any"] += int((there & np.logical_and.reduce(lacking)).sum())
        if self.totals is None:
            return
        places = self.source.places
        rows = slice(first, first + len(there) // places.columns)
        known = there.any(axis=1)
        land = self.source.number(LAND, rows) if self.has_land else known.astype(float)
        cells = np.flatnonzero(np.nan_to_num(land) > 0)
        if not len(cells):
            return
        latitude = places.coordinates(rows)[0]
        labels = {"latitude": latitude_band(latitude[cells])}
        if self.has_classes:
            number = self.source.number("igbp", rows)[cells]
            labels["igbp"] = np.where(np.isfinite(number), number - 1, NOWHERE).astype(np.int64)
        fluxes = {}
        for flux in self.fluxes:
            some = values[flux][cells].T
            fluxes[flux] = np.where(some == fill, np.float32(np.nan), some)
        area = places.areas()[rows].reshape(-1)[cells]
        self.totals.add(FluxBlock(self.source.months[0], area, land[cells], labels, fluxes))

    def write(self, out: Path, table: ApplicationTable) -> None:
        """Write the file of totals, or remove that of an earlier product where there are none now.

        Args:
            out: the product.
            table: of the application.
        """
        path = totals_file(out)
        if self.totals is None:
            path.unlink(missing_ok=True)
            return
        document: dict[str, Any] = {
            "models_sha256": table.models,
            "land": BY_FRACTION if self.has_land else WHOLE_CELLS,
            **self.counts,
            "totals": self.totals.to_json(),
        }
        write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
