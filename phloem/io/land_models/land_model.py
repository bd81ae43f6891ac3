"""A land model as years of carbon fluxes and stocks, whatever its files look like, with what was found in them.

What models leave out is made from what they have: npp = gpp - ra and ra = gpp - npp; cVeg = cLeaf + cWood + cRoot and
one of these from the others. Stocks are those of 31 December: the last of the months; where they are annual means,
midway between those of two years.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.land_models.model_files import COVER, FLUXES, QUANTITIES, STOCKS, ModelFiles
from phloem.io.land_models.model_variable import (
    COMMON_YEAR,
    ModelVariable,
    ReadingOptions,
    days_of_months,
    open_variable,
)
from phloem.io.land_models.rectilinear import Rectilinear

DERIVED: dict[str, tuple[tuple[tuple[str, float], ...], ...]] = {
    "npp": ((("gpp", 1.0), ("ra", -1.0)),),
    "ra": ((("gpp", 1.0), ("npp", -1.0)),),
    "gpp": ((("npp", 1.0), ("ra", 1.0)),),
    "cVeg": ((("cLeaf", 1.0), ("cWood", 1.0), ("cRoot", 1.0)),),
    "cRoot": ((("cVeg", 1.0), ("cLeaf", -1.0), ("cWood", -1.0)),),
    "cWood": ((("cVeg", 1.0), ("cLeaf", -1.0), ("cRoot", -1.0)),),
    "cLeaf": ((("cVeg", 1.0), ("cWood", -1.0), ("cRoot", -1.0)),),
}
"""Sums by which a quantity that a model lacks is made."""

_NEAR = 0.2
"""Share by which vegetation carbon may differ from its parts where plant types are judged by them."""

PETAGRAM = 1e15

ANNUAL_MEAN = "annual mean"


@dataclass
class ModelFindings:
    """What was found in the files of one model.

    Attributes:
        model: its name.
        odd: what is unusual and was understood, in words.
        refused: files that cannot be used, by quantity, with why.
        derived: quantities that the model lacks and how they were made.
        stocks: "31 December" or "annual mean".
    """

    model: str
    odd: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    stocks: str = "31 December"

    def see(self, words: Iterable[str]) -> None:
        """Note what is odd, once."""
        self.odd += [one for one in words if one not in self.odd]

    def to_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""
        return {"odd": self.odd, "refused": self.refused, "derived": self.derived, "stocks": self.stocks}


YearMap = tuple[int, np.ndarray, Rectilinear]
"""Year; fluxes in gC m-2 yr-1 or stocks in gC m-2, float64 (rows, columns), NaN where missing; and the grid."""


class LandModel:
    """One model of an archive.

    Attributes:
        name: of its folder.
        findings: what was found so far; complete when all has been read.
    """

    def __init__(self, files: ModelFiles, options: ReadingOptions | None = None) -> None:
        self.files, self.options, self.name = files, options or ReadingOptions(), files.name
        self.findings = ModelFindings(files.name)
        self.findings.see(files.findings)
        self._months: int | None = None
        self._combined: dict[str, str] = {}
        named = {self.name, files.prefix} & set(self.options.annual_mean_stocks)
        if named:
            self.findings.stocks = ANNUAL_MEAN
            self.findings.see(
                [f"annual stocks are means, as said of {sorted(named)[0]}: 31 December is midway to the next year's"]
            )

    def has(self, quantity: str) -> bool:
        """Return whether there is a file of a quantity that has not been refused."""
        return quantity in self.files.files and quantity not in self.findings.refused

    def annual(self, quantity: str, years: Iterable[int] | None = None) -> Iterator[YearMap]:
        """Give years of a quantity on the model's own grid, from its own file.

        Args:
            quantity: of `QUANTITIES`.
            years: those that are wanted; None: all that the file has as a whole.

        Raises:
            InputError: no file, or one that cannot be used; it is refused from then on.
        """
        if not self.has(quantity):
            raise InputError(
                f"{self.name}: no {quantity}; {self.findings.refused.get(quantity, 'there is no such file')}"
            )
        path = self.files.files[quantity]
        try:
            how = self._how(quantity)
            with self._open(path, quantity) as variable:
                cover = self._cover() if how == "cover" else None
                steps = variable.steps
                assert steps is not None
                self._note(quantity, variable)
                have = steps.whole_years().tolist()
                means = quantity in STOCKS and steps.is_annual and self.findings.stocks == ANNUAL_MEAN
                for year in have if years is None else [year for year in years if year in have]:
                    values = _of_year(variable, year, cover)
                    yield year, _at_its_end(values, variable, year, cover) if means else values, variable.grid
                self.findings.see(variable.findings)
        except InputError as error:
            self.findings.refused[quantity] = str(error)
            raise

    def years(self, quantity: str) -> list[int]:
        """Return the whole years of a quantity's file; none where it is refused or missing."""
        if not self.has(quantity):
            return []
        try:
            with self._open(self.files.files[quantity], quantity) as variable:
                assert variable.steps is not None
                return [int(year) for year in variable.steps.whole_years()]
        except InputError as error:
            self.findings.refused[quantity] = str(error)
            return []

    def _open(self, path: Path, quantity: str) -> AbstractContextManager[ModelVariable]:
        if self._months is None:
            self._months = 0
            first = self.files.files.get("gpp")
            if first is not None and first.suffix != ".gz" and quantity != "gpp":
                with contextlib.suppress(InputError), open_variable(first, "gpp", self.options) as gpp:
                    self._months = 0 if gpp.steps is None or gpp.steps.is_annual else len(gpp.steps.year)
        return open_variable(path, quantity, self.options, monthly_steps=self._months)

    def _note(self, quantity: str, variable: ModelVariable) -> None:
        steps = variable.steps
        assert steps is not None
        if quantity in FLUXES and steps.is_annual:
            self.findings.see([f"{quantity} is annual"])
        if quantity in STOCKS and not steps.is_annual:
            self.findings.see(["stocks are monthly: the last of the year counts"])

    def _how(self, quantity: str) -> str:
        """How plant types are put together: "whole" (there are none), "sum" or "cover"."""
        if quantity in self._combined:
            return self._combined[quantity]
        with self._open(self.files.files[quantity], quantity) as variable:
            if not variable.plant_types:
                how = "whole"
            elif self.options.per_plant_type != "auto":
                how = self.options.per_plant_type
                self.findings.see([f"{quantity} is by plant type: {how}, as said"])
            else:
                how = self._judged(variable)
        if how == "cover" and not self.has(COVER):
            raise InputError(f"{self.files.files[quantity]}: {quantity} is by plant type and there is no {COVER}")
        self._combined[quantity] = how
        return how

    def _judged(self, variable: ModelVariable) -> str:
        """Contributions or densities: whichever agrees with what the model has of the whole cell."""
        quantity = variable.quantity
        assert variable.steps is not None
        year = int(variable.steps.whole_years()[-1])
        whole = self._from_others(quantity, year)
        if not self.has(COVER):
            self.findings.see([f"{quantity} is by plant type, without {COVER}: summed"])
            return "sum"
        if whole is None:
            self.findings.see([f"{quantity} is by plant type, with {COVER} and nothing to compare: weighted by it"])
            return "cover"
        off = {}
        for how, cover in (("sum", None), ("cover", self._cover())):
            total = _total(_of_year(variable, year, cover), variable.grid)
            off[how] = abs(total / whole - 1.0)
        how = min(off, key=lambda one: off[one])
        said = ", ".join(f"{name} {share:.1%}" for name, share in off.items())
        if off[how] > _NEAR:
            raise InputError(
                f"{variable.path}: {quantity} is by plant type, and neither its sum nor its mean by {COVER} is near "
                f"what the model's other variables give ({said} away)"
            )
        words = "contributions, summed" if how == "sum" else f"densities, weighted by {COVER}"
        self.findings.see([f"{quantity} is by plant type: {words} (from its parts: {said} away)"])
        return how

    def _from_others(self, quantity: str, year: int) -> float | None:
        for parts in DERIVED.get(quantity, ()):
            if not all(self.has(name) for name, _ in parts):
                continue
            total, found = 0.0, True
            for name, sign in parts:
                maps = list(self.annual(name, [year]))
                found = found and bool(maps)
                total += sign * _total(maps[0][1], maps[0][2]) if maps else 0.0
            if found and total:
                return total
        return None

    def _cover(self) -> Callable[[int], np.ndarray]:
        """Shares of plant types by year, (plant types, rows, columns)."""

        def read(year: int) -> np.ndarray:
            with self._open(self.files.files[COVER], COVER) as variable:
                if variable.steps is not None and year not in variable.steps.year:
                    raise InputError(f"{variable.path}: no {COVER} of {year}")
                (_, first), *_ = variable.parts(year)
            shares = first[0]
            return np.asarray(shares / 100.0 if np.nanmax(np.nansum(shares, axis=0)) > 2.0 else shares)

        return read


