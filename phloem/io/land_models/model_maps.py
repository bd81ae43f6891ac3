"""Years of many land models on one grid, kept in a folder: a year of all of them is in memory at once, no more.

A year of one quantity of 20 models at half a degree takes 41 MB in memory, and each year of a model 1 MB on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from phloem.errors import InputError
from phloem.io.land_models.land_model import DERIVED, ModelFindings, YearMap, sum_in_words
from phloem.io.land_models.model_files import QUANTITIES
from phloem.io.land_models.rectilinear import AreaMeans, Rectilinear


class ModelYears(Protocol):
    """What gives years of carbon quantities: `LandModel`, `SimulationModel`."""

    name: str
    findings: ModelFindings

    def has(self, quantity: str) -> bool:
        """Return whether there is a quantity."""

    def years(self, quantity: str) -> list[int]:
        """Return its whole years."""

    def annual(self, quantity: str, years: Iterable[int] | None = None) -> Iterator[YearMap]:
        """Give its years."""


class ModelMaps:
    """Annual maps of models on one grid, in files.

    Attributes:
        names: of the models.
        years: ascending.
        grid: that all are on.
    """

    def __init__(self, folder: Path, names: Sequence[str], years: Sequence[int], grid: Rectilinear) -> None:
        self.folder, self.names, self.years, self.grid = folder, list(names), list(years), grid
        self._maps: dict[tuple[str, str], np.memmap] = {}

    def put(self, name: str, quantity: str, year: int, values: np.ndarray) -> None:
        """Keep one map, (rows, columns)."""
        key = (name, quantity)
        if key not in self._maps:
            path = self.folder / f"{self.names.index(name)}_{quantity}.npy"
            shape = (len(self.years), *self.grid.shape)
            self._maps[key] = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            self._maps[key][:] = np.nan
        self._maps[key][self.years.index(year)] = values

    def get(self, quantity: str, year: int) -> np.ndarray:
        """Return a year of all models, float64 (models, rows, columns), NaN where a model has none."""
        place = self.years.index(year)
        found = np.full((len(self.names), *self.grid.shape), np.nan)
        for number, name in enumerate(self.names):
            if (name, quantity) in self._maps:
                found[number] = self._maps[name, quantity][place]
        return found

    def has(self, name: str, quantity: str) -> bool:
        """Return whether a model has a quantity."""
        return (name, quantity) in self._maps

    def drop(self, name: str, quantity: str) -> None:
        """Forget a quantity of a model."""
        self._maps.pop((name, quantity), None)


def gather_models(
    models: Sequence[ModelYears],
    grid: Rectilinear,
    folder: Path,
    years: Sequence[int] | None = None,
    on_progress: Callable[[int, str], None] | None = None,
) -> ModelMaps:
    """Bring all models to one grid.

    A quantity whose file cannot be used is noted in the model's findings and left out; what a model lacks is made from
    its other maps, as in `DERIVED`.

    Args:
        models: those of an archive.
        grid: onto which they are averaged, weighted by area.
        folder: empty, for the maps.
        years: those that are wanted; None: all that any model has of gpp.
        on_progress: is told how many quantities of models are done, and of which model.

    Raises:
        InputError: no model has any of the years.
    """
    have = sorted({year for model in models for year in model.years("gpp")})
    wanted = have if years is None else [year for year in years if year in have]
    if not wanted:
        span = f"{have[0]}-{have[-1]}" if have else "none with gpp"
        raise InputError(f"land models: no year that is wanted; they have {span}")
    maps = ModelMaps(folder, [model.name for model in models], wanted, grid)
    done = 0
    for model in models:
        means: list[AreaMeans] = []
        for quantity in QUANTITIES:
            if model.has(quantity):
                _gather(model, quantity, maps, means)
            done += 1
            if on_progress is not None:
                on_progress(done, model.name)
        _derive(model, maps)
        lacking = [year for year in wanted if year not in model.years("gpp")]
        if lacking:
            model.findings.see([f"no gpp of {', '.join(map(str, lacking))}"])
    return maps


def _gather(model: ModelYears, quantity: str, maps: ModelMaps, means: list[AreaMeans]) -> None:
    try:
        for year, values, own in model.annual(quantity, maps.years):
            if not means or not means[0].source.same(own):
                means[:] = [AreaMeans(own, maps.grid)]
            maps.put(model.name, quantity, year, means[0].regrid(values)[0])
    except InputError as error:
        model.findings.refused.setdefault(quantity, str(error))
        maps.drop(model.name, quantity)


def _derive(model: ModelYears, maps: ModelMaps) -> None:
    for quantity, ways in DERIVED.items():
        for parts in ways:
            if maps.has(model.name, quantity) or not all(maps.has(model.name, part) for part, _ in parts):
                continue
            number = maps.names.index(model.name)
            for year in maps.years:
                values = sum(sign * maps.get(part, year)[number] for part, sign in parts)
                maps.put(model.name, quantity, year, np.asarray(values))
            model.findings.derived[quantity] = sum_in_words(parts)
