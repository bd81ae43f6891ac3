"""Tower months filled with what another table knows of the same towers, as the vegetation that downloads lack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phloem.errors import InputError, some
from phloem.io.flux_towers.quality_rules import is_driver
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import OF_SITE, QUANTITIES


def filled_from(table: TowerMonths, other: TowerMonths, name: str) -> TowerMonths:
    """Return a table whose missing drivers, numbers of places and classes are those of another where it has them.

    Fluxes, what is made of them, and shares of good data are never filled: they belong to the data they came with.

    Args:
        table: the table.
        other: another, of some of the same towers and months.
        name: of the other, for notes and messages.

    Raises:
        InputError: they have no tower or no month in common.
    """
    _, here, there = np.intersect1d(np.array(table.sites), np.array(other.sites), return_indices=True)
    _, month_here, month_there = np.intersect1d(table.months, other.months, return_indices=True)
    if not len(here) or not len(month_here):
        raise InputError(f"{name}: no {'month' if len(here) else 'tower'} of it is one of the table; its towers are "
                         f"{some(other.sites)}, {other.months[0]} to {other.months[-1]}")  # fmt: skip
    notes = [*table.notes, *(f"{name}: {note}" for note in other.notes)]
    values = dict(table.values)
    shape = (len(table.sites), len(table.months))
    for key in (key for key in QUANTITIES if key in other.values and is_driver(key)):
        offered = np.full(shape, np.nan)
        offered[np.ix_(here, month_here)] = other.values[key][np.ix_(there, month_there)]
        values[key], count = _filled(values.get(key, np.full(shape, np.nan)), offered)
        if count.any():
            notes.append(f"{key}: {count.sum():,} months of {(count > 0).sum()} towers are of {name}")
    of_site = dict(table.of_site)
    for key in (key for key in OF_SITE if key in other.of_site):
        nothing = np.full(len(table.sites), np.nan)
        numbers = nothing.copy()
        numbers[here] = other.of_site[key][there]
        of_site[key], count = _filled(of_site.get(key, nothing), numbers)
        if count.any():
            notes.append(f"{key}: that of {count.sum()} towers is of {name}")
    classes = dict(zip(other.sites, other.igbp, strict=True))
    igbp = tuple(text or classes.get(site, "") for site, text in zip(table.sites, table.igbp, strict=True))
    if taken := [site for site, old, new in zip(table.sites, table.igbp, igbp, strict=True) if old != new]:
        notes.append(f"igbp: that of {some(taken)} is of {name}")
    ordered = {key: values[key] for key in QUANTITIES if key in values}
    return replace(table, values=ordered, of_site=of_site, igbp=igbp, notes=tuple(notes))


def _filled(values: np.ndarray, offered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values with those that are offered where they are missing, and how many of each tower."""
    take = np.isnan(values) & np.isfinite(offered)
    return np.where(take, offered, values), take.reshape(len(values), -1).sum(1)
