"""Attribution of all targets: gradient boosting of each on climate, soil, vegetation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from phloem.analysis.attribution.inputs import CHOICES, Predictor, Target
from phloem.analysis.attribution.one_target import attribute_target
from phloem.analysis.attribution.results import Attribution, Explained, PredictorRow, TargetResult
from phloem.analysis.trees.settings import AttributionSettings
from phloem.errors import InputError, some

OneTarget = tuple[TargetResult, Explained | None]


def attribute(
    targets: Sequence[Target],
    predictors: Sequence[Predictor],
    latitude: np.ndarray,
    longitude: np.ndarray,
    settings: AttributionSettings,
    on_progress: Callable[[int, str], None] = lambda done, text: None,
) -> Attribution:
    """Attribute targets to predictors, one process a target, each on one thread.

    What comes out depends on the seed, not on the number of processes nor on which other targets there are.

    Args:
        targets: what is to be explained; one that cannot be is refused in words, and the others go on.
        predictors: by what; one that is constant or missing everywhere is left out, with a finding in words.
        latitude: (cells,) degrees.
        longitude: (cells,) degrees.
        settings: how.
        on_progress: called with the number of finished targets and the name of the last.

    Raises:
        InputError: lengths that differ, names used twice, nothing to explain or to explain by, or settings that are
            no choice.
    """
    begun = time.perf_counter()
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    _check(targets, predictors, latitude, longitude, settings)
    findings = [_finding(predictor) for predictor in predictors]
    used = [predictor for predictor, finding in zip(predictors, findings, strict=True) if not finding]
    done = _run(list(targets), used, latitude, longitude, settings, on_progress)
    return Attribution(
        settings=settings,
        members=max(target.members.shape[1] for target in targets),
        seconds=time.perf_counter() - begun,
        predictors=[
            PredictorRow(predictor.name, predictor.group, predictor.units, predictor.long_name, finding)
            for predictor, finding in zip(predictors, findings, strict=True)
        ],
        targets=[result for result, _ in done],
        latitude=latitude,
        longitude=longitude,
        values=np.reshape([predictor.values for predictor in used], (len(used), latitude.size)).T,
        explained={result.name: explained for result, explained in done if explained is not None},
    )


def _run(
    targets: list[Target],
    predictors: list[Predictor],
    latitude: np.ndarray,
    longitude: np.ndarray,
    settings: AttributionSettings,
    on_progress: Callable[[int, str], None],
) -> list[OneTarget]:
    workers = min(settings.workers or joblib.cpu_count(), len(targets))
    # The longest first would need their lengths; as they come is good enough for a handful of equals.
    results: list[OneTarget | None] = [None] * len(targets)
    jobs = (
        joblib.delayed(_one)(n, target, predictors, latitude, longitude, settings) for n, target in enumerate(targets)
    )
    pool = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
    for done, (number, result) in enumerate(pool(jobs), 1):
        results[number] = result
        on_progress(done, targets[number].name)
    return [result for result in results if result is not None]


def _one(
    number: int,
    target: Target,
    predictors: list[Predictor],
    latitude: np.ndarray,
    longitude: np.ndarray,
    settings: AttributionSettings,
) -> tuple[int, OneTarget]:
    # Sums over several threads end in other bits.
    with threadpool_limits(1):
        return number, attribute_target(target, predictors, latitude, longitude, settings)


def _finding(predictor: Predictor) -> str:
    """Why a predictor is left out; empty where it is not."""
    there = predictor.values[np.isfinite(predictor.values)]
    if not there.size:
        return f"missing at all {predictor.values.size} cells: left out"
    if np.ptp(there) <= 1e-12 * np.abs(there).max():
        return f"the same, {there[0]:.6g}, at all {there.size} cells that have it: left out"
    return ""


def _check(
    targets: Sequence[Target],
    predictors: Sequence[Predictor],
    latitude: np.ndarray,
    longitude: np.ndarray,
    settings: AttributionSettings,
) -> None:
    if not targets or not predictors:
        raise InputError(f"attribution: no {'predictor' if targets else 'target'} was given")
    for kind, names in (("target", [t.name for t in targets]), ("predictor", [p.name for p in predictors])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"attribution: {kind} {some(twice)} is there twice")
    cells = latitude.size
    wrong = [p.name for p in predictors if p.values.shape != (cells,)]
    wrong += [t.name for t in targets if t.members.ndim != 2 or len(t.members) != cells]
    if not (np.isfinite(latitude).all() and np.isfinite(longitude).all()):
        raise InputError("attribution: a latitude or longitude is missing")
    if wrong or longitude.size != cells or not cells:
        raise InputError(
            f"attribution: {some(wrong) or 'the longitudes'} are not of the {cells} cells of the latitudes"
        )
    for key, choices in CHOICES.items():
        if getattr(settings, key) not in choices:
            raise InputError(f"attribution: {key} = {getattr(settings, key)!r} is not one of {', '.join(choices)}")
    unknown = [name for name in settings.log if name not in {target.name for target in targets}]
    if unknown:
        known = ", ".join(target.name for target in targets)
        raise InputError(f"attribution: log names {some(unknown)}, which is no target; targets: {known}")
    if settings.folds < 2 or settings.block_degrees <= 0 or settings.rcv_limit <= 0 or settings.bootstrap < 0:
        raise InputError(
            "attribution: folds must be 2 or more, block_degrees and rcv_limit above 0, bootstrap 0 or more"
        )
