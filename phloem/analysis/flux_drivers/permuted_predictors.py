"""Importance of predictors: how much worse a model does where a predictor's values are dealt out anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from phloem.analysis.upscaling.conditions import conditions_of
from phloem.analysis.upscaling.member_model import MemberModel, Prepared
from phloem.analysis.upscaling.network_member import FittedNetworks


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


def network_importance(prepared: Prepared, networks: FittedNetworks, rows: int, seed: int) -> np.ndarray:
    """Return the same of networks, as the mean over their fluxes of each one's share, (predictors,).

    Args:
        prepared: months of towers.
        networks: an ensemble.
        rows: drawn evenly.
        seed: of the draws.
    """
    chosen, before, dealt = _dealt_out(prepared, networks, rows, seed)
    rise = np.zeros((len(before), len(prepared.predictors)))
    for column, after in enumerate(dealt):
        for place, flux in enumerate(before):
            observed = prepared.rows.observed[flux][chosen]
            known = np.isfinite(observed)
            errors = [_error(found[flux].mean(0)[known], observed[known]) for found in (before, after)]
            rise[place, column] = max(0.0, errors[1] - errors[0])
    return np.asarray((rise / np.maximum(rise.sum(1, keepdims=True), 1e-12)).mean(0))


def network_rises(prepared: Prepared, networks: FittedNetworks, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Return the rise of each flux's mean square error over its variance by member, at least 0, (members, predictors).

    Args:
        prepared: months of towers.
        networks: an ensemble.
        rows: drawn evenly.
        seed: of the draws.
    """
    chosen, before, dealt = _dealt_out(prepared, networks, rows, seed)
    rises = {flux: np.zeros((len(found), len(prepared.predictors))) for flux, found in before.items()}
    for column, after in enumerate(dealt):
        for flux, rise in rises.items():
            observed = prepared.rows.observed[flux][chosen]
            known = np.isfinite(observed)
            for member in range(len(rise)):
                errors = [_error(found[flux][member][known], observed[known]) for found in (before, after)]
                rise[member, column] = max(0.0, errors[1] - errors[0])
    return rises


def _dealt_out(
    prepared: Prepared, networks: FittedNetworks, rows: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray], Iterator[dict[str, np.ndarray]]]:
    """Return rows, what networks predict there, and what with each predictor's values dealt out anew, one by one."""
    draw = np.random.default_rng(seed)
    chosen = np.sort(draw.choice(len(prepared.rows), min(rows, len(prepared.rows)), replace=False))
    columns = {name: values[chosen] for name, values in prepared.rows.columns.items()}
    conditions = conditions_of(columns, networks.baselines)
    table, dealt = prepared.table[chosen], draw.permutation(len(chosen))

    def predictions() -> Iterator[dict[str, np.ndarray]]:
        for column in range(len(prepared.predictors)):
            changed = table.copy()
            changed[:, column] = table[dealt, column]
            yield networks.predict(changed, columns, conditions)

    return chosen, networks.predict(table, columns, conditions), predictions()


def _error(predicted: np.ndarray, observed: np.ndarray) -> float:
    known = np.isfinite(predicted)
    if not known.any():
        return 0.0
    return float(np.mean((predicted - observed)[known] ** 2) / max(np.var(observed[known]), 1e-12))
