"""Results of an attribution: typed records, and the one place that turns them into attribution.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phloem.analysis.trees.boosting import ValidationScores
from phloem.version import VERSION

if TYPE_CHECKING:
    from phloem.analysis.parameters.strategy_axes import Axes
    from phloem.analysis.trees.settings import AttributionSettings


@dataclass(frozen=True)
class PredictorRow:
    """One predictor, and why it was left out.

    Attributes:
        name, group, units, long_name: as in `Predictor`.
        finding: why it was left out; empty where it was used.
    """

    name: str
    group: str
    units: str
    long_name: str
    finding: str


@dataclass(frozen=True)
class ImportanceRow:
    """Importance of one predictor for a target: shares of mean |SHAP|, per cent.

    Attributes:
        predictor, group: names.
        share: of all predictors.
        low, high: over the members; None where fewer than two could be fitted.
        signal: whether the low end is above the noise floor.
        signal_share, signal_low, signal_high: the same shares among the signals alone.
        direction: "+", "-" or "mixed".
    """

    predictor: str
    group: str
    share: float
    low: float | None
    high: float | None
    signal: bool
    signal_share: float
    signal_low: float | None
    signal_high: float | None
    direction: str


@dataclass(frozen=True)
class GroupImportance:
    """Importance of a group of predictors for a target; shares as in `ImportanceRow`."""

    group: str
    share: float
    low: float | None
    high: float | None
    signal_share: float
    signal_low: float | None
    signal_high: float | None


@dataclass(frozen=True)
class Breakpoint:
    """Value of a predictor at which a dependence curve bends most, with its interval where one is known."""

    x: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class DependenceCurve:
    """SHAP values of a target against one predictor. An array is empty where there is no such curve.

    Attributes:
        predictor, units: of the horizontal axis.
        points_x, points_phi: (points,) a draw of the explained cells.
        x, trend: (200,) LOWESS.
        low, high: (200,) band over the members.
        boot_low, boot_high: (200,) band of the bootstrap.
        breakpoint: where the curve bends; None where nowhere.
    """

    predictor: str
    units: str
    points_x: np.ndarray
    points_phi: np.ndarray
    x: np.ndarray
    trend: np.ndarray
    low: np.ndarray
    high: np.ndarray
    boot_low: np.ndarray
    boot_high: np.ndarray
    breakpoint: Breakpoint | None


@dataclass(frozen=True)
class GroupContribution:
    """Explained variance that a group of predictors accounts for; see `shapley_partition.Partition`."""

    group: str
    independent: float
    joint: float
    alone: float
    share: float


@dataclass(frozen=True)
class SubsetScore:
    """Score of the models that see only some groups of predictors."""

    groups: list[str]
    score: float


@dataclass(frozen=True)
class VariancePartition:
    """Explained variance of a target, shared out among groups of predictors.

    Attributes:
        score: what was shared out, in words.
        total: of all groups.
        groups: contributions, in the order of the predictors.
        subsets: every subset of the groups that was scored.
    """

    score: str
    total: float
    groups: list[GroupContribution]
    subsets: list[SubsetScore]


@dataclass(frozen=True)
class MemberScores:
    """Lowest and highest R2 of held-out predictions against single members; None where there is one member."""

    random: list[float] | None


@dataclass(frozen=True)
class TargetModel:
    """The model of one target: how good it is, and what it says of the predictors.

    Attributes:
        estimator: "exact" or "histogram".
        random: scores of cells held out at random.
        blocked: scores of whole blocks held out; None where there are too few.
        blocked_refused: why there are none.
        r2_members: scores against single members.
        finding: why no share is a signal; empty where some may be.
        noise_floor: share of a map that has nothing to do with the target, per cent.
        importance, groups: most important first.
        dependence: curves of the most important predictors.
        partition: None where it was not asked for or refused.
        partition_refused: why there is none.
    """

    estimator: str
    random: ValidationScores
    blocked: ValidationScores | None
    blocked_refused: str | None
    r2_members: MemberScores
    finding: str
    noise_floor: float
    importance: list[ImportanceRow]
    groups: list[GroupImportance]
    dependence: list[DependenceCurve]
    partition: VariancePartition | None
    partition_refused: str | None


@dataclass(frozen=True)
class TargetResult:
    """One target: its cells and its model.

    Attributes:
        name, units, long_name: as in `Target`.
        scale: "log" or "natural".
        refused: why there is no model; None where there is one.
        cells_used, cells_unconverged, cells_without_predictors, cells_without_result: counts as in `ChosenCells`.
        model: None where it is refused.
    """

    name: str
    units: str
    long_name: str
    scale: str
    refused: str | None
    cells_used: int
    cells_unconverged: int
    cells_without_predictors: int
    cells_without_result: int
    model: TargetModel | None


@dataclass(frozen=True)
class Explained:
    """SHAP values of one target's final model.

    Attributes:
        cells: (n,) which of the cells were explained.
        predictors: names, in the order of `phi`'s columns.
        phi: (n, predictors), in the unit of the model (the target's, or its natural logarithm).
        expected: what the model predicts where nothing is known; phi adds up to prediction - expected.
    """

    cells: np.ndarray
    predictors: tuple[str, ...]
    phi: np.ndarray
    expected: float


@dataclass(frozen=True)
class Attribution:
    """All targets of an attribution, and what only shap.nc holds.

    Attributes:
        settings: as they were given.
        members: of a cell, at most.
        seconds: that it took.
        predictors: all that were given, those that were left out with why.
        targets: in the order in which they were given.
        latitude, longitude: (cells,) degrees.
        values: (cells, predictors) of the predictors that were used, in the order of `Explained.predictors`.
        explained: by target, those that were refused left out.
        identifiability: what `screening.identifiability` returns; added with `dataclasses.replace`.
        pca: what `strategy_axes` returns; added likewise.
    """

    settings: AttributionSettings
    members: int
    seconds: float
    predictors: list[PredictorRow]
    targets: list[TargetResult]
    latitude: np.ndarray
    longitude: np.ndarray
    values: np.ndarray
    explained: Mapping[str, Explained] = field(default_factory=dict)
    identifiability: Mapping[str, Any] | None = None
    pca: Axes | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the whole of attribution.json."""
        return {
            "version": VERSION,
            "settings": _json_value(self.settings),
            "cells": int(self.latitude.size),
            "members": self.members,
            "seconds": self.seconds,
            "predictors": _json_value(self.predictors),
            "targets": _json_value(self.targets),
            "identifiability": self.identifiability,
            "pca": self.pca.to_json() if self.pca else None,
        }


def _json_value(value: Any) -> Any:
    """Return a record as a JSON object of its fields in their order; a target's model adds its keys to the target's."""
    if isinstance(value, TargetResult):
        own = {one.name: getattr(value, one.name) for one in fields(value) if one.name != "model"}
        return {**own, **(_json_value(value.model) if value.model else {})}
    if is_dataclass(value):
        return {one.name: _json_value(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return value
