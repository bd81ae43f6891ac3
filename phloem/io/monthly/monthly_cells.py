"""Cells of a driver store from monthly places: selection, respiration from its parts, and days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phloem.io.drivers.grid_cell import GridCell, calendar_days
from phloem.io.drivers.store import STATICS
from phloem.io.ingest.ingest_folder import Dropped
from phloem.io.monthly.downscaling import daily_forcing
from phloem.io.monthly.monthly_file import Monthly
from phloem.io.monthly.variable_names import SOIL_CARBON
from phloem.names import FORCING, STREAMS

INCOMPLETE = "monthly forcing is not complete"

SATURATED = 1.3
"""A month's deficit above so many times the saturation pressure at its mean Tmax is no deficit of that air."""


@dataclass(frozen=True, eq=False)
class MonthlyCells:
    """The cells that a file of monthly drivers gives.

    Attributes:
        monthly: the file; only its places at `kept` become cells.
        kept: positions of the places, from south to north and west to east, int64 (cells,).
        observations: monthly means by stream, float32 (places, months).
        withheld: those that no calibration may see, by the streams that have any.
        statics: numbers of the places by name, (places,).
        units: unit and long name of those that the program does not know.
        dropped: places that were left out, and why.
        nothing: places without any forcing at all, such as the sea of a grid.
        snapshot_year: of the biomass, None where the places have it in different years, or none.
        notes: for the log.
    """

    monthly: Monthly
    kept: np.ndarray
    observations: dict[str, np.ndarray]
    withheld: dict[str, np.ndarray]
    statics: dict[str, np.ndarray]
    units: dict[str, tuple[str, str]]
    dropped: list[Dropped]
    nothing: int
    snapshot_year: int | None
    notes: list[str]

    def cells(self, rain: str, light: str) -> Iterator[GridCell]:
        """Yield the cells, their forcing downscaled; `rain` and `light` as in `downscaling`."""
        file, lengths = self.monthly, self.monthly.lengths
        year, doy = calendar_days(file.first_year, file.last_year, file.calendar)
        last = np.cumsum(lengths) - 1
        starts = np.zeros(len(year), np.int8)
        starts[last - lengths + 1] = 1
        nothing = np.full(len(year), np.nan, np.float32)

        def on_last_days(values: np.ndarray) -> np.ndarray:
            found = nothing.copy()
            found[last] = values
            return found

        for place in self.kept.tolist():
            months = {name: file.values[name][place].astype(float) for name in FORCING}
            yield GridCell(
                name=file.names[place],
                latitude=float(file.latitude[place]),
                longitude=float(file.longitude[place]),
                calendar=file.calendar,
                year=year,
                doy=doy,
                forcing=daily_forcing(
                    months, lengths, file.names[place], float(file.latitude[place]), file.first_year, rain, light
                ),
                observations={name: on_last_days(self.observations[name][place]) for name in STREAMS},
                window_start=starts,
                evaporative_fraction=nothing,
                trajectory=nothing[:1],
                statics={name: float(values[place]) for name, values in self.statics.items()},
                withheld={name: on_last_days(values[place]) for name, values in self.withheld.items()},
            )


def monthly_cells(file: Monthly) -> MonthlyCells:
    """Decide which places become cells, and what is compared and known there."""
    notes = list(file.notes)
    nothing, dropped, kept = _places_with_forcing(file)
    order = np.lexsort((np.array(file.names)[kept], file.longitude[kept], file.latitude[kept]))
    kept = kept[order]
    observations, withheld = (
        _streams(file, values, what, notes) for values, what in ((file.values, ""), (file.withheld, "withheld "))
    )
    for name, values in withheld.items():
        both = np.isfinite(values) & np.isfinite(observations[name])
        if both.any():
            observations[name][both] = np.nan
            notes.append(f"{name}: {int(both.sum())} values stand among the withheld ones too: they are withheld")
    held = {name: values for name, values in withheld.items() if np.isfinite(values[kept]).any()}
    statics, units, year = _statics(file, kept, notes)
    _note_oddities(file, kept, notes)
    return MonthlyCells(file, kept, observations, held, statics, units, dropped, nothing, year, notes)


def _places_with_forcing(file: Monthly) -> tuple[int, list[Dropped], np.ndarray]:
    """Return the number of places without any forcing, those left out with reasons, and positions of the others."""
    lacking = np.stack([~np.isfinite(file.values[name]) for name in FORCING])
    lacking = np.broadcast_to(lacking, (len(FORCING), len(file.names), len(file.lengths)))
    crossed = file.values["tasmin"] > file.values["tasmax"]
    empty = lacking[[FORCING.index(name) for name in ("tasmin", "tasmax", "rsds", "pr")]].all(axis=(0, 2))
    dropped: list[Dropped] = []
    for place in np.flatnonzero((lacking.any(axis=(0, 2)) | crossed.any(axis=1)) & ~empty).tolist():
        reasons = []
        for row, name in enumerate(FORCING):
            months = np.flatnonzero(lacking[row, place])
            if len(months):
                reasons.append(f"{name} is missing in {len(months)} months, first {_month(file, int(months[0]))}")
        months = np.flatnonzero(crossed[place])
        if len(months):
            reasons.append(f"tasmin exceeds tasmax in {len(months)} months, first {_month(file, int(months[0]))}")
        where = float(file.latitude[place]), float(file.longitude[place])
        dropped.append((file.names[place], *where, INCOMPLETE, "; ".join(reasons)))
    fine = ~lacking.any(axis=(0, 2)) & ~crossed.any(axis=1)
    return int(empty.sum()), dropped, np.flatnonzero(fine)


