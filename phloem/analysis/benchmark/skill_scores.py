"""Metrics of simulated against observed values, under distinct names (docs/benchmark.md#metrics).

Everywhere x is simulated and y observed; pairs of which one is missing are left out. What cannot be computed is NaN
here and None in JSON: a correlation of a constant, an NSE of one pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
from scipy import stats

from phloem.analysis.benchmark.pair_means import PairMeans, measures, varying
from phloem.io.grids.placed_cells import EARTH_RADIUS
from phloem.names import PERIOD

PETAGRAM = 1e15


@dataclass(frozen=True)
class Metrics:
    """Scores of simulated against observed values.

    Attributes:
        pairs: number of them.
        mean_observed, mean_simulated: y-bar, x-bar.
        bias: x-bar - y-bar.
        pbias: 100 (x-bar - y-bar) / y-bar, per cent: positive where the simulation is too high.
        relative: mean of 100 (x - y) / y over the pairs with y other than 0, per cent.
        rmse: sqrt(mean (y - x)^2).
        nrmse: rmse / y-bar.
        mae: mean |y - x|.
        r: Pearson's correlation.
        r2_pearson: its square.
        nse: 1 - sum (y - x)^2 / sum (y - y-bar)^2, which Zhu et al. 2026 print as r2; it can be negative.
        r2_explained: the same number, by the name that the comparison of the three experiments gives it.
        nnse: 1 / (2 - nse).
        explained_variance: 1 - var(y - x) / var(y): nse without the bias.
        slope_obs_on_pred, intercept_obs_on_pred: regression of y on x (Zhu et al. 2026, eq. 21 and 22).
        slope_pred_on_obs, intercept_pred_on_obs: regression of x on y.
    """

    pairs: int
    mean_observed: float
    mean_simulated: float
    bias: float
    pbias: float
    relative: float
    rmse: float
    nrmse: float
    mae: float
    r: float
    r2_pearson: float
    nse: float
    r2_explained: float
    nnse: float
    explained_variance: float
    slope_obs_on_pred: float
    intercept_obs_on_pred: float
    slope_pred_on_obs: float
    intercept_pred_on_obs: float

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers, None in place of what is not finite."""
        return {key: finite(value) for key, value in asdict(self).items()}


NAMES = tuple(field.name for field in fields(Metrics))

NO_PAIRS = Metrics(0, *[np.nan] * (len(NAMES) - 1))
"""What is known of no pairs: nothing."""


def finite(value: float) -> float | None:
    """Return a number for JSON: None where it is not finite; counts stay whole numbers."""
    if isinstance(value, int):
        return value
    return float(value) if np.isfinite(value) else None


def metrics(
    simulated: np.ndarray, observed: np.ndarray, weights: np.ndarray | None = None, *, has_zero: bool = True
) -> Metrics:
    """Compare values where both are finite.

    Args:
        simulated: any shape.
        observed: of the same shape, in the same unit.
        weights: of the same shape, such as the cells' areas; by default all pairs count alike.
        has_zero: whether 0 means that there is nothing. Days of the year have no such zero: what would be relative to
            their mean (pbias, relative, nrmse) is NaN.

    Returns:
        The metrics; means, sums and regressions are weighted.
    """
    both = np.isfinite(simulated) & np.isfinite(observed)
    if weights is not None:
        both = both & np.isfinite(weights) & (np.asarray(weights) > 0)
    x, y = np.asarray(simulated, float)[both], np.asarray(observed, float)[both]
    if not len(x):
        return NO_PAIRS
    w = np.full(len(x), 1 / len(x)) if weights is None else np.asarray(weights, float)[both]
    w = w / w.sum()
    nonzero = y != 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean_x, mean_y = w @ x, w @ y
        dx, dy, off = x - mean_x, y - mean_y, x - y
        means = PairMeans(
            mean_x=mean_x,
            mean_y=mean_y,
            xx=varying(w @ dx**2, w @ x**2),
            yy=varying(w @ dy**2, w @ y**2),
            xy=w @ (dx * dy),
            error=w @ off**2,
            error_spread=w @ (off - w @ off) ** 2,
            absolute_error=w @ np.abs(off),
            relative_error=100 * float((w * off)[nonzero] @ (1 / np.abs(y[nonzero]))) / w[nonzero].sum(),
            around_zero=around_zero(y, w),
        )
    return Metrics(len(x), **measures(means, has_zero=has_zero))


def around_zero(values: np.ndarray, weights: np.ndarray | None = None) -> bool:
    """Tell whether values lie on both sides of zero, so that their mean is no measure of their size.

    That is so where the mean is less than half of the mean absolute value, as for net exchange: what is relative to it
    would say anything.

    Args:
        values: (points,).
        weights: of the points; by default all count alike.
    """
    w = np.full(len(values), 1.0) if weights is None else weights
    return bool(abs(w @ values) < 0.5 * (w @ np.abs(values)))


