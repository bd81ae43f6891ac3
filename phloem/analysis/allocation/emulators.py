"""Emulators of how land models share out carbon: boosted trees of climate and vegetation, and their skill.

Skill is measured on cells that no fit has seen, all years of a cell together: cells drawn at random, as published, and
whole blocks of the Earth, which says what holds in places unlike any that were seen (uflux.md sections 7 and 10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from phloem.analysis.allocation.model_statistics import STATISTICS
from phloem.analysis.allocation.ratios import RatioMode, RatioTarget, learned_values, ratio_of, targets_of
from phloem.analysis.trees import boosting
from phloem.analysis.trees.settings import AttributionSettings

TREES = AttributionSettings(estimator="histogram", n_estimators=100, learning_rate=0.1, block_degrees=15.0)
"""Trees, folds and blocks of the emulators."""

FEW_ROWS = 20_000
"""Up to so many rows one thread fits: on two busy cores, two threads took 40 times as long for 775 rows."""

SCHEMES = ("random", "blocked")
"""What is left out together: cells drawn at random, or boxes of `block_degrees`."""

FLUX_PREDICTORS = ("gpp", "ra")
"""Beside climate, predictors of stocks: of the year, gC m-2 yr-1."""


@dataclass(frozen=True, eq=False)
class AllocationRows:
    """Years of land cells with what land models make of them.

    Attributes:
        predictors: names.
        x: (rows, predictors), NaN where missing.
        cell: number of the cell of each row, int64 (rows,).
        latitude, longitude: degrees, (rows,).
        fluxes: GPP and Ra by statistic, gC m-2 yr-1, (rows, 2).
        parts: by target, statistic and part, (rows,), NaN where no model has all parts.
        ocean_rows: years of cells that are no land.
    """

    predictors: tuple[str, ...]
    x: np.ndarray
    cell: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    fluxes: Mapping[str, np.ndarray]
    parts: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
    ocean_rows: int

    def __len__(self) -> int:
        return len(self.cell)


@dataclass(frozen=True)
class EmulatorScore:
    """How near predictions are.

    Attributes:
        r2: 1 - SSE / SST.
        r2_pearson: squared correlation.
        rmse: in the unit of the quantity.
        bias: mean prediction less mean.
        n: how many.
    """

    r2: float
    r2_pearson: float
    rmse: float
    bias: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the same as a JSON object."""
        values = {"r2": self.r2, "r2_pearson": self.r2_pearson, "rmse": self.rmse, "bias": self.bias}
        return {**{key: value if np.isfinite(value) else None for key, value in values.items()}, "n": self.n}


def score(observed: np.ndarray, predicted: np.ndarray) -> EmulatorScore:
    """Score predictions where both are finite, (rows,)."""
    known = np.isfinite(observed) & np.isfinite(predicted)
    y, p = observed[known], predicted[known]
    if y.size < 2:
        return EmulatorScore(np.nan, np.nan, np.nan, np.nan, int(y.size))
    varied = np.ptp(y) > 0.0 and np.ptp(p) > 0.0
    return EmulatorScore(
        r2=boosting.r2_score(y, p, np.ones(y.size)),
        r2_pearson=float(np.corrcoef(y, p)[0, 1] ** 2) if varied else np.nan,
        rmse=float(np.sqrt(np.mean((p - y) ** 2))),
        bias=float(np.mean(p - y)),
        n=int(y.size),
    )


@dataclass(frozen=True, eq=False)
class Emulators:
    """Fitted models of all targets and statistics.

    Attributes:
        mode: which ratios.
        predictors: names, without those of fluxes.
        models: by target and statistic.
    """

    mode: RatioMode
    predictors: tuple[str, ...]
    models: Mapping[tuple[str, str], Any]

    def predict(
        self, x: np.ndarray, statistic: str, fluxes: np.ndarray | None = None, *, stocks: bool = False
    ) -> dict[str, np.ndarray]:
        """Return learned values, (rows,) by target.

        Args:
            x: (rows, predictors).
            statistic: of the models.
            fluxes: GPP and Ra, (rows, 2); needed for stocks.
            stocks: targets of stocks, else those of fluxes.
        """
        with _threads(len(x)):
            return {
                target.name: self.models[target.name, statistic].predict(_columns(target, x, fluxes))
                for target in targets_of(self.mode)
                if target.sees_fluxes is stocks
            }


def _columns(target: RatioTarget, x: np.ndarray, fluxes: np.ndarray | None) -> np.ndarray:
    if not target.sees_fluxes:
        return x
    if fluxes is None:
        raise ValueError(f"{target.name} is predicted from GPP and Ra too")
    return np.concatenate([x, fluxes], axis=1)


def _sample(rows: AllocationRows, target: RatioTarget, statistic: str) -> tuple[boosting.Sample, np.ndarray]:
    """Rows with a value of the target, and which they are."""
    y = learned_values(target, rows.parts[target.name][statistic])
    x = _columns(target, rows.x, rows.fluxes[statistic])
    known = np.flatnonzero(np.isfinite(y))
    return boosting.Sample(x[known], y[known], np.ones(len(known))), known


def _threads(rows: int) -> threadpool_limits:
    return threadpool_limits(1 if rows <= FEW_ROWS else None)