def _at_its_end(
    values: np.ndarray, variable: ModelVariable, year: int, cover: Callable[[int], np.ndarray] | None
) -> np.ndarray:
    """A stock on 31 December from its annual means: midway to the next year's, or as far beyond the last year's."""
    assert variable.steps is not None
    have = variable.steps.whole_years()
    if year + 1 in have:
        return 0.5 * (values + _of_year(variable, year + 1, cover))
    return values + 0.5 * (values - _of_year(variable, year - 1, cover)) if year - 1 in have else values


def _of_year(variable: ModelVariable, year: int, cover: Callable[[int], np.ndarray] | None) -> np.ndarray:
    """Fluxes summed over a year, stocks at its end: (rows, columns)."""
    steps = variable.steps
    assert steps is not None
    shares = None if cover is None else cover(year)
    days = days_of_months(year if steps.has_leap_years else COMMON_YEAR)
    weights = np.array([days.sum()]) if steps.is_annual else days
    total = np.zeros(variable.grid.shape)
    for places, values in variable.parts(year):
        if shares is not None and shares.shape != values.shape[1:]:
            raise InputError(
                f"{variable.path}: {variable.quantity} has shape {values.shape[1:]}, {COVER} has {shares.shape}"
            )
        whole = _whole_cell(values, shares)
        if variable.is_flux:
            total += np.tensordot(weights[places], whole, axes=1)
        else:
            total = whole[-1]
    return total


