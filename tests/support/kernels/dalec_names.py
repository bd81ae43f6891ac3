"""Names of the daily DALEC, as tests of files and pages spell them out."""

from __future__ import annotations

from phloem.kernels.calibrations.dalec_daily.tables import GRID, TOWERS

__all__ = ["CIRCULAR_PARAMETERS", "FIRE_PARAMETERS", "GRID", "LOSS_TERMS", "PARAMETERS", "POOLS", "TOWERS"]

PARAMETERS = GRID.parameter_names
POOLS = GRID.pool_names
LOSS_TERMS = GRID.terms
FIRE_PARAMETERS = tuple(parameter.name for parameter in GRID.parameters if not parameter.read)
CIRCULAR_PARAMETERS = tuple(GRID.periods)
