"""Scores between 0 and 1 that can be set side by side over quantities of any unit, as ILAMB gives them.

After Collier et al. (2018, doi 10.1029/2018MS001354): of each cell the bias, the root mean square error without it, the
month of the greatest value and the variability between years, each as exp(-error / size) or a cosine, then the mean
over the cells by area; and one score of how the cells' means are spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from phloem.analysis.benchmark.pairs import Pairs
from phloem.analysis.benchmark.skill_scores import finite

MONTHS = 12
LEAST_CELLS = 3
"""Cells below which nothing is said of how they are spread."""

_FLAT = 1e-6
"""Share of the standard deviation below which a course has no greatest month."""

WEIGHTS = {"bias": 1.0, "rmse": 2.0, "phase": 1.0, "iav": 1.0, "distribution": 1.0}
"""Weights of the scores in the whole; those that there are not are left out of it."""


@dataclass(frozen=True)
class Scorecard:
    """Scores of one comparison, 1 where it is as its reference; NaN where there is nothing to tell it by.

    Attributes:
        bias: exp(-|bias| / s), s the standard deviation of the reference over time; of pairs without time, |reference|,
            and NaN where 0 means nothing, as for days of the year.
        rmse: exp(-e / s), e the root mean square error of the departures from the means.
        phase: (1 + cos(2 pi d / 12)) / 2, d months between the greatest months of the mean seasonal courses.
        iav: exp(-|v - w| / w), w and v the root mean squares of the departures from the seasonal courses of reference
            and simulation.
        distribution: 2 (1 + R) / (q + 1 / q)^2, R the correlation of the cells' means and q the ratio of their standard
            deviations.
        overall: mean of these by `WEIGHTS`.
    """

    bias: float
    rmse: float
    phase: float
    iav: float
    distribution: float
    overall: float

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers, None in place of what is not finite."""
        return {key: finite(value) for key, value in asdict(self).items()}


NAMES = tuple(Scorecard.__dataclass_fields__)


def scorecard(pairs: Pairs) -> Scorecard:
    """Score pairs of which both values are there.

    Args:
        pairs: of `Pairs.valid`.
    """
    order = np.argsort(pairs.cell, kind="stable")
    cells, starts = np.unique(pairs.cell[order], return_index=True)
    parts = np.split(order, starts[1:])
    months = None if pairs.date is None else np.asarray(pairs.date).astype("U7").astype("datetime64[M]").astype(int)
    of_cells = np.array(
        [
            _of_cell(pairs.reference[p], pairs.simulated[p], None if months is None else months[p], pairs.has_zero)
            for p in parts
        ]
    )
    weights = np.ones(len(cells)) if pairs.area is None else np.asarray(pairs.area, float)[cells]
    scores = dict(zip(("bias", "rmse", "phase", "iav"), (_mean(each, weights) for each in of_cells.T), strict=True))
    means = np.array([(pairs.reference[part].mean(), pairs.simulated[part].mean()) for part in parts])
    scores["distribution"] = _distribution(means[:, 0], means[:, 1], weights)
    known = [key for key, value in scores.items() if np.isfinite(value)]
    total = sum(WEIGHTS[key] for key in known)
    overall = sum(WEIGHTS[key] * scores[key] for key in known) / total if known else float("nan")
    return Scorecard(**scores, overall=overall)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    known = np.isfinite(values) & np.isfinite(weights) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else float("nan")


def _of_cell(
    y: np.ndarray, x: np.ndarray, months: np.ndarray | None, has_zero: bool
) -> tuple[float, float, float, float]:
    """Scores of bias, error, season and variability between years of a cell; months are counted from 1970."""
    none = float("nan")
    bias = abs(float(x.mean() - y.mean()))
    if months is not None and len(y) < 2:
        return none, none, none, none
    if months is None:
        size = abs(float(y.mean())) if has_zero else 0.0
        return (float(np.exp(-bias / size)) if size else none), none, none, none
    size = float(y.std())
    if not size > 0:
        return none, none, none, none
    error = float(np.std(x - y))
    season = variability = none
    month = months % MONTHS
    count = np.bincount(month, minlength=MONTHS)
    if (count > 0).all():
        course_y, course_x = (np.bincount(month, values, MONTHS) / count for values in (y, x))
        apart = int(course_x.argmax()) - int(course_y.argmax())
        flat_y, flat_x = (float(np.ptp(course)) <= _FLAT * size for course in (course_y, course_x))
        # A simulation without a season has missed one; a reference without one has nothing to be missed.
        season = none if flat_y else 0.0 if flat_x else 0.5 * (1 + float(np.cos(2 * np.pi * apart / MONTHS)))
        if len(np.unique(months // MONTHS)) > 1:
            w, v = (float(np.sqrt(np.mean((a - b[month]) ** 2))) for a, b in ((y, course_y), (x, course_x)))
            variability = float(np.exp(-abs(v - w) / w)) if w > 0 else none
    return float(np.exp(-bias / size)), float(np.exp(-error / size)), season, variability


def _distribution(y: np.ndarray, x: np.ndarray, weights: np.ndarray) -> float:
    """How the cells' means are spread: Taylor's skill with the ratio of the standard deviations."""
    known = np.isfinite(weights) & (weights > 0)
    if known.sum() < LEAST_CELLS:
        return float("nan")
    y, x, w = y[known], x[known], weights[known] / weights[known].sum()
    dy, dx = y - w @ y, x - w @ x
    spread_y, spread_x = np.sqrt(w @ dy**2), np.sqrt(w @ dx**2)
    if not (spread_y > 0 and spread_x > 0):
        return float("nan")
    r, q = (w @ (dx * dy)) / (spread_x * spread_y), spread_x / spread_y
    return float(2 * (1 + np.clip(r, -1, 1)) / (q + 1 / q) ** 2)


def rows_of(results: Sequence[Mapping[str, object]]) -> list[tuple[str, dict[str, float | None]]]:
    """Return titles and scores of the comparisons of a benchmark.json that have a scorecard."""
    found = []
    several = len({result.get("experiment") for result in results}) > 1
    for result in results:
        card = result.get("scorecard")
        if isinstance(card, dict):
            title = str(result["name"])
            if str(result["quantity"]).lower() not in title.lower():
                title += f", {result['quantity']}"
            found.append((f"{result['experiment']}: {title}" if several else title, card))
    return found
