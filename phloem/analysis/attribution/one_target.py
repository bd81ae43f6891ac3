"""The attribution of one target, from its cells to its result (docs/attribution.md)."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from phloem.analysis.attribution.choose_cells import ChosenCells, choose_cells
from phloem.analysis.attribution.dependence_curves import (
    bootstrap,
    breakpoint_interval,
    breakpoint_of,
    curve_grid,
    trend,
)
from phloem.analysis.attribution.member_fits import Fits, draw_evenly, fit_all, member_band
from phloem.analysis.attribution.noise_shadows import noise_floor, on_sphere
from phloem.analysis.attribution.results import (
    Breakpoint,
    DependenceCurve,
    Explained,
    GroupContribution,
    GroupImportance,
    ImportanceRow,
    MemberScores,
    SubsetScore,
    TargetModel,
    TargetResult,
    VariancePartition,
)
from phloem.analysis.attribution.shapley_partition import partition
from phloem.analysis.trees import boosting
from phloem.analysis.trees.boosting import Sample, Validation, ValidationScores

if TYPE_CHECKING:
    from phloem.analysis.attribution.inputs import Predictor, Target
    from phloem.analysis.trees.settings import AttributionSettings

POINTS_SHOWN = 1000
"""Points of a dependence plot, at most."""

CLEAR = 0.5
"""Rank correlation of predictor and SHAP values from which on a direction is + or -."""

PARTITION_GROUPS = 6
"""Groups up to which the explained variance is shared out: 63 subsets."""

_PARTITION_CELLS = 3000
_PARTITION_FOLDS = 3
_PARTITION_TREES = 100
_PARTITION_RATE = 0.1


def attribute_target(
    target: Target,
    predictors: list[Predictor],
    latitude: np.ndarray,
    longitude: np.ndarray,
    settings: AttributionSettings,
) -> tuple[TargetResult, Explained | None]:
    """Attribute one target.

    Args:
        target: every member at all cells.
        predictors: those that are used.
        latitude: (cells,) degrees.
        longitude: (cells,) degrees.
        settings: as the user gave them.

    Returns:
        The result, and the SHAP values of its model; None where the target is refused.
    """
    cells = choose_cells(target, predictors, settings)
    result = TargetResult(
        name=target.name,
        units=target.units,
        long_name=target.long_name,
        scale="log" if target.name in settings.log else "natural",
        refused=cells.refused or None,
        cells_used=int(cells.used.size),
        cells_unconverged=cells.unconverged,
        cells_without_predictors=cells.without_predictors,
        cells_without_result=cells.without_result,
        model=None,
    )
    if cells.refused:
        return result, None
    x = np.stack([predictor.values[cells.used] for predictor in predictors], axis=1)
    place = latitude[cells.used], longitude[cells.used]
    estimator = boosting.choose_estimator(settings, cells.used.size)
    if estimator == "histogram" and settings.convergence == "weight":
        x = boosting.in_bins(x)
    sample = Sample(boosting.in_single_precision(x), cells.values, cells.weights)
    # By name, so that a target's result does not depend on what stands beside it.
    seeds = np.random.SeedSequence([settings.seed, zlib.crc32(target.name.encode())]).generate_state(6) % 2**31
    seed = [int(number) for number in seeds]
    blocks = boosting.blocks_of(*place, settings.block_degrees)
    random, blocked = _validate(sample, blocks, settings, estimator, seed[0])
    fits = fit_all(sample, cells, settings, estimator, seed[1])
    finding = ""
    floor = noise_floor(sample, on_sphere(*place), fits.shares, settings, estimator, seed[2])
    if not random.r2 > 0.0:
        # Every share of a model that predicts nothing is noise.
        floor = 100.0
        finding = (
            f"R2 of held-out cells is {random.r2:.2f}: the predictors explain nothing of this target, and no share is "
            "a signal"
        )
    kept_blocks = None if isinstance(blocked, str) else blocks
    shared = _partition(sample, predictors, kept_blocks, settings, seed[4])
    model = TargetModel(
        estimator=estimator,
        random=random.scores(),
        blocked=None if isinstance(blocked, str) else blocked,
        blocked_refused=blocked if isinstance(blocked, str) else None,
        r2_members=MemberScores(_member_scores(random, cells)),
        finding=finding,
        noise_floor=floor,
        importance=_importance(sample, predictors, fits, floor),
        groups=_groups(predictors, fits, floor),
        dependence=_dependence(sample, predictors, fits, kept_blocks, settings, seed[3]),
        partition=shared if isinstance(shared, VariancePartition) else None,
        partition_refused=shared if isinstance(shared, str) else None,
    )
    names = tuple(predictor.name for predictor in predictors)
    return replace(result, model=model), Explained(cells.used[fits.cells], names, fits.phi, fits.expected)


def _validate(
    sample: Sample, blocks: np.ndarray, settings: AttributionSettings, estimator: str, seed: int
) -> tuple[Validation, ValidationScores | str]:
    """Return both cross-validations; of the blocked one its scores, or why there are too few blocks for it."""
    rng = np.random.default_rng(seed)
    shuffled = boosting.random_folds(sample.y.size, settings.folds, rng)
    random = boosting.cross_validate(sample, shuffled, settings, estimator, seed)
    count = int(blocks.max()) + 1
    if count < settings.folds:
        return random, (
            f"the cells lie in {count} block{'s' * (count > 1)} of {settings.block_degrees:g} degrees, and "
            f"{settings.folds} folds need as many: smaller blocks or fewer folds would help"
        )
    dealt = boosting.blocked_folds(blocks, settings.folds, rng)
    return random, boosting.cross_validate(sample, dealt, settings, estimator, seed).scores()


def _member_scores(random: Validation, cells: ChosenCells) -> list[float] | None:
    """Lowest and highest R2 of the held-out predictions against the values of a single member."""
    scores = []
    for values in cells.members.T:
        there = np.isfinite(values)
        if there.sum() > 1:
            scores.append(boosting.r2_score(values[there], random.predicted[there], cells.weights[there]))
    return [min(scores), max(scores)] if len(scores) > 1 else None


def _share_bands(shares: np.ndarray, members: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    band = member_band(shares, members)
    if band is None:
        return [None] * shares.size, [None] * shares.size
    return np.clip(band[0], 0.0, 100.0).tolist(), np.clip(band[1], 0.0, 100.0).tolist()


def _signal(shares: np.ndarray, members: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which predictors are above the floor, and shares among these alone: of the final model and of the members.

    Above it must be the low end of the band over members: what one restart would have hidden is no signal.
    """
    band = member_band(shares, members)
    signal = (shares if band is None else band[0]) > floor
    return signal, boosting.to_shares(np.where(signal, shares, 0.0)), boosting.to_shares(np.where(signal, members, 0.0))


