"""The networks of a set-up as one function of predictors, and which set-ups stand for what."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble, TrainedMember, own_columns
from phloem.errors import InputError
from phloem.jobs.network.table import JOIN
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS, as_published
from phloem.kernels.network.parameter_network import of_flat
from phloem.kernels.network.set_ups import columns

AWARE = "PFT+CLIM+AGE+SOIL"
AGNOSTIC = "CLIM+AGE+SOIL"
SCREENED = (AWARE, AGNOSTIC, "PFT")
"""Set-ups whose networks' agreement is screened, as published."""


def groups_of(set_up: str) -> tuple[str, ...]:
    """Return the groups of a set-up."""
    return tuple(set_up.split(JOIN))


def trained(networks: TrainedNetworks, set_up: str) -> bool:
    """Tell whether a set-up has networks that count."""
    there = {frozenset(groups_of(name)): place for place, name in enumerate(networks.set_ups)}
    place = there.get(frozenset(groups_of(set_up)))
    return place is not None and bool(networks.kept[place].any())


def ensemble_of(networks: TrainedNetworks, set_up: str, runs: Sequence[int] | None = None) -> PhysicalEnsemble:
    """Return the networks of a set-up as one function.

    Args:
        networks: of the campaign.
        set_up: one of its own, its groups in any order.
        runs: whose networks; None: those that count.

    Raises:
        InputError: no such set-up, or no network of it counts.
    """
    name = networks.set_ups[networks.place(set_up)]
    groups, place = groups_of(name), networks.place(set_up)
    seen = columns(groups)
    members = []
    for run in networks.kept_members(name) if runs is None else runs:
        all_columns = of_flat(jnp.asarray(networks.weights[place, run]), len(networks.columns) - 1)
        statistics = networks.statistics(name, run)
        pairs = np.array([statistics[column] for column in seen])
        members.append(TrainedMember(own_columns(all_columns, groups), pairs[:, 0], pairs[:, 1]))
    if not members:
        raise InputError(f"set-up {name}: no run is named")
    table = as_published() if networks.table.mode == "compat" else UNKNOWNS
    return PhysicalEnsemble(groups, tuple(members), tuple(table))
