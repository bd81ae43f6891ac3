"""Predictors of cells in their own units, and which of the cells are explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from phloem.errors import InputError, did_you_mean, some
from phloem.kernels.network.parameter_network import hemisphere
from phloem.kernels.network.set_ups import CONTROLS, GROUPS, HEMISPHERE

KNOWN = (HEMISPHERE, *chain(*GROUPS.values()), *chain(*CONTROLS.values()))
"""Predictors that a network may have."""

DOMINANT = 80.0
"""Per cent of a cell's area from which one plant functional type stands for it."""

WHOLE = 100.0
"""What the fractions of plant functional types of a cell add up to: those of the published networks are per cent."""

EXPLAINED = 1000
"""Cells that are explained."""


@dataclass(frozen=True, eq=False)
class PredictorTable:
    """Predictors of cells, in their own units and not standardised.

    Attributes:
        names: of the columns.
        values: (cells, columns), NaN where a cell has none.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> np.ndarray:
        """Return one predictor, (cells,).

        Raises:
            InputError: there is none of this name.
        """
        if name not in self.names:
            raise InputError(f"predictor {name!r}: valid are {', '.join(self.names)}.{did_you_mean(name, self.names)}")
        return self.values[:, self.names.index(name)]

    def cells(self, which: np.ndarray) -> PredictorTable:
        """Return some of the cells: indices or a mask."""
        return PredictorTable(self.names, self.values[which])

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """Return predictors in an order, all finite, (cells, names).

        Raises:
            InputError: one of them there is not, or is not finite in all cells.
        """
        chosen = np.stack([self.column(name) for name in names], 1)
        for name, values in zip(names, chosen.T, strict=True):
            wrong = np.flatnonzero(~np.isfinite(values))
            if wrong.size:
                raise InputError(f"predictor {name}: not finite in cells {some(wrong.tolist())}")
        return chosen

    def finite(self, names: Sequence[str]) -> np.ndarray:
        """Return where all of some predictors are finite, (cells,)."""
        return np.isfinite(np.stack([self.column(name) for name in names], 1)).all(1)

    def replaced(self, **values: np.ndarray) -> PredictorTable:
        """Return the same cells with other values of some predictors, each (cells,)."""
        new = self.values.copy()
        for name, column in values.items():
            self.column(name)
            new[:, self.names.index(name)] = column
        return PredictorTable(self.names, new)

    def dominated_by(self, plant_type: str, share: float = DOMINANT, whole: float = WHOLE) -> np.ndarray:
        """Return which cells one plant functional type covers, (cells,); none whose fraction is missing.

        Args:
            plant_type: one of the PFT group.
            share: per cent of the area, at least.
            whole: what all fractions of a cell add up to: 100 or 1.

        Raises:
            InputError: no such type, or fractions that add up to something else.
        """
        types = GROUPS["PFT"]
        if plant_type not in types:
            valid = ", ".join(types)
            raise InputError(
                f"plant functional type {plant_type!r}: valid are {valid}.{did_you_mean(plant_type, types)}"
            )
        fractions = np.stack([self.column(name) for name in types], 1)
        total = fractions[np.isfinite(fractions).all(1)].sum(1)
        if total.size and not 0.5 * whole < total.max() < 1.01 * whole:
            raise InputError(
                f"fractions of plant functional types add up to {total.max():g} at most, not to {whole:g}: "
                "state `whole`, 100 for per cent or 1"
            )
        return np.asarray(fractions[:, types.index(plant_type)] >= 0.01 * share * whole)


def predictor_table(latitude: np.ndarray, predictors: Mapping[str, np.ndarray]) -> PredictorTable:
    """Return the predictors of cells with their hemisphere, the logistic function of the latitude.

    Args:
        latitude: degrees north, (cells,).
        predictors: by name, in the units that networks are trained in, (cells,) each.

    Raises:
        InputError: a predictor that no network has, or of another length.
    """
    names = (HEMISPHERE, *predictors)
    for name, values in predictors.items():
        if name not in KNOWN[1:]:
            raise InputError(f"predictor {name!r}: valid are {', '.join(KNOWN[1:])}.{did_you_mean(name, KNOWN)}")
        if np.shape(values) != np.shape(latitude):
            raise InputError(f"predictor {name}: shape {np.shape(values)}, latitudes have {np.shape(latitude)}")
    columns = [hemisphere(latitude), *(np.asarray(values, float) for values in predictors.values())]
    return PredictorTable(names, np.stack(columns, 1))


def explained_cells(
    table: PredictorTable,
    names: Sequence[str],
    seen: np.ndarray,
    *,
    count: int = EXPLAINED,
    seed: int = 0,
    plant_type: str | None = None,
    share: float = DOMINANT,
    whole: float = WHOLE,
) -> np.ndarray:
    """Draw the cells that are explained, without replacement: all of them where there are no more than wanted.

    Everything that leaves a cell out is asked of the same cells in the same order; nothing is shortened before.

    Args:
        table: all cells.
        names: predictors that must be finite.
        seen: (members, cells), those of each member's own training (and dev) patches; drawn are those that all saw.
        count: of cells, at most.
        seed: of the draw.
        plant_type: only cells that this type covers.
        share: per cent of the area that it must cover.
        whole: what all fractions of a cell add up to.

    Returns:
        Places of the cells in the table, in ascending order.

    Raises:
        InputError: no cell is left, or `seen` is of other cells.
    """
    seen = np.atleast_2d(np.asarray(seen, bool))
    if seen.shape[1] != len(table):
        raise InputError(f"cells that members have seen: {seen.shape[1]}, predictors are of {len(table)}")
    steps = {"all predictors finite": table.finite(names), "seen by every member": seen.all(0)}
    if plant_type is not None:
        steps[f"at least {share:g} % {plant_type}"] = table.dominated_by(plant_type, share, whole)
    left = np.flatnonzero(np.logical_and.reduce(list(steps.values())))
    if not left.size:
        counts = "; ".join(f"{words}: {int(mask.sum())}" for words, mask in steps.items())
        raise InputError(f"no cell of {len(table)} can be explained ({counts})")
    if count < left.size:
        left = np.random.default_rng(seed).choice(left, count, replace=False)
    return np.sort(left)