def _importance(sample: Sample, predictors: list[Predictor], fits: Fits, floor: float) -> list[ImportanceRow]:
    low, high = _share_bands(fits.shares, fits.member_shares)
    signal, of_signal, of_members = _signal(fits.shares, fits.member_shares, floor)
    signal_low, signal_high = _share_bands(of_signal, of_members)
    return [
        ImportanceRow(
            predictor=predictors[number].name,
            group=predictors[number].group,
            share=float(fits.shares[number]),
            low=low[number],
            high=high[number],
            signal=bool(signal[number]),
            signal_share=float(of_signal[number]),
            signal_low=signal_low[number],
            signal_high=signal_high[number],
            direction=_direction(sample.x[fits.cells, number], fits.phi[:, number]),
        )
        for number in np.argsort(-fits.shares, kind="stable")
    ]


def _direction(x: np.ndarray, phi: np.ndarray) -> str:
    if np.ptp(x) == 0.0 or np.ptp(phi) == 0.0:
        return "mixed"
    correlation = float(spearmanr(x, phi).statistic)
    return "+" if correlation >= CLEAR else "-" if correlation <= -CLEAR else "mixed"


def _members_of(predictors: list[Predictor]) -> tuple[list[str], np.ndarray]:
    """Names of the groups in the order of their first predictor, and (groups, predictors) what belongs to each."""
    names = list(dict.fromkeys(predictor.group for predictor in predictors))
    return names, np.array([[predictor.group == name for predictor in predictors] for name in names], float)


def _groups(predictors: list[Predictor], fits: Fits, floor: float) -> list[GroupImportance]:
    names, belongs = _members_of(predictors)
    _, of_signal, of_members = _signal(fits.shares, fits.member_shares, floor)
    shares, signal_shares = belongs @ fits.shares, belongs @ of_signal
    low, high = _share_bands(shares, fits.member_shares @ belongs.T)
    signal_low, signal_high = _share_bands(signal_shares, of_members @ belongs.T)
    return [
        GroupImportance(
            group=names[number],
            share=float(shares[number]),
            low=low[number],
            high=high[number],
            signal_share=float(signal_shares[number]),
            signal_low=signal_low[number],
            signal_high=signal_high[number],
        )
        for number in np.argsort(-shares, kind="stable")
    ]