def fit_emulators(
    rows: AllocationRows,
    mode: RatioMode,
    settings: AttributionSettings = TREES,
    on_progress: Callable[[str], None] | None = None,
) -> Emulators:
    """Fit an emulator of every target and statistic to all rows."""
    models = {}
    for target in targets_of(mode):
        for statistic in STATISTICS:
            sample, _ = _sample(rows, target, statistic)
            with _threads(len(rows)):
                models[target.name, statistic] = boosting.fit(sample, settings, settings.estimator, settings.seed)
            if on_progress is not None:
                on_progress(f"{target.name} {statistic}")
    return Emulators(mode, rows.predictors, models)


def folds_of(rows: AllocationRows, scheme: str, settings: AttributionSettings = TREES) -> np.ndarray:
    """Return the fold of each row, all years of a cell in one, int64 (rows,)."""
    rng = np.random.default_rng(settings.seed)
    cells, first, place = np.unique(rows.cell, return_index=True, return_inverse=True)
    if scheme == "random":
        return boosting.random_folds(len(cells), settings.folds, rng)[place]
    blocks = boosting.blocks_of(rows.latitude[first], rows.longitude[first], settings.block_degrees)
    return boosting.blocked_folds(blocks, settings.folds, rng)[place]


def cross_validated(
    rows: AllocationRows,
    mode: RatioMode,
    scheme: str,
    settings: AttributionSettings = TREES,
    on_progress: Callable[[str], None] | None = None,
) -> dict[tuple[str, str], np.ndarray]:
    """Predict every row by emulators that saw neither it nor another year of its cell.

    Returns:
        Learned values by target and statistic, (rows,), NaN where the models have none.
    """
    fold = folds_of(rows, scheme, settings)
    found = {}
    for target in targets_of(mode):
        for statistic in STATISTICS:
            sample, known = _sample(rows, target, statistic)
            held = np.unique(fold[known], return_inverse=True)[1]
            predicted = np.full(len(rows), np.nan)
            with _threads(len(rows)):
                validated = boosting.cross_validate(sample, held, settings, settings.estimator, settings.seed)
            predicted[known] = validated.predicted
            found[target.name, statistic] = predicted
            if on_progress is not None:
                on_progress(f"{scheme}: {target.name} {statistic}")
    return found


def skill(
    rows: AllocationRows, mode: RatioMode, predicted: Mapping[tuple[str, str], np.ndarray], *, include_ocean: bool
) -> dict[str, dict[str, dict[str, EmulatorScore]]]:
    """Score ratios, and the quantities that follow from them and the models' other parts.

    Args:
        rows: what was fitted to.
        mode: which ratios.
        predicted: as of `cross_validated`.
        include_ocean: whether ocean counts as rows of zeros of quantities (what the paper's table seems to do).

    Returns:
        By statistic, "ratios" or "quantities", and name.
    """
    zeros = np.zeros(rows.ocean_rows if include_ocean else 0)
    found: dict[str, dict[str, dict[str, EmulatorScore]]] = {}
    for statistic in STATISTICS:
        ratios, quantities = {}, {}
        for target in targets_of(mode):
            parts, learned = rows.parts[target.name][statistic], predicted[target.name, statistic]
            if target.unit != "gC m-2":
                ratios[target.name] = score(ratio_of(target, learned_values(target, parts)), ratio_of(target, learned))
            shares = {name: predicted.get((name, statistic)) for name in ("leaf_to_wood", "root_to_wood")}
            for name, (observed, made) in _quantities(target, parts, learned, shares).items():
                quantities[name] = score(np.concatenate([observed, zeros]), np.concatenate([made, zeros]))
        found[statistic] = {"ratios": ratios, "quantities": quantities}
    return found


def _quantities(
    target: RatioTarget, parts: Mapping[str, np.ndarray], learned: np.ndarray, shares: Mapping[str, np.ndarray | None]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the models have and what follows from a prediction, of the quantities that a target gives."""
    ratio = ratio_of(target, learned)
    if target.name == "cue":
        return {
            "npp": (parts["npp"], ratio * parts["gpp"]),
            "ra": (parts["gpp"] - parts["npp"], (1.0 - ratio) * parts["gpp"]),
        }
    if target.name == "ra_share":
        return {"rh": (parts["rh"], (1.0 - ratio) * (parts["ra"] + parts["rh"]))}
    if target.name == "root_to_wood":
        leaf, total = shares["leaf_to_wood"], parts["cLeaf"] + parts["cWood"] + parts["cRoot"]
        assert leaf is not None
        below = 1.0 + np.exp(leaf) + ratio
        made = {"cLeaf": np.exp(leaf) / below, "cWood": 1.0 / below, "cRoot": ratio / below}
        return {name: (parts[name], share * total) for name, share in made.items()}
    if target.name.endswith("_residence"):
        return {target.parts[0]: (parts[target.parts[0]], ratio * parts["npp"])}
    if target.name == "gpp_to_ra":
        return {"ra": (parts["ra"], parts["gpp"] / ratio)}
    if target.name == "gpp_to_npp":
        return {"npp": (parts["npp"], parts["gpp"] / ratio)}
    if target.name == "ra_to_rh":
        return {"rh": (parts["rh"], (parts["ra"] + parts["rh"]) / (1.0 + ratio))}
    if target.name == "npp_to_agb":
        return {"agb": (parts["cLeaf"] + parts["cWood"], parts["npp"] / ratio)}
    return {target.parts[0]: (parts[target.parts[0]], ratio)} if len(target.parts) == 1 else {}
