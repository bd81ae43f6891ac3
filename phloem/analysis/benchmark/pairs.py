"""Comparisons of a campaign with references: pairs of values, their scores, strata and warnings, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import finite, interannual_variability, metrics, trend
from phloem.errors import InputError
from phloem.names import PERIOD

WEIGHTED = ("bias", "pbias", "rmse", "mae", "r", "r2_pearson", "r2_explained", "nse")
"""Scores that are given by area too."""

OF_MEMBERS = ("rmse", "pbias", "r", "nse")
OF_STRATA = ("pbias", "bias", "rmse", "nse", "r", "r2_pearson")

FACTORS = {
    12.0: "a month is not a year, or the reverse",
    24.0: "an hour is not a day, or the reverse",
    100.0: "Mg ha-1 are not g m-2, or per cent are not shares",
    PERIOD: "a day is not a year, or the reverse",
    1000.0: "g are not kg, or the reverse",
    86400.0: "a second is not a day, or the reverse",
}
"""Ratios of medians that betray a mistaken unit."""

_NEAR = 1.2
"""How near to such a factor a ratio must be."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """One comparison: a reference, and what the members simulated there.

    Attributes:
        slug: of its files.
        name: for people.
        quantity, units, long_name: what is compared.
        kind: of the reference: map, table, growth, snapshot, withheld, series.
        source: name of the reference's file, or where else it comes from.
        regrid: how the reference came to the cells.
        cells: ids, (cells,).
        latitude, longitude: of the cells, degrees, (cells,).
        cell: place among the cells of each pair, int (pairs,).
        reference: (pairs,), NaN where missing.
        simulated: the median of the members, or what passes the screening, (pairs,), NaN where missing.
        members: (pairs, members), NaN for members without result.
        area: of the cells, (cells,); None where cells are towers.
        strata: labels by the name of the stratum, (pairs,).
        year: of each pair, (pairs,), None where the values are of no time.
        date: of each pair, text such as 2012-03-04 (of a window, its last day) or 2012-03, (pairs,); None likewise.
        notes: what the reader must know.
        refused: why there is nothing to compare; empty where there is.
        experiment: of the campaign.
        has_zero: whether 0 means that there is nothing, as it does not for days of the year.
        extra: further keys of the JSON object.
    """

    slug: str
    name: str
    quantity: str
    units: str
    long_name: str
    kind: str
    source: str
    regrid: str
    cells: Sequence[str]
    latitude: np.ndarray
    longitude: np.ndarray
    cell: np.ndarray
    reference: np.ndarray
    simulated: np.ndarray
    members: np.ndarray
    area: np.ndarray | None = None
    strata: Mapping[str, np.ndarray] = field(default_factory=dict)
    year: np.ndarray | None = None
    date: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    refused: str = ""
    experiment: str = ""
    has_zero: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def valid(self) -> np.ndarray:
        """Pairs of which both values are there, bool (pairs,)."""
        found: np.ndarray = np.isfinite(self.reference) & np.isfinite(self.simulated)
        return found

    def only(self, kept: np.ndarray) -> Pairs:
        """Return some of the pairs; bool or places, (pairs,)."""
        return replace(
            self,
            cell=self.cell[kept],
            reference=self.reference[kept],
            simulated=self.simulated[kept],
            members=self.members[kept],
            strata={name: labels[kept] for name, labels in self.strata.items()},
            year=None if self.year is None else self.year[kept],
            date=None if self.date is None else self.date[kept],
        )

    def range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest member of each pair, NaN where there is none."""
        known = np.isfinite(self.members)
        low = np.where(known, self.members, np.inf).min(1, initial=np.inf)
        high = np.where(known, self.members, -np.inf).max(1, initial=-np.inf)
        none = ~known.any(1)
        return np.where(none, np.nan, low), np.where(none, np.nan, high)