def _dependence(
    sample: Sample,
    predictors: list[Predictor],
    fits: Fits,
    blocks: np.ndarray | None,
    settings: AttributionSettings,
    seed: int,
) -> list[DependenceCurve]:
    rng = np.random.default_rng(seed)
    shown = draw_evenly(fits.cells.size, POINTS_SHOWN, rng)
    leading = np.argsort(-fits.shares, kind="stable")[: settings.dependence_predictors]
    return [_curve(sample, predictors, fits, int(number), shown, blocks, settings, rng) for number in leading]


def _curve(
    sample: Sample,
    predictors: list[Predictor],
    fits: Fits,
    number: int,
    shown: np.ndarray,
    blocks: np.ndarray | None,
    settings: AttributionSettings,
    rng: np.random.Generator,
) -> DependenceCurve:
    """Return points, curve, bands and breakpoint of one predictor; only the points where it is constant."""
    x, phi, weights = sample.x[fits.cells, number], fits.phi[:, number], sample.weights[fits.cells]
    none = np.empty(0)
    points = DependenceCurve(
        predictor=predictors[number].name,
        units=predictors[number].units,
        points_x=x[shown],
        points_phi=phi[shown],
        x=none,
        trend=none,
        low=none,
        high=none,
        boot_low=none,
        boot_high=none,
        breakpoint=None,
    )
    if np.ptp(x) == 0.0:
        return points
    grid = curve_grid(x)
    curve = trend(x, phi, grid, settings.lowess_fraction, weights)
    near = fits.near
    member_phi = fits.member_phi[:, :, number]
    member_curves = [trend(x[near], values, grid, settings.lowess_fraction, weights[near]) for values in member_phi]
    low, high = member_band(curve, np.reshape(member_curves, (len(member_curves), grid.size))) or (none, none)
    bend = breakpoint_of(grid, curve, x)
    point = Breakpoint(bend, None, None) if np.isfinite(bend) else None
    boot_low = boot_high = none
    if settings.bootstrap:
        together = None if blocks is None else blocks[fits.cells][near]
        models = np.concatenate([phi[None, near], member_phi])
        resampled = bootstrap(x[near], models, grid, settings.lowess_fraction, settings.bootstrap, rng, together)
        boot_low, boot_high = resampled.low, resampled.high
        interval = breakpoint_interval(grid, bend, resampled.breakpoints) if point else None
        if interval is not None:
            point = Breakpoint(bend, *interval)
    return replace(
        points,
        x=grid,
        trend=curve,
        low=low,
        high=high,
        boot_low=boot_low,
        boot_high=boot_high,
        breakpoint=point,
    )


def _partition(
    sample: Sample,
    predictors: list[Predictor],
    blocks: np.ndarray | None,
    settings: AttributionSettings,
    seed: int,
) -> VariancePartition | str | None:
    """Share the R2 of held-out cells out among the groups of predictors.

    Whole blocks are held out where there are enough: with random folds a group of smooth maps without any bearing on
    the target is credited with telling where a cell lies. Every subset is scored on the same folds. To be quick, these
    models are smaller than the final one (the histogram estimator, 3 folds, 100 trees at a rate of 0.1, 3,000 cells at
    most): the total is near the R2 of the validation, not equal to it.

    Returns:
        The partition; why it is refused; None where it was not asked for.
    """
    if not settings.partition:
        return None
    names, belongs = _members_of(predictors)
    if len(names) > PARTITION_GROUPS:
        return f"{len(names)} groups of predictors: the partition is for {PARTITION_GROUPS} at most"
    rng = np.random.default_rng(seed)
    drawn = draw_evenly(sample.y.size, _PARTITION_CELLS, rng)
    small = sample.subset(drawn)
    if blocks is None:
        fold = boosting.random_folds(small.y.size, _PARTITION_FOLDS, rng)
    else:
        fold = boosting.blocked_folds(np.unique(blocks[drawn], return_inverse=True)[1], _PARTITION_FOLDS, rng)
    quick = replace(settings, n_estimators=_PARTITION_TREES, learning_rate=_PARTITION_RATE)

    def score(subset: frozenset[str]) -> float:
        rows = [number for number, name in enumerate(names) if name in subset]
        columns = np.flatnonzero(belongs[rows].any(axis=0))
        return boosting.cross_validate(small.columns(columns), fold, quick, "histogram", seed).r2

    shared = partition(names, score)
    return VariancePartition(
        score="r2 of held-out cells" if blocks is None else "r2 of held-out blocks of cells",
        total=float(shared.total),
        groups=[
            GroupContribution(
                group=name,
                independent=float(shared.independent[number]),
                joint=float(shared.joint[number]),
                alone=float(shared.alone[number]),
                share=float(shared.share[number]),
            )
            for number, name in enumerate(names)
        ],
        subsets=[SubsetScore(sorted(subset), float(value)) for subset, value in shared.scores.items()],
    )
