"""Fluxes that satisfy the carbon balance, as near to given ones as their variances allow.

Weighted least squares under A x = 0 has a closed form, x - V A^T (A V A^T)^-1 A x with V of the variances, one small
system a cell and month. A flux that is missing has no information, which is an infinite variance: the constraints that
it stands in are combined so that it drops out, and it is derived from them where they determine it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError

FLUXES = ("gpp", "reco", "nee", "npp", "ra", "rh")
"""Fluxes that are reconciled, in the order of columns of `CONSTRAINTS`."""

CONSTRAINTS = np.array([[-1, 0, 0, 1, 1, 0], [0, -1, 0, 0, 1, 1], [1, -1, 1, 0, 0, 0]], float)
"""npp + ra = gpp, ra + rh = reco, nee = reco - gpp."""

ROUNDING = 8 * np.finfo(float).eps
"""Share of the sum of a constraint's sizes below which it holds."""


@dataclass(frozen=True, eq=False)
class Reconciled:
    """Balanced fluxes.

    Attributes:
        fluxes: by the names of `FLUXES`, in the unit and shape of what was given; NaN where they are neither given nor
            determined.
        change: balanced less given, NaN where nothing was given.
        cost: sum of change^2 / variance over the given fluxes, of the shape of a flux; chi-squared where variances are
            right.
    """

    fluxes: dict[str, np.ndarray]
    change: dict[str, np.ndarray]
    cost: np.ndarray


def reconcile(fluxes: Mapping[str, np.ndarray], variances: Mapping[str, float | np.ndarray]) -> Reconciled:
    """Adjust fluxes so that the carbon balance holds to rounding, by as little as their variances allow.

    Args:
        fluxes: by names of `FLUXES`, of one shape and unit, NaN where missing; one that is not named is missing
            everywhere.
        variances: of each given flux, in the square of the unit; broadcasts with the fluxes.

    Raises:
        InputError: a name that is not known, shapes that differ, or a variance that is missing or not above 0.
    """
    given, variance = _checked(fluxes, variances)
    flat, spread = given.reshape(len(FLUXES), -1), variance.reshape(len(FLUXES), -1)
    balanced = np.full(flat.shape, np.nan)
    pattern = (np.isfinite(flat) * (1 << np.arange(len(FLUXES)))[:, None]).sum(axis=0)
    for number in np.unique(pattern).tolist():
        cells = np.flatnonzero(pattern == number)
        known = np.array([bool(number >> n & 1) for n in range(len(FLUXES))])
        balanced[:, cells] = _balance(flat[:, cells], spread[:, cells], known)
    change = np.where(np.isfinite(flat), balanced - flat, np.nan)
    cost = np.nansum(change**2 / spread, axis=0)
    shape = given.shape[1:]
    return Reconciled(
        {name: balanced[n].reshape(shape) for n, name in enumerate(FLUXES)},
        {name: change[n].reshape(shape) for n, name in enumerate(FLUXES)},
        cost.reshape(shape),
    )


def _checked(
    fluxes: Mapping[str, np.ndarray], variances: Mapping[str, float | np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    unknown = [name for name in fluxes if name not in FLUXES]
    if unknown or not fluxes:
        raise InputError(f"fluxes {', '.join(unknown) or 'none'}: choose of {', '.join(FLUXES)}")
    shapes = {name: np.shape(values) for name, values in fluxes.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(
            f"fluxes of different shapes: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}"
        )
    shape = next(iter(shapes.values()))
    given, variance = np.full((len(FLUXES), *shape), np.nan), np.ones((len(FLUXES), *shape))
    for n, name in enumerate(FLUXES):
        if name not in fluxes:
            continue
        given[n] = fluxes[name]
        if name not in variances:
            raise InputError(f"flux {name}: no variance; one of each given flux is due")
        variance[n] = variances[name]
        wrong = np.isfinite(given[n]) & ~((variance[n] > 0) & np.isfinite(variance[n]))
        if wrong.any():
            raise InputError(f"flux {name}: {int(wrong.sum())} variances are not above 0, or not finite")
    given[~np.isfinite(given)] = np.nan
    return given, variance


def _balance(given: np.ndarray, variance: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Balance cells that lack the same fluxes, (fluxes, cells)."""
    balanced = given.copy()
    system = _without(CONSTRAINTS[:, ~known]) @ CONSTRAINTS[:, known]
    if len(system):
        x, spread = given[known], variance[known]
        products = (system[:, None] * system[None]).reshape(-1, system.shape[1])
        whole = _combine(products, spread).T.reshape(-1, len(system), len(system))
        for _ in range(2):  # the second pass takes off what the first leaves by rounding
            rest = _combine(system, x)
            rest[np.abs(rest) <= ROUNDING * _combine(np.abs(system), np.abs(x))] = 0.0
            if not rest.any():
                break
            forces = np.linalg.solve(whole, rest.T[..., None])[..., 0]
            x = x - spread * _combine(system.T, forces.T)
        balanced[known] = x
    if not known.all():
        balanced[~known] = _derived(balanced[known], known)
    return balanced


def _combine(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return weights @ values, term after term: BLAS gives other last bits where other cells stand beside a cell."""
    total = np.zeros((len(weights), values.shape[1]))
    for column, row in zip(weights.T, values, strict=True):
        total += column[:, None] * row
    return total


def _without(missing: np.ndarray) -> np.ndarray:
    """Return combinations of the constraints in which no missing flux stands, (combinations, constraints)."""
    if not missing.shape[1]:
        return np.eye(len(missing))
    left, sizes, _ = np.linalg.svd(missing)
    rank = int((sizes > 1e-9).sum())
    return np.asarray(left[:, rank:].T)


def _derived(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the missing fluxes that the known ones determine, NaN for the others, (missing, cells)."""
    missing = CONSTRAINTS[:, ~known]
    inverse = np.linalg.pinv(missing)
    determined = np.abs(inverse @ missing - np.eye(missing.shape[1])).max(axis=1) < 1e-9
    values = -_combine(inverse, _combine(CONSTRAINTS[:, known], x))
    return np.where(determined[:, None], values, np.nan)