def interannual_variability(values: np.ndarray, years: np.ndarray) -> float:
    """Return the standard deviation of the yearly means over their mean (ddof 0), NaN for fewer than two years.

    Args:
        values: (points,), NaN where missing.
        years: year of each point, (points,).
    """
    known = np.isfinite(values)
    groups, place = np.unique(np.asarray(years)[known], return_inverse=True)
    if len(groups) < 2:
        return float("nan")
    means = np.bincount(place, np.asarray(values, float)[known]) / np.bincount(place)
    if not means.mean() or around_zero(np.asarray(values, float)[known]):
        return float("nan")
    return float(means.std() / abs(means.mean()))


@dataclass(frozen=True)
class Trend:
    """A trend of annual values.

    Attributes:
        years: number of them.
        slope: ordinary least squares, a year.
        p: two-sided, of the t-test that it is 0.
        theil_sen: median of the slopes of all pairs of years.
        low, high: its 95 % interval.
    """

    years: int
    slope: float
    p: float
    theil_sen: float
    low: float
    high: float


def trend(years: np.ndarray, totals: np.ndarray) -> Trend:
    """Return the trend of annual totals; NaN for fewer than three years.

    Args:
        years: (years,).
        totals: (years,), NaN where missing.
    """
    known = np.isfinite(totals)
    x, y = np.asarray(years, float)[known], np.asarray(totals, float)[known]
    if len(x) < 3:
        return Trend(len(x), *[float("nan")] * 5)
    line, robust = stats.linregress(x, y), stats.theilslopes(y, x, 0.95)
    return Trend(len(x), *map(float, (line.slope, line.pvalue, robust[0], robust[2], robust[3])))


def cell_area(latitude: np.ndarray, step: float) -> np.ndarray:
    """Return the area of cells in m2: R^2 (sin north - sin south) (east - west), (cells,).

    Args:
        latitude: of the centres, degrees north, (cells,).
        step: size in degrees.
    """
    edges = [np.sin(np.deg2rad(np.clip(latitude + way * 0.5 * step, -90, 90))) for way in (1, -1)]
    return EARTH_RADIUS**2 * (edges[0] - edges[1]) * np.deg2rad(step)


IDENTITIES = {
    "nep + nee": {"nep": 1, "nee": 1},
    "nep - (gpp - reco)": {"nep": 1, "gpp": -1, "reco": 1},
    "reco - (ra + rh)": {"reco": 1, "ra": -1, "rh": -1},
    "npp - (gpp - ra)": {"npp": 1, "gpp": -1, "ra": 1},
    "gpp - (npp + ra)": {"gpp": 1, "npp": -1, "ra": -1},
}
"""Sums of fluxes that must vanish (Zhu et al. 2026, eq. 25 to 27)."""


def mass_balance(fluxes: Mapping[str, np.ndarray], area: np.ndarray) -> dict[str, dict[str, float | None]]:
    """Check that carbon is conserved, for each identity whose fluxes are there.

    Args:
        fluxes: by the names in `IDENTITIES`, gC m-2 d-1, (cells, times), NaN where missing.
        area: of the cells, m2, (cells,).

    Returns:
        By identity: `residual`, of all cells together (PgC yr-1); `rmse`, the median over cells of the root mean
        square of a cell's residual (gC m-2 d-1); and `worst`, the largest.
    """
    residuals = {}
    for name, terms in IDENTITIES.items():
        if not all(flux in fluxes for flux in terms):
            continue
        rest = np.zeros(fluxes[next(iter(terms))].shape)
        for flux, sign in terms.items():
            rest = rest + sign * np.asarray(fluxes[flux], float)
        residuals[name] = _rest(rest, area, PERIOD)
    return residuals


def stock_closure(nep: np.ndarray, stocks: np.ndarray, area: np.ndarray) -> dict[str, float | None]:
    """Compare each year's NEP with the change of all carbon stocks; fires and land use are not in it.

    Args:
        nep: of whole years, gC m-2 yr-1, (cells, years).
        stocks: at the years' begin and ends, gC m-2, (cells, years + 1).
        area: of the cells, m2, (cells,).

    Returns:
        As of `mass_balance`, a year.
    """
    return _rest(np.asarray(nep, float) - np.diff(np.asarray(stocks, float), axis=1), area, 1.0)


def _rest(rest: np.ndarray, area: np.ndarray, a_year: float) -> dict[str, float | None]:
    known = np.isfinite(rest)
    count = np.maximum(known.sum(1), 1)
    filled = np.where(known, rest, 0.0)
    some = known.any(1)
    mean, rmse = filled.sum(1) / count, np.sqrt((filled**2).sum(1) / count)
    if not some.any():
        return {"residual": None, "rmse": None, "worst": None}
    return {
        "residual": finite(float((mean * area)[some].sum() * a_year / PETAGRAM)),
        "rmse": finite(float(np.median(rmse[some]))),
        "worst": finite(float(rmse[some].max())),
    }
