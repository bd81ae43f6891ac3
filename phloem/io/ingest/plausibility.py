"""Sample of all products before an ingest: values beyond all measure betray another unit than is stated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.file_grid import gather, grid_boxes
from phloem.io.ingest.cell_records import Products, gathers_of
from phloem.io.ingest.domain import Domain
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries
from phloem.names import PERIOD

_SAMPLE = 2000

DIM = 0.5
"""MJ m-2 d-1 that are exceeded on the brighter of a day in January and one in June, wherever there is forest."""

FLOORS = {"pr": 0.1, "gpp": 0.1, "reco": 0.1, "et": 0.05, "lai": 0.1}
"""What the greatest value of a sample over all seasons reaches, in the unit here, wherever there is forest."""

_STEPS, _LEAST_STEPS = 12, 7
"""Steps that are looked at, one in each month of the year, and those of them that must have a value to be judged."""

SPAN = 300
"""Days that a record must span to be judged by its greatest value: a winter is no year."""

_RAIN_DAYS = 366
"""Days that are looked at before rain is called too little: it falls on few of them where it is dry."""

DRY = 0.5
"""mm d-1 of rain in the wettest cell below which leaves and fluxes may be as small as they like: a desert."""

Read = Callable[[int], np.ndarray]


def check_plausible(products: Products, domain: Domain, files: OpenFiles) -> None:
    """Look at some steps of each product in some cells: values beyond all measure show another unit than is said.

    Args:
        products: what will be read.
        domain: the cells.
        files: open files.

    Raises:
        InputError: more than one in a hundred values are impossible, or none is as large as some must be.
    """
    some = np.unique(np.linspace(0, len(domain) - 1, min(len(domain), _SAMPLE)).astype(np.int64))
    boxes = grid_boxes(domain.latitude[some], domain.longitude[some], products.step)
    forcing = products.forcing
    gathers = gathers_of(forcing, boxes)
    names = [domain.names[cell] for cell in some]
    brightest, wettest = 0.0, np.inf
    for key, series in forcing.series.items():

        def read_day(begin: int, key: str = key, series: ProductSeries = series) -> np.ndarray:
            return series.read(files, gathers[key], begin, begin + forcing.a_day)

        begins = forcing.starts[key] + forcing.a_day * np.arange(len(forcing.days))
        if key == "pr":
            wettest = _check_rain(series, begins, read_day, names)
            continue
        for begin in begins[[0, min(180, len(begins) - 1)]]:
            values = read_day(int(begin))
            check_sample(series, int(begin), values, names)
            if key == "rsds" and not np.isnan(values).all():
                brightest = max(brightest, float(np.nanmax(values)))
    if brightest < DIM:
        series = forcing.series["rsds"]
        raise InputError(
            f"{series.where(forcing.starts['rsds'])}: at most {brightest:.2g} {series.quantity.unit} in January and in "
            f"June; the file says {series.layouts[0].unit!r}"
        )
    for key, stream in products.streams.items():
        series = stream.series
        pixels = gather(series.grid, domain.boxes(some, products.step, filtered=True), len(some))
        for steps in _by_unit(series, stream.steps):
            chosen = over_the_seasons(series.date[steps])
            values = np.full((len(chosen), len(some)), np.nan)
            for row, step in zip(values, steps[chosen], strict=True):
                row[:] = series.read(files, pixels, int(step), int(step) + 1)[0]
                check_sample(series, int(step), row[None], names)
            if key in FLOORS and wettest >= DRY and is_too_small(values, series.date[steps], FLOORS[key]):
                raise _too_small(series, int(steps[0]), float(np.nanmax(values)), len(values))


def over_the_seasons(dates: np.ndarray) -> np.ndarray:
    """Return places of some dates that are spread over all years, one in each month of the year; ascending.

    Steps at equal distances would not do: of eleven years, twelve such steps are all in January.

    Args:
        dates: ascending, datetime64[D] (steps,).
    """
    span = int((dates[-1] - dates[0]).astype(int)) + 1
    if span < SPAN:
        return np.unique(np.linspace(0, len(dates) - 1, min(len(dates), _STEPS)).astype(np.int64))
    years = max(1, round(span / PERIOD))
    number = np.arange(_STEPS)
    days = PERIOD * (number * years // _STEPS) + PERIOD * number / _STEPS
    wanted = dates[0] + days.astype(np.int64)
    return np.unique(np.minimum(np.searchsorted(dates, wanted), len(dates) - 1))


def is_too_small(values: np.ndarray, dates: np.ndarray, floor: float) -> bool:
    """Return whether a sample is below a floor throughout; zeros alone are no sign of a unit, nor are a few months.

    Args:
        values: (steps, cells), of `over_the_seasons`.
        dates: of all steps from which they were taken.
        floor: what some value reaches.
    """
    there = ~np.isnan(values)
    if (dates[-1] - dates[0]).astype(int) + 1 < SPAN or there.any(axis=1).sum() < _LEAST_STEPS:
        return False
    return bool(0.0 < np.nanmax(values) < floor)


def _check_rain(series: ProductSeries, begins: np.ndarray, read: Read, names: list[str]) -> float:
    """Look at rain; return the mean of the wettest cell, mm d-1."""
    wettest = np.inf
    for own in _by_unit(series, begins):
        chosen = own[over_the_seasons(series.date[own])]
        days = np.full((len(chosen), len(names)), np.nan)
        for row, begin in zip(days, chosen, strict=True):
            values = read(int(begin))
            check_sample(series, int(begin), values, names)
            row[:] = values.mean(axis=0)
        floor = FLOORS["pr"]
        if is_too_small(days, series.date[own], floor):
            more = np.unique(np.linspace(0, len(own) - 1, min(len(own), _RAIN_DAYS)).astype(np.int64))
            most = float(np.nanmax(days))
            for begin in own[more]:
                most = max(most, float(np.nan_to_num(read(int(begin)).mean(axis=0)).max()))
                if most >= floor:
                    break
            else:
                raise _too_small(series, int(own[0]), most, len(more))
        if not np.isnan(days).all():
            there = ~np.isnan(days)
            mean = np.where(there, days, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
            wettest = min(wettest, float(mean.max()))
    return wettest


def _by_unit(series: ProductSeries, steps: np.ndarray) -> list[np.ndarray]:
    """Steps, apart by the units that their files state."""
    units = np.array([layout.unit for layout in series.layouts])[series.file[steps]]
    return [steps[units == unit] for unit in np.unique(units)]


def _too_small(series: ProductSeries, step: int, most: float, steps: int) -> InputError:
    layout = series.layouts[int(series.file[step])]
    return InputError(
        f"{layout.path}: variable {layout.name}: at most {most:.2g} {series.quantity.unit} in {steps} steps of all "
        f"seasons, less than {FLOORS[series.key]:g}; the file says {layout.unit!r}"
    )


def check_sample(series: ProductSeries, step: int, values: np.ndarray, names: list[str]) -> None:
    """Refuse a step of which more than one in a hundred values are impossible.

    Args:
        series: the variable.
        step: of it, for the message.
        values: (steps, cells).
        names: of the cells.
    """
    quantity = series.quantity
    wrong = (values < quantity.lowest - quantity.slack) | (values > quantity.highest)
    if wrong.sum() <= 0.01 * np.sum(~np.isnan(values)):
        return
    place = tuple(np.argwhere(wrong)[0])
    layout = series.layouts[int(series.file[step])]
    raise InputError(
        f"{series.where(step)}: {values[place]:g} {quantity.unit} at {names[place[1]]}, outside {quantity.lowest:g}.."
        f"{quantity.highest:g}, as in {int(wrong.sum())} of {wrong.size} values looked at; the file says "
        f"{layout.unit!r}"
    )
