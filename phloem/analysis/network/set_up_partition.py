"""Explained variance of the fifteen set-ups, shared out among the groups of predictors (Fang et al.).

V of a set-up is the mean over its kept members of squared Pearson correlations; V of no group is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.attribution.shapley_partition import Partition, partition
from phloem.analysis.benchmark.skill_scores import finite
from phloem.errors import InputError
from phloem.kernels.network.set_ups import GROUPS, all_set_ups

NAMES = tuple(GROUPS)
PFT = NAMES.index("PFT")
LEVEL = 0.9
"""Of intervals over draws of members."""

DRAWS = 2000

LITTLE = 0.05
"""Explained variance below which shares of it say nothing."""

SetUpScores = Mapping[Sequence[str], np.ndarray]
"""By groups of the set-up in any order: a score of each kept member, (members,) or (members, places)."""


@dataclass(frozen=True, eq=False)
class SetUpPartition:
    """A stream's explained variance, shared out among the groups; intervals are over draws of members.

    Attributes:
        stream: its name.
        members: kept of each set-up, by its groups.
        parts: I_j, J_j, V of all set-ups.
        share_interval: low and high end of the shares of the groups, (2, groups); NaN with fewer than two members of
            every set-up.
        environment_interval: of the share of all groups but PFT together, (2,).
        draws: of members, with replacement, set-up by set-up.
        seed: of the draws.
    """

    stream: str
    members: Mapping[str, int]
    parts: Partition
    share_interval: np.ndarray
    environment_interval: np.ndarray
    draws: int
    seed: int

    @property
    def environment(self) -> float:
        """Return what all groups but PFT explain together: I_CLIM + I_AGE + I_SOIL."""
        return float(np.delete(self.parts.independent, PFT, axis=0).sum())

    def to_json(self) -> dict[str, Any]:
        """Return V, I_j, J_j, V({j}) and shares, with intervals."""
        parts, share = self.parts, self.parts.share
        low, high = self.share_interval
        return {
            "stream": self.stream,
            "total": finite(float(parts.total)),
            "groups": [
                {
                    "group": name,
                    "independent": finite(float(parts.independent[n])),
                    "joint": finite(float(parts.joint[n])),
                    "alone": finite(float(parts.alone[n])),
                    "share": finite(float(share[n])),
                    "low": finite(float(low[n])),
                    "high": finite(float(high[n])),
                }
                for n, name in enumerate(parts.groups)
            ],
            "pft": finite(float(parts.independent[PFT])),
            "environment": finite(self.environment),
            "environment_share": finite(1 - float(share[PFT])),
            "environment_low": finite(float(self.environment_interval[0])),
            "environment_high": finite(float(self.environment_interval[1])),
            "scores": [
                {"groups": list(groups), "score": finite(float(parts.scores[frozenset(groups)])),
                 "members": self.members["+".join(groups)]}
                for groups in all_set_ups()
            ],
            "level": LEVEL,
            "draws": self.draws,
            "seed": self.seed,
        }  # fmt: skip


def partition_of_set_ups(scores: SetUpScores, stream: str = "") -> Partition:
    """Share out the means over the members: pooled, or place by place.

    Args:
        scores: of all fifteen set-ups; a place is undefined where any member of any set-up is.
        stream: for messages.

    Raises:
        InputError: set-ups that are missing, unknown, given twice, without member, or of other places.
    """
    means = {subset: values.mean(0) for subset, values in checked(scores, stream).items()}
    return partition(NAMES, means.__getitem__)


def partition_with_intervals(scores: SetUpScores, stream: str, *, draws: int = DRAWS, seed: int = 0) -> SetUpPartition:
    """Share out a pooled score, with intervals that say how much the shares depend on which members there are.

    Args:
        scores: of all fifteen set-ups, each (members,).
        stream: its name.
        draws: of as many members of each set-up as it has, with replacement.
        seed: of the draws.

    Raises:
        InputError: as of `partition_of_set_ups`, or a score that is not finite.
    """
    found = checked(scores, stream)
    broken = [_name(subset) for subset, values in found.items() if values.ndim != 1 or not np.isfinite(values).all()]
    if broken:
        raise InputError(f"{stream}: set-up {broken[0]} has members without a pooled score; leave them out")
    parts = partition(NAMES, {subset: values.mean(0) for subset, values in found.items()}.__getitem__)
    interval, environment = np.full((2, len(NAMES)), np.nan), np.full(2, np.nan)
    if min(len(values) for values in found.values()) > 1:
        generator = np.random.default_rng(seed)
        drawn = {
            subset: found[subset][generator.integers(0, len(found[subset]), (draws, len(found[subset])))].mean(1)
            for subset in map(frozenset, all_set_ups())
        }
        share = partition(NAMES, drawn.__getitem__).share
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        # A draw without positive total has no shares, and then nothing is known of their ends either.
        interval, environment = np.quantile(share, ends, axis=1), np.quantile(1 - share[PFT], ends)
    return SetUpPartition(
        stream, {_name(subset): len(values) for subset, values in found.items()}, parts, interval, environment,
        draws, seed,
    )  # fmt: skip


def checked(scores: SetUpScores, stream: str = "") -> dict[frozenset[str], np.ndarray]:
    """Return scores by set of groups.

    Raises:
        InputError: as of `partition_of_set_ups`.
    """
    about = f"{stream}: " if stream else ""
    found: dict[frozenset[str], np.ndarray] = {}
    known = {frozenset(groups): "+".join(groups) for groups in all_set_ups()}
    for groups, values in scores.items():
        subset = frozenset(groups)
        if subset not in known or len(subset) < len(groups):
            raise InputError(f"{about}set-up {'+'.join(groups)}: valid are {', '.join(known.values())}")
        if subset in found:
            raise InputError(f"{about}set-up {known[subset]} is given twice")
        found[subset] = np.asarray(values, float)
    missing = [name for subset, name in known.items() if subset not in found]
    if missing:
        raise InputError(
            f"{about}set-ups {', '.join(missing)} are missing: variance is shared out over all {len(known)}; train them"
        )
    shape = found[frozenset(NAMES)].shape[1:]
    for subset, values in found.items():
        if values.ndim not in (1, 2) or not len(values) or values.shape[1:] != shape:
            raise InputError(
                f"{about}set-up {known[subset]}: scores of shape {values.shape} are not (members, ...) of at least one "
                f"member and {shape} like those of {'+'.join(NAMES)}"
            )
    return found


def _name(subset: frozenset[str]) -> str:
    return "+".join(_in_order(subset))


def _in_order(subset: frozenset[str]) -> tuple[str, ...]:
    """Groups in the order of their columns, then controls such as places alone."""
    return tuple(sorted(subset, key=lambda name: (NAMES.index(name) if name in NAMES else len(NAMES), name)))


@dataclass(frozen=True)
class NormalisedError:
    """Mean absolute error of a set-up, over that of the set-up of reference.

    Attributes:
        groups: of the set-up.
        mae: mean over the members, in the stream's unit.
        ratio: to that of the reference.
        spread: standard deviation of the members' errors (ddof 1) over the reference's mean; NaN of one member.
        members: number of them.
    """

    groups: tuple[str, ...]
    mae: float
    ratio: float
    spread: float
    members: int

    def to_json(self) -> dict[str, Any]:
        """Return the numbers, None in place of what is not finite."""
        return {
            "groups": list(self.groups),
            "mae": finite(self.mae),
            "ratio": finite(self.ratio),
            "spread": finite(self.spread),
            "members": self.members,
        }


def normalised_errors(errors: SetUpScores, reference: Sequence[str] = ("PFT",)) -> list[NormalisedError]:
    """Compare mean absolute errors of set-ups with those of one of them.

    Args:
        errors: pooled MAE of each member, (members,), by groups; any set-ups, controls too.
        reference: which of them the others are divided by.

    Raises:
        InputError: the reference is not among them, or a set-up without members.
    """
    found = {frozenset(groups): np.asarray(values, float) for groups, values in errors.items()}
    if frozenset(reference) not in found:
        raise InputError(f"errors of set-up {'+'.join(reference)} are missing; there are {_names(errors)}")
    empty = [_name(subset) for subset, values in found.items() if values.ndim != 1 or not len(values)]
    if empty:
        raise InputError(f"errors of set-up {empty[0]}: (members,) of at least one member are due")
    base = float(found[frozenset(reference)].mean())
    return [
        NormalisedError(
            groups=_in_order(groups),
            mae=float(values.mean()),
            ratio=float(values.mean()) / base if base else np.nan,
            spread=float(values.std(ddof=1)) / base if base and len(values) > 1 else np.nan,
            members=len(values),
        )
        for groups, values in found.items()
    ]


def _names(scores: SetUpScores) -> str:
    return ", ".join("+".join(groups) for groups in scores) or "none"
