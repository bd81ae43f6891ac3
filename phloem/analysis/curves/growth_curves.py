"""Richards-Chapman growth curves fitted to stands of one half-degree cell: robust, with uncertainty and warnings.

AGB(age) = Amax (1 - exp(-k age))^c (docs/science.md#observations). Residuals are differences of square roots: over the
45 cells of GROA with five ages or more, the size of the residuals then does not depend on the fitted biomass (mean rank
correlation 0.01; 0.13 for biomass itself, -0.15 for log(1 + biomass)): a dense old stand is no outlier for being old.
The curve is that of the median stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from phloem.analysis.curves.sampling import draw_samples
from phloem.errors import InputError
from phloem.io.merge.member_statistics import GAUSSIAN_CONSISTENCY
from phloem.io.references.forest_stands import Stands
from phloem.io.references.growth_curves import SHAPE, richards_chapman

BOUNDS = {"amax": (1.0, 2000.0), "k": (0.003, 0.5), "c": (0.5, 10.0)}
"""Mg ha-1, yr-1, 1. Only a few forests hold more than 2,000 Mg ha-1; k = 0.003 needs 760 years to come to 90 % of Amax
at c = 1, and k = 0.5 needs 5."""

LEAST_AGES = 5
"""Distinct ages above 0 that a fit of three parameters needs."""

LEAST_FOR_OUTLIERS = 8
"""With fewer stands the three parameters bend to each of them, and none can be told from the rest."""

OUTLIER = 3.0
"""Robust standard deviations beyond which a stand is left out."""

MATURE = 0.7
"""Share of Amax that the curve must have reached at the oldest stand's age."""

WIDEST = 2.0
"""Ratio of the two ends of the 90 % band at age 100 up to which a curve is called known."""

LEAST_R2 = 0.3
HEADLINE_AGE = 100.0
FLAGS = {
    "young": "the oldest stand is too young to see Amax",
    "bound": "a parameter is at its bound",
    "wide": "the 90 % band of biomass at age 100 is wider than a factor of two",
    "scatter": "the curve explains less than 30 % of the variance",
}
"""What a fit warns of; a curve without a flag may be used."""

_LOW, _HIGH = (np.log([BOUNDS[name][side] for name in SHAPE]) for side in (0, 1))
_STARTS = [(k, c) for k in (0.01, 0.03, 0.1, 0.25) for c in (1.0, 3.0)]
_AT_BOUND = 0.01
_FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class GrowthFit:
    """A growth curve fitted to the stands of a cell.

    Attributes:
        stands: the stands.
        amax, k, c: the curve: Mg ha-1, yr-1, 1.
        sd: (3,) standard deviations of amax, k and c, in their units.
        draws: (draws, 3) amax, k and c that the stands allow, each as probable as the others.
        outlier: (stands,) True for those left out for their distance from the curve.
        used: (stands,) True for those that the curve is fitted to.
        r2: 1 - SSE / SST of biomass over the stands used.
        rmse: Mg ha-1, over the stands used.
        flags: what to beware of: a name of `FLAGS`, and how it shows here.
    """

    stands: Stands
    amax: float
    k: float
    c: float
    sd: np.ndarray
    draws: np.ndarray
    outlier: np.ndarray
    used: np.ndarray
    r2: float
    rmse: float
    flags: dict[str, str]

    def agb(self, ages: np.ndarray) -> np.ndarray:
        """Return the curve in Mg ha-1 at ages in years, of their shape."""
        return richards_chapman(ages, self.amax, self.k, self.c)

    def band(self, ages: np.ndarray, share: float = 0.9) -> np.ndarray:
        """Return ends of the band that holds the curve with a given probability.

        Args:
            ages: (ages,) years.
            share: the probability.

        Returns:
            (2, ages) Mg ha-1.
        """
        curves = richards_chapman(np.asarray(ages)[:, None], *self.draws.T)
        return np.quantile(curves, [0.5 - 0.5 * share, 0.5 + 0.5 * share], axis=1)

    def told(self) -> list[str]:
        """Return the warnings of the fit and the stands left out, one line each."""
        stands, lines = self.stands, []
        if stands.repeats:
            lines.append(f"{stands.repeats} rows repeat a stand's age and biomass; each counts once")
        new = stands.ages == 0.0
        if new.any():
            lines.append(
                f"{new.sum()} stands of age 0 (up to {stands.agb[new].max():.1f} Mg ha-1) tell nothing of the curve, "
                "which is 0 there"
            )
        lines += [
            f"outlier left out: line {stands.lines[i]}, age {stands.ages[i]:g}, {stands.agb[i]:.1f} Mg ha-1 where the "
            f"curve has {self.agb(stands.ages[i]):.1f}"
            for i in np.flatnonzero(self.outlier)
        ]
        return lines + [f"{name}: {how}" for name, how in self.flags.items()]