def _month(file: Monthly, number: int) -> str:
    return f"{file.first_year + number // 12:04d}-{number % 12 + 1:02d}"


def _streams(file: Monthly, values: dict[str, np.ndarray], what: str, notes: list[str]) -> dict[str, np.ndarray]:
    """Return the observed streams; respiration is NBE + GPP where it is not given and nothing burns."""
    shape = len(file.names), len(file.lengths)
    found = {name: np.array(np.broadcast_to(values.get(name, np.float32(np.nan)), shape)) for name in STREAMS}
    if "nbe" not in values or "gpp" not in values:
        return found
    own = np.isfinite(found["reco"]).any(axis=1)
    if own.all():
        return found
    reco = np.where(own[:, None], np.float32(np.nan), values["gpp"] + values["nbe"])
    burned = file.values.get("burned_area", np.float32(0)) > 0
    fires = np.isfinite(reco) & burned
    if fires.any():
        notes.append(f"{what}reco: {int(fires.sum())} months that burn have none: NBE + GPP holds fire emissions")
    made = np.where(fires, np.float32(np.nan), reco)
    found["reco"] = np.where(own[:, None], found["reco"], made)
    negative = int((made < 0).sum())
    notes.append(
        f"{what}reco is NBE + GPP in {int(np.isfinite(made).sum())} months"
        + (f"; {negative} of them are negative, least {np.nanmin(made):.2f}, and are kept" if negative else "")
    )
    return found


def _statics(
    file: Monthly, kept: np.ndarray, notes: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, str]], int | None]:
    """Return the numbers of the places, units of those that the program does not know, and the year of the biomass."""
    statics: dict[str, np.ndarray] = {}
    units: dict[str, tuple[str, str]] = {}
    year = None
    if "biomass" in file.values:
        values = file.values["biomass"]
        known = np.isfinite(values)
        last = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
        statics["biomass_snapshot"] = np.where(known.any(1), values[np.arange(len(values)), last], np.nan).astype(float)
        years = np.unique(file.first_year + last[known.any(1)] // 12)
        year = int(years[0]) if len(years) == 1 and values.shape[1] > 1 else None
        if year is not None:
            notes.append(f"biomass_snapshot: the last value of each place, of {year}")
    if "soil_carbon" in file.values:
        statics["soil_carbon"] = file.values["soil_carbon"][:, -1].astype(float)
        units["soil_carbon"] = (SOIL_CARBON.unit, SOIL_CARBON.long_name)
    for name, (numbers, unit) in file.numbers.items():
        if name not in statics:
            statics[name] = numbers
            units |= {} if name in STATICS else {name: (unit, name)}
    present = sorted({file.classes[place] for place in kept.tolist()} - {""}) if file.classes else []
    for label in present:
        name = "pft_" + re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
        statics[name] = np.array([float(other == label) for other in file.classes])
        units[name] = ("1", f"vegetation class {label}")
    return statics, units, year


def _note_oddities(file: Monthly, kept: np.ndarray, notes: list[str]) -> None:
    """Note what is odd about the kept places, though possible."""
    if not len(kept):
        return
    values = {name: np.broadcast_to(file.values[name], (len(file.names), len(file.lengths)))[kept] for name in FORCING}
    same: dict[bytes, int] = {}
    for place in range(len(kept)):
        key = b"".join(np.ascontiguousarray(values[name][place]).tobytes() for name in FORCING)
        same[key] = same.get(key, 0) + 1
    shared = sum(count for count in same.values() if count > 1)
    if shared:
        notes.append(f"{shared} places share their forcing with another: it is that of a grid cell, not of the place")
    saturation = 6.112 * np.exp(17.67 * values["tasmax"] / (values["tasmax"] + 243.5))  # hPa, Bolton (1980)
    odd = values["vpd"] > SATURATED * saturation
    if odd.any():
        notes.append(f"vpd: {int(odd.sum())} months exceed {SATURATED:g} times the saturation pressure at tasmax")
    if "soil_carbon" in file.values:
        notes.append("soil_carbon: kept as a predictor; it is no prior of the initial soil carbon")
    burned = file.values.get("burned_area")
    if burned is not None and not np.nanmax(burned[kept]) > 0:
        notes.append("burned_area: 0 in all months of all places; fires, if there were any, are not in this file")
