"""Interventional Shapley values of any function of rows: by kernel regression, by permutations, exactly.

v(S) = mean over the background of f with the columns of S from the row and the others from the background;
phi_j = mean over orderings of what j adds to v (Lundberg & Lee 2017, arXiv:1705.07874).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import shap

from phloem.analysis.attribution.shapley_partition import MAX_GROUPS, partition
from phloem.errors import InputError

Evaluate = Callable[[np.ndarray], np.ndarray]
"""From rows (rows, columns) to what is explained (rows, explained)."""

ROWS_AT_ONCE = 200_000
"""Rows that are made for one call: 34 MB of 21 columns."""

KERNEL_EXTRA = 2048
"""Coalitions beside two a column: shap's own default."""


def kernel_values(evaluate: Evaluate, rows: np.ndarray, background: np.ndarray, seed: int) -> np.ndarray:
    """Return kernel-SHAP values with 2 columns + 2,048 coalitions, every column kept in the regression.

    Today's default of shap, `l1_reg="num_features(10)"`, returns zero for all but ten columns.

    Args:
        evaluate: the function.
        rows: that are explained, (rows, columns).
        background: (background, columns).
        seed: of the coalitions.

    Returns:
        (explained, rows, columns).
    """
    with _global_seed(seed):
        explainer = shap.KernelExplainer(evaluate, background)
        found = explainer.shap_values(
            rows, nsamples=2 * rows.shape[1] + KERNEL_EXTRA, l1_reg=False, silent=True, gc_collect=False
        )
    return np.moveaxis(np.asarray(found, float), -1, 0)


def permutation_values(
    evaluate: Evaluate, rows: np.ndarray, background: np.ndarray, pairs: int, seed: int
) -> np.ndarray:
    """Return Shapley values over orderings drawn for each row, each with its reverse.

    The ends of all chains are the same, v of no column and of all: values add up exactly.

    Args:
        evaluate: the function.
        rows: that are explained, (rows, columns).
        background: (background, columns).
        pairs: of orderings, at least one.
        seed: of the orderings; they depend on the place of a row, not on what else is explained behind it.

    Returns:
        (explained, rows, columns).
    """
    columns = rows.shape[1]
    at_none = evaluate(background).mean(0)
    at_all = evaluate(rows)
    values = np.zeros((at_all.shape[1], *rows.shape))
    for place, row in enumerate(rows):
        rng = np.random.default_rng([seed, place])
        orders = rng.permuted(np.tile(np.arange(columns), (pairs, 1)), axis=1)
        orders = np.concatenate([orders, orders[:, ::-1]])
        # Rank of a column in an ordering: it is in the coalition of k columns where its rank is below k.
        inside = np.argsort(orders, 1)[:, None, :] < np.arange(1, columns)[:, None]
        chain = _coalition_means(evaluate, row, background, inside.reshape(-1, columns))
        chain = chain.reshape(len(orders), columns - 1, -1)
        ends = [np.broadcast_to(one, (len(orders), 1, chain.shape[-1])) for one in (at_none, at_all[place])]
        steps = np.diff(np.concatenate([ends[0], chain, ends[1]], 1), axis=1)
        for explained in range(len(values)):
            values[explained, place] = np.bincount(orders.ravel(), steps[..., explained].ravel()) / len(orders)
    return values


def exact_values(evaluate: Evaluate, rows: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return Shapley values from all coalitions of the columns, (explained, rows, columns).

    Raises:
        InputError: more than 16 columns.
    """
    columns = rows.shape[1]
    if columns > MAX_GROUPS:
        raise InputError(f"exact Shapley values of {columns} predictors: at most {MAX_GROUPS}; choose `permutation`")
    at_none = evaluate(background).mean(0)
    size = max(1, ROWS_AT_ONCE // len(background))
    found = []
    for begin in range(0, len(rows), size):
        some = rows[begin : begin + size]

        def added(coalition: frozenset[str], some: np.ndarray = some) -> np.ndarray:
            mixed = np.repeat(background[None], len(some), 0)
            chosen = [int(name) for name in coalition]
            mixed[:, :, chosen] = some[:, None, chosen]
            values = evaluate(mixed.reshape(-1, columns))
            return np.asarray(values.reshape(len(some), len(background), -1).mean(1) - at_none)

        found.append(partition([str(column) for column in range(columns)], added).independent)
    return np.moveaxis(np.concatenate(found, 1), -1, 0).swapaxes(1, 2)


def _coalition_means(evaluate: Evaluate, row: np.ndarray, background: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return v of coalitions, (coalitions, explained); `inside` is boolean, (coalitions, columns)."""
    size = max(1, ROWS_AT_ONCE // len(background))
    found = []
    for begin in range(0, len(inside), size):
        mixed = np.where(inside[begin : begin + size, None], row, background)
        values = evaluate(mixed.reshape(-1, row.size))
        found.append(values.reshape(len(mixed), len(background), -1).mean(1))
    return np.concatenate(found)


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Shap draws coalitions from NumPy's global generator: seeded here, and left as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
