"""Names of the 40 quantities in files, and the ecological variables of the monthly model."""

from __future__ import annotations

import numpy as np

from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS
from phloem.kernels.models.ecological_variables import ECOLOGICAL_VARIABLES, LEADING, ecological_variables
from phloem.model_tables import Strategy

UNKNOWN_NAMES = (*(one.name for one in PARAMETERS), *(f"initial_{one.name}" for one in POOLS))
"""Of the 40 quantities; an initial pool is `initial_` and its name."""


def monthly_strategies(parameters: np.ndarray) -> dict[str, np.ndarray]:
    """Return the 13 ecological variables of parameter sets, each of shape (...).

    Args:
        parameters: the physical values, (..., 33), or (..., 40) with the initial pools behind them.
    """
    values = np.asarray(parameters, float)
    return ecological_variables({one.name: values[..., column] for column, one in enumerate(PARAMETERS)})


MONTHLY_STRATEGY = Strategy(ECOLOGICAL_VARIABLES, monthly_strategies, leading=LEADING)
