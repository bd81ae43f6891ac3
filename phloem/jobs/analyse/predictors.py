"""Predictors of an attribution: climate and statics of a campaign's drivers, maps and tables of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phloem.analysis.attribution.inputs import Predictor
from phloem.errors import InputError, some
from phloem.io.drivers.climate_means import CLIMATE, WEATHER, YEARS, climate_means, months_of, store_means
from phloem.io.drivers.tower_cell import Cell
from phloem.io.files.csv_table import Table
from phloem.io.files.units import conversion, convert
from phloem.io.references.maps import read_map
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.attribution_file import AttributionFile, PredictorSection
from phloem.jobs.config.paths import expand_path
from phloem.jobs.progress import ProgressBar, say

GROUPS = {"soil_": "soil", "pft_": "vegetation"}
"""Groups of a store's numbers by how their names begin; these are predictors where the file does not choose."""

OTHER_GROUPS = {"lcma": "vegetation", "cue": "vegetation", "root_shoot": "vegetation", "elevation": "terrain"}
"""Groups of numbers that are predictors only where the file names them; of others it is `store`."""

ORDER = ("soil", "vegetation")
"""In which groups of statics stand after climate; others follow."""

ID_COLUMNS = ("cell", "site")


def gather_predictors(campaign: Campaign, file: AttributionFile, base: Path) -> list[Predictor]:
    """Read all predictors at the cells of a campaign: climate first, then statics, then those of the file.

    Args:
        campaign: planned.
        file: which.
        base: folder from which the file's paths count.

    Raises:
        InputError: no predictor at all, two of one name, one that no cell has, or input that cannot be read.
    """
    predictors = _of_store(campaign, file) if campaign.configuration.data.is_store else _of_towers(campaign, file)
    predictors += [_read_own(campaign, one, number, base) for number, one in enumerate(file.predictors, 1)]
    names = [one.name for one in predictors]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two predictors are called {twice[0]!r}: give the one of [[predictors]] another name")
    if not predictors:
        raise InputError("no predictor: attribution.climate and statics are empty, and there is no [[predictors]]")
    return predictors


