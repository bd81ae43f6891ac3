"""Which networks of a set-up are scored on which patches: one by one, or with folds those of all parts as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.campaign.tile_schema import good_lanes
from phloem.jobs.config.network_benchmark_file import NetworkBenchmarkSection
from phloem.jobs.network.trained_networks import TrainedNetworks

Groups = dict[tuple[int, ...], list[int]]
"""Positions of patches by the runs that are scored there."""


@dataclass(frozen=True)
class ScoredPatches:
    """What is scored of a set-up.

    Attributes:
        set_up: its name.
        scored: names of what has scores of its own.
        runs: of each; with folds, one of each part.
        groups: positions of patches by the runs that are scored there.
    """

    set_up: str
    scored: tuple[str, ...]
    runs: tuple[tuple[int, ...], ...]
    groups: Groups

    @property
    def count(self) -> int:
        """Number of patches, each counted once."""
        return sum(len(positions) for positions in self.groups.values())

    @property
    def all_runs(self) -> tuple[int, ...]:
        """All runs, each once."""
        return tuple(sorted({run for runs in self.runs for run in runs}))

    def place_of(self, run: int) -> int:
        """Return the place among `scored` of a run."""
        return next(place for place, runs in enumerate(self.runs) if run in runs)


def usable_runs(networks: TrainedNetworks, set_up: str, members: str) -> list[int]:
    """Return the runs whose networks of a set-up are scored, none where there are none.

    Args:
        networks: of the campaign.
        set_up: one of its own.
        members: `kept` or `all`.
    """
    place = networks.place(set_up)
    trained = good_lanes(networks.status[place]) & np.isfinite(networks.weights[place]).all(-1)
    return np.flatnonzero(trained & networks.kept[place] if members == "kept" else trained).tolist()


def scored_patches(networks: TrainedNetworks, set_up: str, choice: NetworkBenchmarkSection) -> ScoredPatches:
    """Return what is scored of a set-up.

    Raises:
        InputError: no network of it counts, no patch is of the part, or with folds a part whose patches no network that
            counts holds out.
    """
    runs = usable_runs(networks, set_up, choice.members)
    if not runs:
        raise InputError(f"set-up {set_up}: no network counts")
    together = _of_folds(networks, set_up, runs) if networks.table.folds and choice.part == "test" else None
    several = together or [(run,) for run in runs]
    used = {run for one in several for run in one}
    groups: Groups = {}
    parts = {run: set(networks.patches(choice.part, run)) for run in sorted(used)}
    for position in range(len(networks.store)):
        here = tuple(run for run in sorted(used) if position in parts[run])
        if here:
            groups.setdefault(here, []).append(position)
    if not groups:
        raise InputError(f"set-up {set_up}: no patch is {choice.part} to any of its runs")
    names = [f"runs {'+'.join(map(str, one))}" if together else str(one[0]) for one in several]
    return ScoredPatches(set_up, tuple(names), tuple(several), groups)


def _of_folds(networks: TrainedNetworks, set_up: str, runs: Sequence[int]) -> list[tuple[int, ...]]:
    """Return runs that hold out all parts of a division of the patches, one of each, as often as there are such."""
    count = min(networks.table.folds, len(networks.split))
    parts: Mapping[int, list[int]] = {
        fold: [run for run in runs if run % networks.table.folds == fold] for fold in range(count)
    }
    empty = [fold for fold, members in parts.items() if not members]
    if empty:
        raise InputError(
            f"set-up {set_up}: no network that counts holds out part {empty[0]} of {networks.table.folds}; more runs "
            "(campaign.members), more that are kept, or `phloem retry --lanes`"
        )
    return list(zip(*parts.values(), strict=False))