def common(several: Sequence[Pairs]) -> list[Pairs]:
    """Return comparisons of several experiments with one reference, each of the pairs that all of them have.

    Args:
        several: with the same pairs in the same order.

    Raises:
        InputError: other pairs, as of experiments with other validation years.
    """
    for one in several[1:]:
        first = several[0]
        if not (np.array_equal(one.cell, first.cell) and np.array_equal(one.year, first.year)):  # type: ignore[arg-type]
            raise InputError(
                f"{one.name} ({one.quantity}): {first.experiment} has {_pairs_of(first)}, {one.experiment} "
                f"{_pairs_of(one)}: experiments are compared on the same pairs, so with the same validation years and "
                "observations; benchmark each campaign by itself"
            )
    kept = np.logical_and.reduce([one.valid for one in several])
    return [one.only(kept) if not one.refused else one for one in several]


def _pairs_of(pairs: Pairs) -> str:
    """How many pairs there are, and of which years."""
    if pairs.year is None or not len(pairs.year):
        return f"{len(pairs.cell)} pairs"
    return f"{len(pairs.cell)} pairs of {int(pairs.year.min())} to {int(pairs.year.max())}"


def compare(pairs: Pairs) -> dict[str, Any]:
    """Score a comparison.

    Returns:
        What benchmark.json holds of it; see docs/benchmark.md.
    """
    head = {
        key: getattr(pairs, key)
        for key in ("slug", "name", "quantity", "units", "long_name", "kind", "source", "regrid", "experiment")
    }
    usable = pairs.only(pairs.valid)
    refused = pairs.refused or ("" if len(usable.cell) else why_nothing(pairs))
    head |= {
        "refused": refused or None,
        "cells": len(np.unique(usable.cell)),
        "pairs": len(usable.cell),
        "notes": list(pairs.notes),
        "warnings": [],
        **pairs.extra,
    }
    if refused:
        return head
    x, y = usable.simulated, usable.reference
    skill = metrics(x, y, has_zero=pairs.has_zero)
    weights = None if usable.area is None else usable.area[usable.cell]
    weighted = None if weights is None else metrics(x, y, weights, has_zero=pairs.has_zero).to_json()
    low, high = usable.range()
    few = [f"{skill.pairs} pair: nothing can be said of correlation"] if skill.pairs == 1 else []
    return head | {
        "warnings": [*unit_warnings(x, y, usable.units), *few],
        "scores": skill.to_json() | _variability(usable),
        "weighted": None if weighted is None else {key: weighted[key] for key in WEIGHTED},
        "members": _of_members(usable),
        "within_members": finite(float(np.mean((y >= low) & (y <= high)))) if usable.members.shape[1] > 1 else None,
        "medians": _by_cell(usable),
        "trend": _trends(usable),
        "strata": list(_strata(usable)),
    }


def why_nothing(pairs: Pairs) -> str:
    """Say why a comparison has no pair."""
    count, seen, made = len(pairs.cells), np.isfinite(pairs.reference), np.isfinite(pairs.simulated)
    lat, lon = pairs.latitude, pairs.longitude
    here = f"{count} cells of the campaign, latitude {lat.min():g} to {lat.max():g}, longitude {lon.min():g} to "
    here += f"{lon.max():g}"
    if not seen.any():
        return f"the reference has no value at the {here}"
    if not made.any():
        return f"all {count} cells masked: no result of the members passes (rCV, at least 3 members)"
    return f"no cell in common: the reference has values at {seen.sum()}, the campaign at {made.sum()} of the {here}"


