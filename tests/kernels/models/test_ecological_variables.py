"""The ecological variables: of both models alike, and of no parameter that is not named."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.derived_quantities import STRATEGY
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_monthly.strategy import MONTHLY_STRATEGY, UNKNOWN_NAMES
from phloem.kernels.models.ecological_variables import ECOLOGICAL_VARIABLES, READS, ecological_variables
from tests.support.kernels import dalec_names


def test_variables_are_of_the_named_parameters_alone() -> None:
    found = ecological_variables({name: 0.1 + 0.01 * place for place, name in enumerate(READS)})
    assert tuple(found) == tuple(one.name for one in ECOLOGICAL_VARIABLES)
    for lacking in READS:
        with pytest.raises(KeyError, match=lacking):
            ecological_variables(dict.fromkeys(set(READS) - {lacking}, 0.1))


def test_monthly_model_has_the_variables_of_the_daily_one() -> None:
    rng = np.random.default_rng(0)
    values = dict(zip(UNKNOWN_NAMES, rng.uniform(0.1, 0.9, (40, 7)), strict=True))
    monthly = MONTHLY_STRATEGY.compute(np.stack([values[name] for name in UNKNOWN_NAMES], -1))
    daily = STRATEGY.compute(np.stack([values.get(name, np.zeros(7)) for name in dalec_names.PARAMETERS], -1))
    for name in STRATEGY.names:
        np.testing.assert_array_equal(monthly[name], daily[name])
    assert len(UNKNOWN_NAMES) == len(PARAMETERS) + len(POOLS)
    assert UNKNOWN_NAMES[-1] == "initial_water"