def _whole_cell(values: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Values by plant type, (steps, types, rows, columns), as those of the cell, (steps, rows, columns)."""
    if values.shape[1] == 1 and shares is None:
        return values[:, 0]
    weighted = values if shares is None else values * shares
    there = ~np.isnan(weighted)
    return np.where(there.any(axis=1), np.where(there, weighted, 0.0).sum(axis=1), np.nan)


def _total(values: np.ndarray, grid: Rectilinear) -> float:
    return float(np.nansum(values * grid.areas()) / PETAGRAM)


def global_totals(model: LandModel, quantity: str) -> dict[int, float]:
    """Return totals over the model's own grid: fluxes in PgC yr-1, stocks in PgC, by year.

    A quantity that the model lacks is made from others, as in `DERIVED`.

    Raises:
        InputError: there is neither.
    """
    if quantity not in QUANTITIES:
        raise InputError(f"{quantity}: there is {', '.join(QUANTITIES)}")
    if model.has(quantity):
        return {year: _total(values, grid) for year, values, grid in model.annual(quantity)}
    for parts in DERIVED.get(quantity, ()):
        if all(model.has(name) for name, _ in parts):
            sums = [({year: _total(v, g) for year, v, g in model.annual(name)}, sign) for name, sign in parts]
            model.findings.derived[quantity] = sum_in_words(parts)
            common = set.intersection(*(set(by_year) for by_year, _ in sums))
            return {year: sum(sign * by_year[year] for by_year, sign in sums) for year in sorted(common)}
    raise InputError(f"{model.name}: no {quantity}; {model.findings.refused.get(quantity, 'there is no such file')}")


def sum_in_words(parts: tuple[tuple[str, float], ...]) -> str:
    """Return a sum as text: `gpp - ra`."""
    text = " ".join(f"{'+' if sign > 0 else '-'} {name}" for name, sign in parts)
    return text.removeprefix("+ ")
