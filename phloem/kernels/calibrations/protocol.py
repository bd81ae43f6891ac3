"""Protocols of runs over a driver store: calendar years simulated and compared (docs/science.md#experiments)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Years = tuple[int, int]
"""First and last calendar year, both included."""


@dataclass(frozen=True)
class RunProtocol:
    """What is simulated and compared, in calendar years.

    Attributes:
        forcing: years of forcing, which are repeated from the first one on.
        simulated: years of the run; year y (from 1) has the forcing of year first + (y - 1) mod n.
        calibration, validation: years of observations, compared with the last time that the run meets them.
        biomass: what is fitted of it: `none`, `snapshot` or `trajectory`.
        snapshot_spread: of the single value, as a share of it.
    """

    forcing: Years
    simulated: int
    calibration: Years
    validation: Years
    biomass: str = "none"
    snapshot_spread: float = 0.5

    @property
    def years(self) -> np.ndarray:
        """Calendar year whose forcing each simulated year has, (simulated,)."""
        first, last = self.forcing
        return first + np.arange(self.simulated) % (last - first + 1)

    @property
    def cycled(self) -> bool:
        """Whether the forcing is repeated, or cut short."""
        return self.simulated != self.forcing[1] - self.forcing[0] + 1

    def last_met(self, year: int) -> int:
        """Return the last simulated year, from 1, that has the forcing of a calendar year.

        Raises:
            ValueError: the run does not meet it.
        """
        met = np.flatnonzero(self.years == year)
        if not len(met):
            raise ValueError(f"no simulated year has the forcing of {year}")
        return int(met[-1]) + 1
