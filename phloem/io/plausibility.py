"""A look at a few days of all products before an ingest: values beyond all measure show another unit than is said."""

from __future__ import annotations

import numpy as np

from phloem.errors import InputError
from phloem.io.cell_records import Products, gathers_of
from phloem.io.domain import Domain
from phloem.io.raw_files import OpenFiles
from phloem.io.regular_grid import gather, grid_boxes
from phloem.io.series import Series

_SAMPLE = 2000

_DIM = 0.5
"""MJ m-2 d-1 that are exceeded on the brighter of a day in January and one in June, wherever there is forest."""
_SAMPLE = 2000

_DIM = 0.5
"""MJ m-2 d-1 that are exceeded on the brighter of a day in January and one in June, wherever there is forest."""


def check_plausible(products: Products, domain: Domain, files: OpenFiles) -> None:
    """Look at two days of each product in some cells: values beyond all measure show another unit than is said.

    Args:
        products: what will be read.
        domain: the cells.
        files: open files.

    Raises:
        InputError: more than one in a hundred values are impossible.
    """
    some = np.unique(np.linspace(0, len(domain) - 1, min(len(domain), _SAMPLE)).astype(np.int64))
    boxes = grid_boxes(domain.latitude[some], domain.longitude[some], products.step)
    forcing = products.forcing
    gathers = gathers_of(forcing, boxes)
    names = [domain.names[cell] for cell in some]
    brightest = 0.0
    for key, series in forcing.series.items():
        for day in (0, min(180, len(forcing.days) - 1)):
            begin = forcing.starts[key] + day * forcing.a_day
            values = series.read(files, gathers[key], begin, begin + forcing.a_day)
            _check_sample(series, begin, values, names)
            if key == "rsds" and not np.isnan(values).all():
                brightest = max(brightest, float(np.nanmax(values)))
    if brightest < _DIM:
        series = forcing.series["rsds"]
        raise InputError(
            f"{series.where(forcing.starts['rsds'])}: at most {brightest:.2g} {series.quantity.unit} in January and in "
            f"June: another unit than {series.layouts[0].unit!r}?"
        )
    for stream in products.streams.values():
        pixels = gather(stream.series.grid, domain.boxes(some, products.step, filtered=True), len(some))
        for place in (0, len(stream.steps) // 2):
            step = int(stream.steps[place])
            _check_sample(stream.series, step, stream.series.read(files, pixels, step, step + 1), names)


def _check_sample(series: Series, step: int, values: np.ndarray, names: list[str]) -> None:
    quantity = series.quantity
    wrong = (values < quantity.lowest - quantity.slack) | (values > quantity.highest)
    if wrong.sum() <= 0.01 * np.sum(~np.isnan(values)):
        return
    place = tuple(np.argwhere(wrong)[0])
    layout = series.layouts[int(series.file[step])]
    raise InputError(
        f"{series.where(step)}: {values[place]:g} {quantity.unit} at {names[place[1]]}, outside {quantity.lowest:g}.."
        f"{quantity.highest:g}, as in {int(wrong.sum())} of {wrong.size} values looked at: another unit than "
        f"{layout.unit!r}?"
    )