def fit_growth_curve(stands: Stands) -> GrowthFit:
    """Fit a growth curve to the stands of a cell.

    A robust fit (soft L1 loss of differences of square roots, logarithms of the parameters inside `BOUNDS`, eight
    starts) tells outliers: residuals beyond 3 x 1.4826 median |residual|, the three smallest residuals apart because a
    fit of three parameters can make them vanish (with n < 8 nobody is left out). Plain least squares of the rest gives
    the curve. Uncertainty comes from draws with the probability RSS^(-n/2), which is that of normal residuals of
    unknown size, with nothing assumed of the logarithms of the parameters but their bounds. The draws depend on the
    cell and its stands alone.

    Raises:
        InputError: fewer than five distinct ages above 0.
    """
    ages, agb = stands.ages, stands.agb
    used = ages > 0.0
    distinct = len(np.unique(ages[used]))
    if distinct < LEAST_AGES:
        raise InputError(f"stands of {stands.name}: {distinct} distinct ages above 0; a fit needs {LEAST_AGES}")
    if not agb[used].any():
        raise InputError(f"stands of {stands.name}: none above age 0 has any biomass")
    first = _fit(ages[used], agb[used], robust=True)
    outlier = np.zeros(len(ages), dtype=bool)
    outlier[used] = find_outliers(_residuals(first, ages[used], np.sqrt(agb[used])))
    used &= ~outlier
    fitted = _fit(ages[used], agb[used], robust=False)
    draws = np.exp(_draws(fitted, ages[used], agb[used], stands))
    amax, k, c = (float(value) for value in np.exp(fitted))
    misfit = agb[used] - richards_chapman(ages[used], amax, k, c)
    spread = np.sum((agb[used] - agb[used].mean()) ** 2)
    r2 = float(1.0 - np.sum(misfit**2) / spread) if spread > 0.0 else 0.0
    fit = GrowthFit(
        stands, amax, k, c, draws.std(axis=0), draws, outlier, used, r2, float(np.sqrt(np.mean(misfit**2))), {}
    )
    fit.flags.update(_find_flags(fit))
    return fit


def growth_table(fits: Iterable[GrowthFit]) -> str:
    """Write fits as the table of parameters that `io.read_growth_curves` reads.

    Returns:
        CSV text, one row a cell: the curve, its standard deviations, biomass at age 100 and its 90 % band, stands used,
        distinct ages among them, the oldest age, outliers left out, R2, RMSE, and flags between semicolons.
    """
    columns = ["latitude", "longitude", *SHAPE, *(f"{name}_sd" for name in SHAPE)]
    columns += ["agb100", "agb100_p05", "agb100_p95", "stands", "ages", "oldest", "outliers", "r2", "rmse", "flags"]
    lines = [",".join(columns)]
    for fit in fits:
        age = np.array([HEADLINE_AGE])
        used = fit.stands.ages[fit.used]
        numbers = [
            fit.stands.latitude, fit.stands.longitude, fit.amax, fit.k, fit.c, *fit.sd, *fit.agb(age),
            *fit.band(age)[:, 0], len(used), len(np.unique(used)), used.max(), fit.outlier.sum(), fit.r2, fit.rmse,
        ]  # fmt: skip
        lines.append(",".join([*(f"{number:.8g}" for number in numbers), ";".join(fit.flags)]))
    return "\n".join(lines) + "\n"


