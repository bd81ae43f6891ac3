"""The survey before an ingest: the products, whether they fit together, and the cells there will be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.store import STATICS
from phloem.io.ingest.cell_records import Products
from phloem.io.ingest.domain import (
    CARBON_OF_LEAVES,
    Domain,
    add_growth,
    add_mature_forest,
    check_covered,
    find_land,
    read_layer,
    region_cells,
)
from phloem.io.ingest.plausibility import check_plausible
from phloem.io.products.carbon_dioxide import read_co2
from phloem.io.products.forcing import find_forcing
from phloem.io.products.observations import STREAM_PRODUCTS, find_stream
from phloem.io.products.raw_files import OpenFiles, expand
from phloem.io.products.series import ProductSeries, scan
from phloem.jobs.config.ingest_file import FilesSection, IngestFile, choices, paths_of
from phloem.jobs.progress import ProgressBar, say


@dataclass
class Survey:
    """Products that an ingest file names, found and checked by their headers.

    Attributes:
        file: the ingest file.
        products: what varies in time.
        maps: static layers, by the name of their table and by their own names.
        curves: table of growth curves, or None.
        co2: table of CO2.
        notes: what was found and converted, for the log.
    """

    file: IngestFile
    products: Products
    maps: dict[str, dict[str, ProductSeries]]
    curves: Path | None
    co2: Path
    notes: list[str] = field(default_factory=list)

    @property
    def varying(self) -> list[ProductSeries]:
        """What varies in time."""
        return [*self.products.forcing.series.values(), *(one.series for one in self.products.streams.values())]

    @property
    def series(self) -> list[ProductSeries]:
        """All that is read of grids."""
        return [*self.varying, *(one for found in self.maps.values() for one in found.values())]

    @property
    def inputs(self) -> list[Path]:
        """All files that are read."""
        paths = [path for one in self.series for path in one.paths]
        return [*paths, self.co2, *([self.curves] if self.curves else [])]

    @property
    def units(self) -> dict[str, tuple[str, str]]:
        """Units and long names of the numbers of a cell."""
        found = {
            key: (series.layouts[0].unit if series.choice.product.key == "layer" else series.quantity.unit, key)
            for layers in self.maps.values()
            for key, series in layers.items()
        }
        return found | STATICS

    @property
    def sources(self) -> dict[str, str]:
        """Titles of the products, by the name of their table."""
        found = dict.fromkeys(self.file.products, "table")
        found["forcing"] = self.products.forcing.lead.choice.product.title
        for name, stream in self.products.streams.items():
            found[name] = stream.series.choice.product.title
        for name, layers in self.maps.items():
            found[name] = next(iter(layers.values())).choice.product.title
        return dict(sorted(found.items()))


def survey(file: IngestFile, base: Path, files: OpenFiles) -> Survey:
    """Read the headers of all products, and refuse what does not fit.

    Args:
        file: the ingest file.
        base: folder from which its paths count.
        files: open files.

    Raises:
        InputError: a product that lacks a variable, has another unit, a hole in time or an unusable grid.
    """
    store, choice, notes = file.store, choices(file, base), []
    years = (store.years[0], store.years[1])
    forcing = find_forcing(choice["forcing"], years, files)
    notes += [note_of(one) for one in forcing.series.values()]
    notes += [f"  {note}" for note in forcing.notes]
    tables = {
        name: one_table(file.products[name], name, base)
        for name in ("co2", "growth")
        if name in file.products and name not in choice
    }
    means, how = read_co2(tables["co2"], years)
    notes.append(f"co2: {tables['co2'].name}: {how}, constant within a year")
    observed = (store.observed[0], store.observed[1]) if store.observed else None
    streams = {}
    for key in STREAM_PRODUCTS:
        if key in choice:
            stream = streams[key] = find_stream(key, choice[key], forcing.days, observed, files)
            ends = [forcing.days.date(int(stream.day[place])) for place in (0, -1)]
            notes.append(note_of(stream.series))
            notes += [f"  {note}" for note in (*stream.notes, f"{len(stream.steps)} steps, {ends[0]} to {ends[1]}")]
    if "et" in streams and "potential_et" not in streams:
        notes.append("no potential_et: the evaporative fraction stays empty")
    maps = {name: scan(one, files) for name, one in choice.items() if name not in ("forcing", *STREAM_PRODUCTS)}
    for name, layers in maps.items():
        if not layers:
            raise InputError(f"[products.{name}]: {', '.join(choice[name].patterns)}: nothing in them")
        notes += [note_of(one) for one in layers.values()]
    co2 = means[forcing.days.year - years[0]].astype(np.float32)
    products = Products(forcing, co2, streams, store.step)
    return Survey(file, products, maps, tables.get("growth"), tables["co2"], notes)


def one_table(section: FilesSection, name: str, base: Path) -> Path:
    """Return the one file of a product that is a table.

    Args:
        section: of the ingest file.
        name: of the section.
        base: folder from which its path counts.

    Raises:
        InputError: none, or several.
    """
    found = expand(paths_of(section, base), f"[products.{name}]")
    if len(found) != 1:
        raise InputError(f"[products.{name}]: {len(found)} files; one table is due")
    return found[0]


def note_of(series: ProductSeries) -> str:
    """Return a product in one line."""
    layout = series.layouts[0]
    same = series.choice.product.key == "layer" or layout.unit == series.quantity.unit
    unit = layout.unit if same else f"{layout.unit} -> {series.quantity.unit}"
    count = f"{len(series.layouts)} file{'s' if len(series.layouts) > 1 else ''}"
    parts = [f"{layout.name} of {count}", str(series.grid), series.calendar or "static", unit, *series.notes]
    return f"{series.choice.name}: {', '.join(parts)}"


def find_domain(surveyed: Survey, files: OpenFiles, budget: int) -> Domain:
    """Find the cells, and what is known of them once and for all.

    Args:
        surveyed: the products.
        files: open files.
        budget: bytes that may be used at once.

    Raises:
        InputError: a product that covers no cell, values that show another unit than the file says, no land, or a
            map that cannot be used.
    """
    file, maps = surveyed.file, surveyed.maps
    store, region = file.store, file.store.region
    cells = region_cells(store.step, region.south, region.north, region.west, region.east)
    say("looking at the cells: land, and what is known of them")
    domain = find_land(surveyed.products.forcing, files, *cells, store.step)

    def add(names: Iterable[str], layers: dict[str, ProductSeries]) -> None:
        for name in names:
            domain.statics[name] = read_layer(domain, layers[name], files, store.step, budget)

    add(maps.get("root_shoot", {}), maps.get("root_shoot", {}))
    source = surveyed.curves or maps.get("growth")
    if source is not None:
        add_growth(domain, source, files, store.step, store.ages, budget, "growth" in file.required)
    if "agb" in maps and len(domain):
        with ProgressBar("mature forest", len(domain)) as bar:
            wanted = "mature_forest" in file.required
            add_mature_forest(domain, maps["agb"]["agb"], files, store.step, budget, wanted, bar.update)
    if not len(domain):
        return domain
    for name, layers in maps.items():
        if name not in ("root_shoot", "growth", "agb"):
            add(layers, layers)
    for stream in surveyed.products.streams.values():
        check_covered(domain, stream.series, store.step)
    if "sla" in domain.statics:
        domain.statics["lcma"] = leaf_mass(domain.statics["sla"])
    check_plausible(surveyed.products, domain, files)
    return domain


def leaf_mass(area: np.ndarray) -> np.ndarray:
    """Return leaf carbon per area, gC m-2, of specific leaf area, m2 kg-1: 0.5 g C a g of leaf (docs/ingest.md)."""
    with np.errstate(divide="ignore"):
        mass = np.where(area > 0, CARBON_OF_LEAVES * 1000.0 / area, np.nan)
    return mass.astype(np.float32).astype(np.float64)
