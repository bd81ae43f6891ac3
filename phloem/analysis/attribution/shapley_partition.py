"""Hierarchical partitioning: any score over groups, shared out among them over all orderings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from phloem.errors import InputError

MAX_GROUPS = 16
"""2^16 scores; beyond that nobody waits."""

Score = Callable[[frozenset[str]], float | np.ndarray]


@dataclass(frozen=True)
class Partition:
    """A score, shared out among groups.

    Attributes:
        groups: names.
        independent: (groups, ...) I_j, the mean over all orderings of what group j adds: its Shapley value.
        alone: (groups, ...) V({j}).
        total: (...) V of all groups, which the independent parts add up to.
        scores: V of every subset that is not empty.
    """

    groups: tuple[str, ...]
    independent: np.ndarray
    alone: np.ndarray
    total: np.ndarray
    scores: dict[frozenset[str], float | np.ndarray]

    @property
    def joint(self) -> np.ndarray:
        """(groups, ...) J_j = V({j}) - I_j: what group j shares with others; negative where they need each other."""
        return np.asarray(self.alone - self.independent)

    @property
    def share(self) -> np.ndarray:
        """(groups, ...) I_j over their sum; NaN where that is not above 0: there is nothing to share out."""
        total = self.independent.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(total > 0.0, self.independent / total, np.nan))


def partition(groups: Sequence[str], score: Score) -> Partition:
    """Share a score out among groups, exactly: every subset is scored once.

    I_j = sum over S without j of |S|! (N - |S| - 1)! / N! [V(S + j) - V(S)], with V of no group = 0. Their sum is
    V of all groups. A group that never adds anything gets 0, and two that always add the same get the same.

    Args:
        groups: names, each once.
        score: V, of any subset that is not empty: a number, or an array for many cells at once.

    Raises:
        InputError: no group, one named twice, or more than 16.
    """
    names = tuple(groups)
    if not names or len(set(names)) < len(names) or len(names) > MAX_GROUPS:
        raise InputError(
            f"a partition needs 1 to {MAX_GROUPS} groups, each named once, not {', '.join(names) or 'none'}"
        )
    subsets = [frozenset(some) for size in range(1, len(names) + 1) for some in combinations(names, size)]
    scores = {subset: score(subset) for subset in subsets}
    value = {subset: np.asarray(scores[subset], float) for subset in subsets}
    value[frozenset()] = np.zeros_like(value[frozenset(names)])
    count = len(names)
    independent = []
    for name in names:
        part = np.zeros_like(value[frozenset()])
        for without in value:
            if name not in without:
                weight = factorial(len(without)) * factorial(count - len(without) - 1) / factorial(count)
                part = part + weight * (value[without | {name}] - value[without])
        independent.append(part)
    return Partition(
        groups=names,
        independent=np.stack(independent),
        alone=np.stack([value[frozenset({name})] for name in names]),
        total=value[frozenset(names)],
        scores=scores,
    )
