"""Sites of the daily DALEC at towers: forcing terms, observations, first values and facts of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from phloem.kernels.calibrations.dalec_daily.canopy_calibration import canopy_efficiency, start_value
from phloem.kernels.calibrations.dalec_daily.site_objective import SiteFacts
from phloem.kernels.models.dalec_daily.forcing_terms import weather, year_ends
from phloem.kernels.models.dalec_daily.mode_switches import Switches
from phloem.kernels.models.dalec_daily.records import Observed
from phloem.kernels.objective.site import Site

START_PAW = 500.0
"""First plant-available water of a lane, mm. With the geometric centre instead, random
starts spend most days at the floor and have no gradient."""


@dataclass(frozen=True)
class DalecSite(Site):
    """One cell of the daily DALEC.

    Attributes:
        ce_opt: pre-calibrated canopy efficiency, NaN where there is none.
        mean_temperature: reference mean temperature, degC.
    """

    record: ClassVar[Any] = Observed
    ce_opt: float
    mean_temperature: float

    @property
    def priors(self) -> tuple[float, float]:
        """Mapped leaf carbon per area (gC m-2) and autotrophic fraction, NaN where there is none."""
        return float("nan"), float("nan")

    @property
    def facts(self) -> SiteFacts:
        """Numbers of the cell that the loss reads, 0 where there is none."""
        ce_opt, lcma, f_auto = np.nan_to_num([self.ce_opt, *self.priors])
        return SiteFacts(ce_opt, self.mean_temperature, lcma, f_auto)

    @property
    def starts(self) -> Mapping[str, float]:
        """Canopy efficiency from its pre-calibration, where there is one, and 500 mm of water."""
        known = {"canopy_efficiency": start_value(self.ce_opt)} if np.isfinite(self.ce_opt) else {}
        return {**known, "initial_paw": START_PAW}


def tower_site(cell: Any, switches: Switches) -> DalecSite:
    """Prepare one tower, the canopy efficiency's pre-calibration included.

    Args:
        cell: as `io.drivers.tower_cell.Cell`: time (days since 2001-01-01), doy, latitude, forcing as in
            `forcing_terms.weather`, observations by stream (NaN where missing), evaporative_fraction, training_days.
        switches: named differences.
    """
    seen, forcing, count = cell.observations, cell.forcing, cell.training_days
    terms = weather(cell.time, cell.doy, cell.latitude, forcing, count, switches)
    mean = 0.5 * (np.asarray(forcing["tasmin"]) + np.asarray(forcing["tasmax"]))
    return DalecSite(
        weather=terms,
        observations=seen,
        year_end=year_ends(cell.doy),
        training_days=count,
        ce_opt=canopy_efficiency(terms, seen["gpp"], seen["lai"], cell.evaporative_fraction, count),
        mean_temperature=float(mean[:count].mean()),
    )
