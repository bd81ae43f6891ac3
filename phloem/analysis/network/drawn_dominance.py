"""How far the dominance of groups depends on which networks there are: intervals over draws of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import finite
from phloem.analysis.network.dominance import dominance
from phloem.analysis.network.set_up_partition import LEVEL, NAMES, SetUpScores, checked, partition_of_set_ups


@dataclass(frozen=True, eq=False)
class DominanceIntervals:
    """Intervals over draws of members, with replacement, set-up by set-up.

    Attributes:
        fraction: of labelled places that are each group's, (2, groups); NaN without draws.
        pft_above_environment: of labelled places where PFT explains more than all others, (2,).
        draws: of members; 0 where a set-up has one alone.
    """

    fraction: np.ndarray
    pft_above_environment: np.ndarray
    draws: int

    def to_json(self) -> dict[str, Any]:
        """Return low and high ends."""
        low, high = self.fraction.tolist()
        return {
            "level": LEVEL,
            "draws": self.draws,
            "fraction": {name: [finite(one), finite(other)] for name, one, other in zip(NAMES, low, high, strict=True)},
            "pft_above_environment": [finite(float(end)) for end in self.pft_above_environment],
        }


def dominance_intervals(scores: SetUpScores, draws: int, seed: int = 0) -> DominanceIntervals:
    """Draw members of each set-up anew, and label the places by each draw.

    Args:
        scores: of all fifteen set-ups, each (members, places).
        draws: number of them.
        seed: of the draws.

    Raises:
        InputError: as of `partition_of_set_ups`.
    """
    found = checked(scores)
    if draws < 1 or min(len(values) for values in found.values()) < 2:
        return DominanceIntervals(np.full((2, len(NAMES)), np.nan), np.full(2, np.nan), 0)
    generator = np.random.default_rng(seed)
    fractions, above = [], []
    for _ in range(draws):
        drawn: dict[Sequence[str], np.ndarray] = {
            tuple(groups): np.asarray(values)[generator.integers(0, len(values), len(values))]
            for groups, values in scores.items()
        }
        labelled = dominance(partition_of_set_ups(drawn))
        fractions.append(labelled.fraction)
        above.append(labelled.pft_above_environment)
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    # A draw without labelled places leaves nothing known of the ends.
    return DominanceIntervals(np.quantile(fractions, ends, axis=0), np.quantile(above, ends), draws)
