"""The survey before patches are made: all products by their headers, and all that is wrong with them at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phloem.io.files.time_axis import StampsAt
from phloem.io.global_products.months_of_series import MonthlySeries, StoreMonths, months_of_years
from phloem.io.global_products.patch_catalogue import MAPS, MONTHLY
from phloem.io.global_products.patch_products import (
    FORCING_TABLES,
    PatchProducts,
    find_maps,
    find_plant_types,
    find_series,
    find_soil_carbon,
    find_weather,
    refuse_holes,
)
from phloem.io.global_products.refusals import Refusals
from phloem.io.global_products.tower_records import TowerRecords, read_tower_file, read_tower_tables
from phloem.io.products.carbon_dioxide import read_monthly_co2
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries
from phloem.jobs.config.ingest_file import paths_of
from phloem.jobs.config.own_variables import own_variables
from phloem.jobs.config.patches_file import PatchesFile, check_towers, patch_choices
from phloem.jobs.ingest.survey import note_of, one_table
from phloem.names import PATCH_STREAMS, PREDICTOR_GROUPS


@dataclass
class PatchSurvey:
    """Products of an ingest file, found and checked by their headers.

    Attributes:
        file: the ingest file.
        products: what they are.
        tables: files that are no grids.
        notes: what was found and converted, for the log.
    """

    file: PatchesFile
    products: PatchProducts
    tables: list[Path]
    notes: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> list[Path]:
        """All files that are read."""
        return [*(path for one in self.products.series for path in one.paths), *self.tables]

    @property
    def sources(self) -> dict[str, str]:
        """Titles of the products, by the name of their table."""
        found = dict.fromkeys(self.file.products, "table")
        for series in self.products.series:
            found[series.choice.name] = series.choice.product.title
        return dict(sorted(found.items()))


def survey_patches(file: PatchesFile, base: Path, files: OpenFiles) -> PatchSurvey:
    """Read the headers of all products.

    Args:
        file: the ingest file.
        base: folder from which its paths count.
        files: open files.

    Raises:
        InputError: all that is wrong: missing files and variables, unknown units, unusable grids and calendars, months
            that are missing.
    """
    choices, stamps = patch_choices(file, base), file.stamps
    months = months_of_years(file.store.years[0], file.store.years[1])
    refusals, tables = Refusals(), []
    weather = {name: one for name, one in choices.items() if name in ("forcing", *FORCING_TABLES)}
    forcing: dict[str, list[MonthlySeries]] = {}
    moisture, towers, co2 = None, None, np.zeros(0)
    plants: dict[str, list[ProductSeries]] = {}
    maps: dict[str, ProductSeries] = {}
    carbon: list[ProductSeries] = []
    notes: list[str] = []
    with refusals.gather():
        forcing, moisture = find_weather(weather, stamps, months, files)
    series: dict[str, list[MonthlySeries]] = {}
    for name in MONTHLY:
        if name in choices:
            with refusals.gather():
                series[name] = find_series(name, name, choices, stamps, months, files)
                if name == "burned_area":
                    refuse_holes(series[name], months)
    with refusals.gather():
        plants = find_plant_types(choices["pft"], files)
    with refusals.gather():
        maps = find_maps({name: one for name, one in choices.items() if name in MAPS}, files)
    if "soil_carbon" in choices:
        with refusals.gather():
            carbon = find_soil_carbon(choices["soil_carbon"], files)
    with refusals.gather():
        table = one_table(file.products["co2"], "co2", base)
        tables.append(table)
        co2, how = read_monthly_co2(table, (file.store.years[0], file.store.years[1]))
        notes.append(f"co2: {table.name}: {how}")
    if "towers" in file.products:
        with refusals.gather():
            towers = _towers(file, base, months)
            tables += towers.paths
    refusals.refuse("ingest file")
    forcing["burned_area"] = series.pop("burned_area")
    gpp = series.pop("gpp", [])
    found = PatchProducts(
        file.grid, months, forcing, moisture, series, gpp, file.herbaceous, maps, plants, carbon, co2, towers
    )
    return PatchSurvey(file, found, tables, [*_notes(found), *notes])


def _towers(file: PatchesFile, base: Path, months: StoreMonths) -> TowerRecords:
    section = file.products["towers"]
    if check_towers(section) == "fluxnet":
        return read_tower_tables(Path(paths_of(section, base)[0]), months)
    stamps: StampsAt = section.stamps or "begin"
    path = one_table(section, "towers", base)
    return read_tower_file(path, months, own_variables(section.variables), stamps)


def _notes(products: PatchProducts) -> list[str]:
    notes = []
    for one in products.varying:
        covered = one.covered
        ends = products.months.name(int(covered[0])), products.months.name(int(covered[-1]))
        notes.append(note_of(one.series))
        notes.append(f"  {one.key}: {len(covered)} of {products.months.count} months, {ends[0]} to {ends[1]}")
        notes += [f"  {note}" for note in one.notes]
    if products.moisture is not None:
        notes.append(f"vpd from {products.moisture.variable.long_name}: the mean of the deficits at tasmin and tasmax")
    cover = products.plant_types["NF"][0]
    notes += [note_of(one) for one in (cover, *products.maps.values(), *products.soil_carbon)]
    given = products.given
    for group, names in PREDICTOR_GROUPS.items():
        if absent := [name for name in names if name not in given]:
            notes.append(f"predictors {group}: no {', '.join(absent)}: NaN in the store; no set-up can use this group")
    own = [name for name in ("MAT", "MAP") if name not in products.maps]
    if own:
        notes.append(f"{' and '.join(own)}: from the forcing, over all its months")
    coarse = [name for name in PATCH_STREAMS if name in products.labels]
    notes += [f"{name}: means over whole patches" for name in coarse]
    if products.gpp:
        notes.append(f"biomass: with that of herbs, of the shares of {', '.join(products.herbaceous)} and mean GPP")
    return notes