def coordinates(campaign: Campaign) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of the cells, float64 (cells,).

    A tower whose longitude was not known when the campaign was planned is looked up again: its drivers stay the same.

    Raises:
        InputError: a longitude that is still not known.
    """
    latitude, longitude = (np.array(campaign.cells.columns[axis], float) for axis in ("latitude", "longitude"))
    for place in np.flatnonzero(np.isnan(longitude)):
        planned = campaign.cells[int(place)]
        longitude[place] = campaign.read_unit(planned).longitude
        if np.isnan(longitude[place]):
            raise InputError(
                f"{planned.source}: cell {planned.name} has no longitude; maps and blocks of cells need it: write "
                "site_coords.csv beside the file, with columns SITE_ID, lat, lon"
            )
    return latitude, longitude


def _climate(file: AttributionFile, means: dict[str, np.ndarray]) -> list[Predictor]:
    return [Predictor(name, "climate", *CLIMATE[name], means[name]) for name in file.attribution.climate]


def _of_towers(campaign: Campaign, file: AttributionFile) -> list[Predictor]:
    """Climate of each tower, over its record where no years are asked for."""
    section = file.attribution
    if section.statics:
        raise InputError(
            f"statics: {campaign.paths.root} is a campaign of towers, and their files have none; bring them by "
            "[[predictors]], from a map or a table"
        )
    means = {name: np.full(len(campaign.cells), np.nan) for name in CLIMATE}
    if not section.climate:
        return []
    years = (section.years[0], section.years[1]) if section.years else None
    with ProgressBar("climate", len(campaign.cells)) as bar:
        for place, planned in enumerate(campaign.cells):
            cell = campaign.read_unit(planned)
            assert isinstance(cell, Cell)
            year = cell.dates.astype("datetime64[Y]").astype(np.int64) + 1970
            months = months_of(year, cell.doy, "standard", years, cell.source)
            if lacking := [name for name in WEATHER if name not in cell.forcing]:
                raise InputError(
                    f"climate: {cell.source} has been read without {', '.join(lacking)}, which the model does not "
                    "read; write climate = [] in [attribution], and bring [[predictors]]"
                )
            weather = {name: cell.forcing[name][None] for name in WEATHER}
            for name, values in climate_means(weather, months).items():
                means[name][place] = values[0]
            bar.update(place + 1, planned.name)
    return _climate(file, means)


def _of_store(campaign: Campaign, file: AttributionFile) -> list[Predictor]:
    section = file.attribution
    if not section.climate and section.statics == []:
        return []
    years = (section.years[0], section.years[1]) if section.years else YEARS
    columns = campaign.cells.columns
    with ProgressBar("climate", len(campaign.cells)) as bar:
        means = store_means(
            campaign.paths.root, columns["source"], columns["name"], columns["checksum"], years, bar.update
        )
    chosen = section.statics
    if chosen is None:
        chosen = [name for name in means.statics if name.startswith(tuple(GROUPS))]
    if lacking := [name for name in chosen if name not in means.statics]:
        raise InputError(
            f"statics: the driver store has no {lacking[0]!r}; it has {', '.join(means.statics) or 'none at all'}"
        )
    groups = {**dict.fromkeys(means.statics, "store"), **OTHER_GROUPS}
    groups |= {name: GROUPS[start] for name in means.statics for start in GROUPS if name.startswith(start)}
    statics = [Predictor(name, groups[name], *_meaning(name, means.meanings), means.statics[name]) for name in chosen]
    statics.sort(key=lambda one: ORDER.index(one.group) if one.group in ORDER else len(ORDER))
    return _climate(file, means.climate) + statics


def _meaning(name: str, known: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """Return unit and long name of a store's number; the store gives a layer of the user's own its bare name."""
    unit, meaning = known[name]
    if meaning == name:
        start = next((one for one in GROUPS if name.startswith(one)), "")
        meaning = {"soil_": "soil ", "pft_": "area of "}.get(start, "") + name.removeprefix(start).replace("_", " ")
    return unit, meaning


def _read_own(campaign: Campaign, section: PredictorSection, number: int, base: Path) -> Predictor:
    """Read a predictor of the user's own.

    Raises:
        InputError: the message begins with the predictor.
    """
    where = f"[[predictors]] {number} ({section.name})"
    try:
        path = expand_path(section.path, base)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        read = _from_table if section.is_table else _from_map
        parts, units, meaning, extent = read(campaign, section, path)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    values = parts[0]
    if section.ratio:
        values = np.divide(parts[0], parts[1], out=np.full(len(values), np.nan), where=parts[1] != 0)
        units, meaning = "1", " / ".join(section.ratio)
    elif section.units and section.scale == 1 and units not in ("", section.units):
        factors = conversion(units, section.units)
        if factors is None:
            say(f"{where}: {path} gives {units!r}, taken as {section.units!r}")
        else:
            values = values * factors[0] + factors[1]
    values = np.where(np.isfinite(values), values * section.scale, np.nan)
    if not np.isfinite(values).any():
        raise InputError(
            f"{where}: {path}: {' / '.join(section.variables)} has no value at any of the {len(values)} cells"
            + (f"; the file has {extent}" if extent else "")
        )
    units = units if section.units is None else section.units
    return Predictor(
        section.name, section.group, units, section.long_name or meaning or section.name.replace("_", " "), values
    )


Read = tuple[list[np.ndarray], str, str, str]
"""Values of the variables at the cells, unit and long name of the first, and what the file covers."""


def _from_map(campaign: Campaign, section: PredictorSection, path: Path) -> Read:
    places, names = coordinates(campaign), campaign.cells.names
    maps = [
        read_map(path, name, *places, campaign.step, section.select, section.method, names=names)
        for name in section.variables
    ]
    parts = [map_.values for map_ in maps]
    for name, map_ in zip(section.variables, maps, strict=True):
        for note in map_.notes:
            say(f"{section.name}: {path}: variable {name}: {note}")
    if section.ratio and section.scale == 1 and section.units in (None, "1"):  # else the file says what the quotient is
        above, below = (map_.units for map_ in maps)
        if above and below:
            where = f"{path}: ratio is of one unit, else say its units: variable {section.ratio[1]}"
            parts[1] = convert(parts[1], below, above, where)
        else:
            blank = " and ".join(name for name, map_ in zip(section.ratio, maps, strict=True) if not map_.units)
            both = " and ".join(section.ratio)
            say(f"{section.name}: {path}: {blank} without units, {both} are taken as of the same unit")
    return parts, maps[0].units, maps[0].long_name, maps[0].extent


def _from_table(campaign: Campaign, section: PredictorSection, path: Path) -> Read:
    """Read columns of a CSV table by cell id."""
    table = Table(path)
    column = next((name for name in ID_COLUMNS if name in table.columns), None)
    if column is None:
        raise InputError(
            f"{path}: a column {' or '.join(ID_COLUMNS)} of cell ids is due; the table has {', '.join(table.columns)}"
        )
    table.require(section.variables)
    places = {name: place for place, name in enumerate(campaign.cells.names)}
    parts = [np.full(len(places), np.nan) for _ in section.variables]
    seen: set[str] = set()
    for row in table.rows():
        name = row.values[column]
        if name in seen:
            raise InputError(f"{row.where}: {column} {name} stands twice")
        seen.add(name)
        if name not in places:
            continue
        for values, variable in zip(parts, section.variables, strict=True):
            values[places[name]] = row.optional(variable)
    if not seen & set(places):
        raise InputError(
            f"{path}: none of its {len(seen)} ids is a cell of {campaign.paths.root}: {some(sorted(seen), most=3)}; "
            f"cells are called {some(campaign.cells.names, most=3)}"
        )
    return parts, "", "", ""
