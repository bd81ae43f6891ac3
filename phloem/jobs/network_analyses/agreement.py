"""How far the networks of a set-up agree on the quantities, and the principal components of their means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phloem.analysis.interpret.ensemble_axes import ensemble_axes
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.analysis.network.member_agreement import MemberAgreement, member_agreement
from phloem.analysis.parameters.strategy_axes import Axes
from phloem.errors import InputError
from phloem.io.merge.member_statistics import LEAST_MEMBERS
from phloem.jobs.config.network_attribution_file import SharesSection
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_analyses.ensembles import SCREENED, ensemble_of, groups_of, trained
from phloem.jobs.network_analyses.predictor_cells import PredictorCells


def even_draw(count: int, most: int) -> np.ndarray:
    """Return so many places of a number of cells at most, evenly over them, (places,)."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def screened_set_ups(networks: TrainedNetworks) -> list[str]:
    """Return the set-ups whose networks' agreement is screened: the published three where they are, else all."""
    published = [networks.set_ups[networks.place(name)] for name in SCREENED if trained(networks, name)]
    return published or [name for name in networks.set_ups if trained(networks, name)]


def agreements(
    networks: TrainedNetworks, cells: PredictorCells, choice: SharesSection, report: Callable[[int], None]
) -> tuple[list[MemberAgreement], dict[str, str]]:
    """Screen the quantities of some set-ups.

    Args:
        networks: of the campaign.
        cells: of its store.
        choice: limits, and how many cells.
        report: told of the set-ups that are done.

    Returns:
        The screens, and why other set-ups have none.
    """
    drawn = cells.table.cells(even_draw(len(cells), choice.screened_cells))
    found, refused = [], {}
    for number, set_up in enumerate(screened_set_ups(networks)):
        ensemble = ensemble_of(networks, set_up)
        count = len(ensemble.members)
        if count < LEAST_MEMBERS:
            refused[set_up] = f"{count} of at least {LEAST_MEMBERS} networks count: too few to agree or differ"
        else:
            values = np.moveaxis(ensemble.members_at(drawn), 0, 1)
            found.append(member_agreement(values, groups_of(set_up), choice.std_limit, choice.mad_limit))
        report(number + 1)
    return found, refused


def components(networks: TrainedNetworks, set_up: str, table: PredictorTable) -> Axes | str:
    """Return the principal components of a set-up's mean maps, or why there are none."""
    try:
        axes = ensemble_axes(ensemble_of(networks, set_up), table)
    except InputError as error:
        return str(error)
    return axes.refused or axes