def find_outliers(residuals: np.ndarray) -> np.ndarray:
    """Tell outliers by their distance from the rest.

    Args:
        residuals: (n,) of a robust fit of three parameters.

    Returns:
        (n,) True beyond 3 robust standard deviations; nowhere if n < 8.
    """
    size = np.abs(residuals)
    if len(size) < LEAST_FOR_OUTLIERS:
        return np.zeros(len(size), dtype=bool)
    spread = GAUSSIAN_CONSISTENCY * np.median(np.sort(size)[len(SHAPE) :])
    return size > max(OUTLIER * spread, 1e-6)


def _fit(ages: np.ndarray, agb: np.ndarray, robust: bool) -> np.ndarray:
    """Logarithms of amax, k and c of least loss, (3,)."""
    roots = np.sqrt(agb)
    scale = max(float(np.std(roots)), _FLOOR * float(roots.max()))
    best, least = np.clip(np.zeros(3), _LOW, _HIGH), np.inf
    for k, c in _STARTS:
        start = np.clip(np.log([1.2 * agb.max() + 1e-9, k, c]), _LOW + 1e-3, _HIGH - 1e-3)
        solution = least_squares(
            _residuals, start, _slopes, (_LOW, _HIGH), args=(ages, roots),
            loss="soft_l1" if robust else "linear", f_scale=0.3 * scale, xtol=1e-10, ftol=1e-12,
        )  # fmt: skip
        if solution.cost < least:
            best, least = solution.x, solution.cost
    return best


def _residuals(logs: np.ndarray, ages: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Square roots of curve less those of stands, (..., n) for logs (..., 3)."""
    amax, k, c = (np.exp(logs[..., index, None]) for index in range(3))
    return np.sqrt(richards_chapman(ages, amax, k, c)) - roots


def _slopes(logs: np.ndarray, ages: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Derivatives of the residuals by the logarithms, (n, 3)."""
    _, k, c = np.exp(logs)
    grown = -np.expm1(-k * ages)
    curve = _residuals(logs, ages, np.zeros_like(roots))
    return (
        0.5
        * curve[:, None]
        * np.stack([np.ones_like(ages), c * k * ages * np.exp(-k * ages) / grown, c * np.log(grown)], axis=1)
    )


def _draws(fitted: np.ndarray, ages: np.ndarray, agb: np.ndarray, stands: Stands) -> np.ndarray:
    roots = np.sqrt(agb)
    floor = len(agb) * (_FLOOR * float(roots.max())) ** 2

    def log_density(logs: np.ndarray) -> np.ndarray:
        misfit = np.sum(_residuals(logs, ages, roots) ** 2, axis=-1)
        return -0.5 * len(agb) * np.log(misfit + floor)

    seed = [round(4 * (stands.latitude + 90)), round(4 * (stands.longitude + 180)), len(agb)]
    return draw_samples(log_density, fitted, _LOW, _HIGH, np.random.default_rng(seed))


def _find_flags(fit: GrowthFit) -> dict[str, str]:
    flags = {}
    oldest = float(fit.stands.ages[fit.used].max())
    reached = float(fit.agb(np.array(oldest))) / fit.amax
    if reached < MATURE:
        flags["young"] = f"the oldest stand is {oldest:g} years old, where the curve is at {reached:.0%} of Amax"
    at = [
        f"{name} = {value:.4g}, bounds {low:g}..{high:g}"
        for name, value, (low, high) in zip(SHAPE, (fit.amax, fit.k, fit.c), BOUNDS.values(), strict=True)
        if min(abs(np.log(value / low)), abs(np.log(value / high))) < _AT_BOUND
    ]
    if at:
        flags["bound"] = "; ".join(at)
    low, high = fit.band(np.array([HEADLINE_AGE]))[:, 0]
    if high > WIDEST * low:
        flags["wide"] = f"biomass at age {HEADLINE_AGE:g} is between {low:.0f} and {high:.0f} Mg ha-1 (90 %)"
    if fit.r2 < LEAST_R2:
        flags["scatter"] = f"R2 = {fit.r2:.2f}"
    return flags
