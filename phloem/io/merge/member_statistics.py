"""Statistics over the members of a cell: median and robust coefficient of variation, linear and circular.

rCV = 1.4826 median(|x - median x|) / |median x| over the members (Wu et al. 2026; 1.4826 makes the median
absolute deviation consistent with the standard deviation of a Gaussian, Rousseeuw & Croux 1993).
"""

from __future__ import annotations

import numpy as np

from phloem.io.merge.at_bounds import at_bound, mostly_at_bounds
from phloem.model_tables import ModelTables
from phloem.names import PERIOD

GAUSSIAN_CONSISTENCY = 1.4826
LEAST_MEMBERS = 3
SCREENING_RCV = 0.3


def member_statistics(
    parameters: np.ndarray, initial_pools: np.ndarray, valid: np.ndarray, tables: ModelTables
) -> dict[str, np.ndarray]:
    """Return the statistics of the merged product over the members of some cells.

    Args:
        parameters: (cell, member, parameter).
        initial_pools: (cell, member, pool).
        valid: boolean (cell, member): the members that count.
        tables: of the model, which tell what repeats.

    Returns:
        By name in the product: median, rCV and screened median of the parameters (cell, parameter), median and rCV of
        the initial pools (cell, pool). The statistics of days of the year are circular. An rCV is missing where more
        than half of the members stand at a bound (`at_bounds`): they were stopped there, which is no agreement. And
        where each lane stands at a bound: `at_bound` (cell, member, parameter), `at_bound_pools` (cell, member, pool).
    """
    stopped = mostly_at_bounds(parameters, valid, tables.parameters)
    stopped_pools = mostly_at_bounds(initial_pools, valid, tables.pools)
    bounds = {
        "at_bound": at_bound(parameters, tables.parameters),
        "at_bound_pools": at_bound(initial_pools, tables.pools),
    }
    valid = valid[:, None, :]
    parameters = parameters.swapaxes(1, 2)
    median, rcv = median_and_rcv(parameters, valid)
    for period in set(tables.periods.values()):
        circular = [tables.column(name) for name, repeats in tables.periods.items() if repeats == period]
        median[:, circular], rcv[:, circular] = circular_median_and_rcv(parameters[:, circular], valid, period)
    pools, pools_rcv = median_and_rcv(initial_pools.swapaxes(1, 2), valid)
    rcv, pools_rcv = np.where(stopped, np.nan, rcv), np.where(stopped_pools, np.nan, pools_rcv)
    return {
        "parameters_median": median,
        "parameters_rcv": rcv,
        "parameters_screened": np.where(rcv <= SCREENING_RCV, median, np.nan),
        "initial_pools_median": pools,
        "initial_pools_rcv": pools_rcv,
        **bounds,
    }


def median_and_rcv(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return median and robust coefficient of variation over the members.

    Args:
        values: (..., member).
        valid: boolean, broadcastable to `values`; members that failed are False. Values that are not finite
            are left out as well.

    Returns:
        median (...) in the unit of `values`, and rCV (...), dimensionless; NaN where fewer than 3 members are
        left. Where all members are zero the rCV is 0; where only their median is, it is infinite.
    """
    values, valid = _prepare(values, valid)
    median = _median(values, valid)
    spread = GAUSSIAN_CONSISTENCY * _median(np.abs(values - median[..., None]), valid)
    with np.errstate(divide="ignore", invalid="ignore"):
        rcv = np.where(spread == 0.0, 0.0, spread / np.abs(median))
    return _enough(median, valid), _enough(rcv, valid)


def circular_median_and_rcv(
    values: np.ndarray, valid: np.ndarray, period: float = PERIOD
) -> tuple[np.ndarray, np.ndarray]:
    """Return median and spread over the members of a quantity that repeats, such as a day of the year.

    The median is the point of least mean circular distance to the members: a member or, for an even count,
    the midpoint of an arc between neighbours (preferred where it is as good). Its rCV is
    1.4826 x median circular distance / (period / 2 pi), the spread in radians: dividing by a day of the year
    would depend on where the year starts.

    Args:
        values: (..., member).
        valid: boolean, broadcastable to `values`.
        period: after how much the quantity repeats.

    Returns:
        median (...) in [0, period) and rCV (...); NaN where fewer than 3 members are left.
    """
    values, valid = _prepare(values, valid)
    points, usable, arcs = _candidates(values, valid, period)
    total = np.zeros_like(points)
    # Added member by member: the order of a sum must not depend on the layout of the array.
    for member in range(values.shape[-1]):
        distance = _distance(points, values[..., member, None], period)
        total += np.where(valid[..., member, None], distance, 0.0)
    total = np.where(usable, total, np.inf)
    least = total.min(axis=-1, keepdims=True)
    best = usable & (total <= least + 1e-9 * period)
    # Of equally good points: midpoints before members, of the widest arc, then the earliest.
    order = np.lexsort((points, -arcs, ~best), axis=-1)[..., :1]
    median = np.take_along_axis(points, order, axis=-1)[..., 0]
    spread = _median(_distance(values, median[..., None], period), valid)
    rcv = GAUSSIAN_CONSISTENCY * spread / (period / (2.0 * np.pi))
    return _enough(median, valid), _enough(rcv, valid)


def _candidates(values: np.ndarray, valid: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, whether they may be chosen, width of their arc (-1 for members); each (..., 2 member)."""
    members = values.shape[-1]
    count = valid.sum(axis=-1, keepdims=True)
    # The members left out go to the end, as copies of the first, one turn later: all arcs stay well defined.
    turned = np.sort(np.where(valid, _wrap(values, period), np.inf), axis=-1)
    first = np.where(count > 0, turned[..., :1], 0.0)
    turned = np.where(np.arange(members) < count, turned, first + period)
    following = np.concatenate([turned[..., 1:], first + period], axis=-1)
    arcs = following - turned
    inside = np.arange(members) < count
    points = np.concatenate([turned, turned + 0.5 * arcs], axis=-1)
    usable = np.concatenate([inside, inside & (count % 2 == 0)], axis=-1)
    widths = np.concatenate([np.full_like(arcs, -1.0), arcs], axis=-1)
    return _wrap(points, period), usable, widths


def _prepare(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, dtype=np.float64)
    valid = np.broadcast_to(np.asarray(valid, dtype=bool), values.shape) & np.isfinite(values)
    return np.where(valid, values, 0.0), valid


def _median(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    count = valid.sum(axis=-1, keepdims=True)
    ranked = np.sort(np.where(valid, values, np.inf), axis=-1)
    lower = np.take_along_axis(ranked, np.maximum(count - 1, 0) // 2, axis=-1)
    upper = np.take_along_axis(ranked, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    return np.where(count > 0, 0.5 * lower + 0.5 * upper, 0.0)[..., 0]


def _enough(statistic: np.ndarray, valid: np.ndarray) -> np.ndarray:
    return np.where(valid.sum(axis=-1) >= LEAST_MEMBERS, statistic, np.nan)


def _wrap(values: np.ndarray, period: float) -> np.ndarray:
    wrapped = np.mod(values, period)
    return np.where(wrapped >= period, 0.0, wrapped)


def _distance(a: np.ndarray, b: np.ndarray, period: float) -> np.ndarray:
    gap = np.mod(np.abs(a - b), period)
    return np.minimum(gap, period - gap)


def nanmedian(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the median of what is not NaN along an axis, NaN where nothing is."""
    none = np.isnan(values).all(axis)
    middle: np.ndarray = np.nanmedian(np.where(np.isnan(values).all(axis, keepdims=True), 0, values), axis)
    return np.where(none, np.nan, middle)
