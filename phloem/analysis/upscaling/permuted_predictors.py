"""Importance of predictors: how much worse a model does where a predictor's values are dealt out anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.analysis.upscaling.member_model import MemberModel, Prepared


def permutation_importance(
    prepared: Prepared, members: Sequence[MemberModel], way: str, rows: int, seed: int
) -> np.ndarray:
    """Return the rise of a flux's mean square error over its variance by predictor, at least 0, (predictors,).

    Args:
        prepared: months of towers; the importance is of the predictors of its table.
        members: models of one flux; a predictor that none of them sees has no importance.
        way: of `WAYS`, by which they predict.
        rows: of those with observations, drawn evenly.
        seed: of the draws.
    """
    flux = members[0].flux
    draw = np.random.default_rng(seed)
    there = np.flatnonzero(np.isfinite(prepared.rows.observed[flux]))
    chosen = np.sort(draw.choice(there, min(rows, len(there)), replace=False))
    observed, table = prepared.rows.observed[flux][chosen], prepared.table[chosen]
    dealt = draw.permutation(len(chosen))
    rise = np.zeros((len(members), len(prepared.predictors)))
    for number, member in enumerate(members):
        baseline = member.baseline(prepared.rows.columns, prepared.conditions, prepared.fixed, prepared.factor)[chosen]
        seen = [prepared.predictors.index(name) for name in member.predictors]
        x = table[:, seen]
        before = _error(member.predict_table(x, baseline)[way], observed)
        for place, column in enumerate(seen):
            changed = x.copy()
            changed[:, place] = x[dealt, place]
            rise[number, column] = _error(member.predict_table(changed, baseline)[way], observed) - before
    return np.asarray(np.maximum(rise.mean(0), 0.0))


def _error(predicted: np.ndarray, observed: np.ndarray) -> float:
    known = np.isfinite(predicted)
    if not known.any():
        return 0.0
    return float(np.mean((predicted - observed)[known] ** 2) / max(np.var(observed[known]), 1e-12))