def unit_warnings(simulated: np.ndarray, reference: np.ndarray, units: str) -> list[str]:
    """Name the mistake of unit that the ratio of the medians looks like.

    Args:
        simulated: (pairs,).
        reference: (pairs,).
        units: that both should have.
    """
    ours, theirs = float(np.median(np.abs(simulated))), float(np.median(np.abs(reference)))
    if not ours or not theirs:
        return []
    ratio = theirs / ours
    for factor, words in FACTORS.items():
        for much, way in ((ratio / factor, "larger"), (1 / ratio / factor, "smaller")):
            if 1 / _NEAR < much < _NEAR:
                return [
                    f"the reference's median ({theirs:.3g}) is about {factor:g} times {way} than the simulated one "
                    f"({ours:.3g} {units}): {words}? `units` or `scale` of the reference says what it is"
                ]
    return []


def _variability(pairs: Pairs) -> dict[str, float | None]:
    """Interannual variability, the median over cells of each cell's."""
    found: dict[str, float | None] = {"iav_observed": None, "iav_simulated": None}
    if pairs.year is None:
        return found
    for key, values in (("iav_observed", pairs.reference), ("iav_simulated", pairs.simulated)):
        each = [interannual_variability(values[part], pairs.year[part]) for part in _cells(pairs)]
        known = [one for one in each if np.isfinite(one)]
        found[key] = finite(float(np.median(known))) if known else None
    return found


def _cells(pairs: Pairs) -> list[np.ndarray]:
    """Places of the pairs of each cell."""
    order = np.argsort(pairs.cell, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(pairs.cell[order])) + 1)


def _of_members(pairs: Pairs) -> dict[str, list[float] | None]:
    """Lowest and highest score of single members, each on the cells where it has a result."""
    each = [
        metrics(pairs.members[:, member], pairs.reference, has_zero=pairs.has_zero).to_json()
        for member in range(pairs.members.shape[1])
    ]
    found: dict[str, list[float] | None] = {}
    for key in OF_MEMBERS:
        values = [value for one in each if (value := one[key]) is not None]
        found[key] = [min(values), max(values)] if values else None
    return found


def _by_cell(pairs: Pairs) -> dict[str, float | None] | None:
    """Medians over cells of the scores of each; None where a cell has one pair."""
    if len(np.unique(pairs.cell)) == len(pairs.cell):
        return None
    each = [
        metrics(pairs.simulated[part], pairs.reference[part], has_zero=pairs.has_zero).to_json()
        for part in _cells(pairs)
    ]
    found: dict[str, float | None] = {}
    for key in ("bias", "pbias", "rmse", "nse", "nnse", "r", "r2_pearson"):
        values = [value for one in each if (value := one[key]) is not None]
        found[key] = float(np.median(values)) if values else None
    return found


def _trends(pairs: Pairs) -> dict[str, Any] | None:
    """Trends of the yearly means, over the cells that have pairs in all years."""
    if pairs.year is None or len(years := np.unique(pairs.year)) < 3:
        return None
    row, column = pairs.cell, np.searchsorted(years, pairs.year)
    place = row * len(years) + column
    size = len(pairs.cells) * len(years)
    count = np.bincount(place, minlength=size).reshape(-1, len(years))
    complete = (count > 0).all(1)
    if not complete.any():
        return None
    weights = np.ones(len(pairs.cells)) if pairs.area is None else pairs.area
    trends: dict[str, Any] = {"cells": int(complete.sum())}
    for key, values in (("observed", pairs.reference), ("simulated", pairs.simulated)):
        means = np.bincount(place, values, minlength=size).reshape(-1, len(years))[complete] / count[complete]
        fitted = trend(years, np.average(means, axis=0, weights=weights[complete]))
        trends[key] = {name: finite(value) for name, value in asdict(fitted).items()}
    return trends


def _strata(pairs: Pairs) -> Iterator[dict[str, Any]]:
    for by, labels in pairs.strata.items():
        for label in sorted(set(labels.tolist())):
            part = labels == label
            found = metrics(pairs.simulated[part], pairs.reference[part], has_zero=pairs.has_zero).to_json()
            yield {"by": by, "name": str(label), "pairs": found["pairs"]} | {key: found[key] for key in OF_STRATA}
