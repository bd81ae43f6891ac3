"""Principal components of the ecological variables of an ensemble's mean maps."""

from __future__ import annotations

from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.analysis.parameters.strategy_axes import Axes, strategy_axes
from phloem.kernels.models.dalec_monthly.strategy import MONTHLY_STRATEGY


def ensemble_axes(ensemble: PhysicalEnsemble, cells: PredictorTable) -> Axes:
    """Return principal components over cells, unweighted: of 13 variables that follow from the members' mean.

    Args:
        ensemble: trained networks.
        cells: their predictors, all finite.

    Raises:
        InputError: a predictor that is missing or not finite.
    """
    return strategy_axes(ensemble.means_at(cells)[:, None], MONTHLY_STRATEGY)
