"""What drives the retrieved parameters: gradient boosting of each on climate, soil, vegetation (attribution.md 1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from phloem.analysis.attribution.inputs import CHOICES, Predictor, Target
from phloem.analysis.attribution.one_target import Result, attribute_target
from phloem.analysis.parameters.strategy_axes import Axes
from phloem.analysis.trees.settings import AttributionSettings
from phloem.errors import InputError, some
from phloem.version import VERSION

if TYPE_CHECKING:
    from phloem.analysis.parameters.strategy_axes import Axes


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
    """What was found, as attribution.json has it, and what only shap.nc holds.

    Attributes:
        document: all of attribution.json but its keys `identifiability` and `pca`.
        latitude, longitude: (cells,) degrees.
        values: (cells, predictors) of the predictors that were used, in the order of `Explained.predictors`.
        explained: by target, those that were refused left out.
        identifiability: what `screening.identifiability` returns; added with `dataclasses.replace`.
        pca: what `axes.ecological_axes` returns; added likewise.
    """

    document: Mapping[str, Any]
    latitude: np.ndarray
    longitude: np.ndarray
    values: np.ndarray
    explained: Mapping[str, Explained] = field(default_factory=dict)
    identifiability: Mapping[str, Any] | None = None
    pca: Axes | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the whole of attribution.json."""
        return {
            **self.document,
            "identifiability": self.identifiability,
            "pca": self.pca.to_json() if self.pca else None,
        }


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
    names = tuple(predictor.name for predictor in used)
    document = {
        "version": VERSION,
        "settings": {**asdict(settings), "log": list(settings.log)},
        "cells": int(latitude.size),
        "members": max(target.members.shape[1] for target in targets),
        "seconds": time.perf_counter() - begun,
        "predictors": [
            {
                "name": predictor.name,
                "group": predictor.group,
                "units": predictor.units,
                "long_name": predictor.long_name,
                "finding": finding,
            }
            for predictor, finding in zip(predictors, findings, strict=True)
        ],
        "targets": [result.document for result in done],
    }
    return Attribution(
        document=document,
        latitude=latitude,
        longitude=longitude,
        values=np.reshape([predictor.values for predictor in used], (len(used), latitude.size)).T,
        explained={
            target.name: Explained(result.cells, names, result.phi, result.expected)
            for target, result in zip(targets, done, strict=True)
            if not result.document["refused"]
        },
    )


def _run(
    targets: list[Target],
    predictors: list[Predictor],
    latitude: np.ndarray,
    longitude: np.ndarray,
    settings: AttributionSettings,
    on_progress: Callable[[int, str], None],
) -> list[Result]:
    workers = min(settings.workers or joblib.cpu_count(), len(targets))
    # The longest first would need their lengths; as they come is good enough for a handful of equals.
    results: list[Result | None] = [None] * len(targets)
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
) -> tuple[int, Result]:
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
