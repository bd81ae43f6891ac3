"""The products that make a patch store, found and checked by their headers: weather, labels, maps, land cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from phloem.errors import InputError, some
from phloem.io.drivers.moisture import MOISTURES, PLACE_OF_VPD, PRESSURE, Moisture, find_moisture, outweighed
from phloem.io.global_products.boxes import BoxGrid
from phloem.io.global_products.months_of_series import MonthlySeries, StoreMonths, joined, monthly_series
from phloem.io.global_products.patch_catalogue import IGBP, LATER, PLANT_TYPES
from phloem.io.global_products.refusals import Refusals
from phloem.io.global_products.tower_records import TowerRecords
from phloem.io.products.catalogue import Choice, Field
from phloem.io.products.layouts import find_variable
from phloem.io.products.raw_files import OpenFiles, expand
from phloem.io.products.series import ProductSeries, said_by, scan
from phloem.names import PATCH_FORCING

WEATHER = ("tasmin", "tasmax", "rsds", "pr")
"""Forcing that is read as it is; the deficit may be made of other variables."""


@dataclass(frozen=True, eq=False)
class PatchProducts:
    """All that a patch store is made of, still in its files.

    Attributes:
        grid: boxes and cells.
        months: of the store.
        forcing: variables by their names here, each as one product or as one and a later one.
        moisture: what the deficit is made of, None where it is there itself.
        labels: of cells and months, and of patches and months, by stream.
        gpp: of which herbaceous biomass is made; empty where there is none.
        herbaceous: plant types that are herbaceous.
        maps: predictors by name.
        plant_types: land cover, by plant type and `water`, each the sum of some layers.
        soil_carbon: the sum of some maps; empty where there is none.
        co2: ppm of each month, (months,).
        towers: None where there are none.
    """

    grid: BoxGrid
    months: StoreMonths
    forcing: Mapping[str, Sequence[MonthlySeries]]
    moisture: Moisture | None
    labels: Mapping[str, Sequence[MonthlySeries]]
    gpp: Sequence[MonthlySeries]
    herbaceous: tuple[str, ...]
    maps: Mapping[str, ProductSeries]
    plant_types: Mapping[str, Sequence[ProductSeries]]
    soil_carbon: Sequence[ProductSeries]
    co2: np.ndarray
    towers: TowerRecords | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def varying(self) -> list[MonthlySeries]:
        """What varies in time, on grids."""
        return [one for parts in (*self.forcing.values(), *self.labels.values(), self.gpp) for one in parts]

    @property
    def series(self) -> list[ProductSeries]:
        """All that is read of grids."""
        cover = [one for parts in self.plant_types.values() for one in parts]
        return [*(one.series for one in self.varying), *self.maps.values(), *cover, *self.soil_carbon]

    @property
    def given(self) -> tuple[str, ...]:
        """Predictors that the store will have."""
        return (*PLANT_TYPES, "MAT", "MAP", *(name for name in self.maps if name not in ("MAT", "MAP")))


def scan_table(choice: Choice, files: OpenFiles) -> dict[str, ProductSeries]:
    """Return the variables of a table's files by their names here.

    Raises:
        InputError: as of `scan`; a name that the user gives and no file has.
    """
    found = scan(choice, files)
    for key, name in choice.variables.items():
        if key not in found:
            path = expand(choice.patterns, f"[products.{choice.name}]")[0]
            raise InputError(
                f"[products.{choice.name}]: no file has {name!r}; {path.name} has "
                f"{some(sorted(files.get(path).names()), most=40)}"
            )
    return found


def find_series(
    table: str, key: str, choices: Mapping[str, Choice], stamps: Mapping[str, str], months: StoreMonths,
    files: OpenFiles,
) -> list[MonthlySeries]:  # fmt: skip
    """Return the variable of a table of one, and of its later product, where they are given.

    Args:
        table: name of the table.
        key: what it is in the store.
        choices: of all tables.
        stamps: what the user says of stamps, by table.
        months: of the store.
        files: open files.

    Raises:
        InputError: a file that is not what it should be; a later product that adds no month.
    """
    found: list[MonthlySeries] = []
    refusals = Refusals()
    for name in (table, table + LATER):
        if name not in choices:
            continue
        with refusals.gather():
            scanned = scan_table(choices[name], files)
            one = monthly_series(name, key, next(iter(scanned.values())), months, stamps.get(name, ""))
            if not found:
                found.append(one)
            elif (rest := joined(found[0], one)) is not None:
                found.append(rest)
            else:
                raise InputError(f"{one.series.paths[0]}: [products.{name}] has no month that [products.{table}] lacks")
    refusals.refuse(f"[products.{table}]")
    return found


def refuse_holes(parts: Sequence[MonthlySeries], months: StoreMonths) -> None:
    """Refuse forcing that lacks months.

    Raises:
        InputError: which, and what there is.
    """
    covered = np.unique(np.concatenate([one.covered for one in parts]))
    missing = np.setdiff1d(np.arange(months.count), covered)
    if not len(missing):
        return
    series = parts[-1].series
    listed = some([months.name(int(place)) for place in missing], most=6)
    raise InputError(
        f"{series.paths[-1]}: variable {series.layouts[-1].name} of [products.{parts[-1].name}]: {len(missing)} of "
        f"{months.count} months are missing ({listed}); the files go from {series.date[0]} to {series.date[-1]}, and "
        "forcing must be complete"
    )


def find_weather(
    choices: Mapping[str, Choice], stamps: Mapping[str, str], months: StoreMonths, files: OpenFiles
) -> tuple[dict[str, list[MonthlySeries]], Moisture | None]:
    """Return the weather of a store: of the table `forcing`, and of tables of single variables, which outweigh it.

    Args:
        choices: of the tables, `forcing` and names of its variables.
        stamps: what the user says of stamps, by table.
        months: of the store.
        files: open files.

    Raises:
        InputError: all that is wrong: variables that no file has, months that are missing.
    """
    refusals = Refusals()
    told: set[str] = {name for name in choices if name != "forcing"}
    found: dict[str, MonthlySeries] = {}
    for table, choice in choices.items():
        with refusals.gather():
            said = {*told, *choice.variables, *choice.units}
            needless = {*outweighed(said), *(told if table == "forcing" else ())}
            for key, series in scan(choice, files, needless).items():
                with refusals.gather():
                    found[key] = monthly_series(table, key, series, months, stamps.get(table, ""))
    refusals.refuse("[products.forcing]")
    moisture = None
    if "vpd" not in found and (way := find_moisture(found.keys())) is not None:
        moisture = way[0]
    needed = [*WEATHER]
    if moisture is None:
        needed.append("vpd")
    else:
        needed += [moisture.variable.name, *([PRESSURE.name] if moisture.pressure else [])]
    if missing := [key for key in needed if key not in found]:
        instead = f" ({PLACE_OF_VPD} would do in the place of vpd)" if "vpd" in missing else ""
        there = ", ".join(one.series.layouts[0].name for one in found.values()) or "none"
        raise InputError(
            f"[products.forcing]: no file has {', '.join(missing)}{instead}; found are {there}; say what a file calls "
            f'one: variables.{missing[0]} = "...", or give it a table of its own, [products.{missing[0]}]'
        )
    for key in needed:
        with refusals.gather():
            refuse_holes([found[key]], months)
    refusals.refuse("[products.forcing]")
    return {key: [found[key]] for key in needed}, moisture


FORCING_TABLES = tuple(dict.fromkeys(
    (*(one for one in PATCH_FORCING if one != "burned_area"), *(one.variable.name for one in MOISTURES), PRESSURE.name)
))  # fmt: skip
"""Variables of the weather that may have tables of their own."""


def find_plant_types(choice: Choice, files: OpenFiles) -> dict[str, list[ProductSeries]]:
    """Return land cover by plant type and `water`.

    Raises:
        InputError: a class that no file has.
    """
    if choice.product.key == "mcd12c1":
        layers = {key: float(key.removeprefix("igbp_")) for key in choice.product.fields}
        found = scan(replace(choice, layers=layers), files)
        return {name: [found[f"igbp_{number}"] for number in numbers] for name, numbers in IGBP.items()}
    fields = dict(choice.product.fields)
    together = fields[PLANT_TYPES[0]]
    path = expand(choice.patterns, "[products.pft]")[0]
    given = choice.variables.get(PLANT_TYPES[0], "")
    name = find_variable(files.get(path), together, given)
    layers_of: dict[str, float | str] = {}
    if name is not None and len(files.get(path).header(name).shape) > 2:
        layers_of = {one: one for one in PLANT_TYPES}
    else:
        fields |= {one: Field(together.quantity, (one,), unit=together.unit) for one in PLANT_TYPES}
        choice = replace(choice, variables={key: one for key, one in choice.variables.items() if one != given})
    found = scan(replace(choice, product=replace(choice.product, fields=fields), layers=layers_of), files)
    if missing := [one for one in (*PLANT_TYPES, "water") if one not in found]:
        raise InputError(
            f"{path}: no share of {', '.join(missing)}; due are a variable pft_fraction along the ten plant types "
            f"({', '.join(PLANT_TYPES)}), or one of each, and water_fraction; the file has "
            f"{some(sorted(files.get(path).names()), most=40)}"
        )
    return {one: [found[one]] for one in (*PLANT_TYPES, "water")}


def find_maps(choices: Mapping[str, Choice], files: OpenFiles) -> dict[str, ProductSeries]:
    """Return maps of predictors by name.

    Raises:
        InputError: all that is wrong: a variable that no file of its table has.
    """
    refusals = Refusals()
    found: dict[str, ProductSeries] = {}
    for choice in choices.values():
        with refusals.gather():
            scanned = scan_table(choice, files)
            if missing := [key for key in choice.product.fields if key not in scanned]:
                raise InputError(
                    f"[products.{choice.name}]: no file has {', '.join(missing)}, of {', '.join(choice.product.fields)}"
                    f"; another name is given by {said_by(choice)}"
                )
            found |= scanned
    refusals.refuse("maps")
    return found


def find_soil_carbon(choice: Choice, files: OpenFiles) -> list[ProductSeries]:
    """Return the map of soil carbon, or those of topsoil and subsoil, which add up to it.

    Raises:
        InputError: one of the two alone.
    """
    found = scan_table(choice, files)
    if "soil_carbon" in found:
        return [found["soil_carbon"]]
    if set(found) != {"topsoil", "subsoil"}:
        here = next(iter(found.values()))
        raise InputError(
            f"{here.paths[0]}: variable {here.layouts[0].name} of [products.soil_carbon] is that of one layer alone; "
            "topsoil and subsoil are due (AWT_T_SOC and AWT_S_SOC), or soil_carbon"
        )
    return [found["topsoil"], found["subsoil"]]
