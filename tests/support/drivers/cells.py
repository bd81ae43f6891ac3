"""Cells made up from weather: fluxes that follow the day's warmth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phloem.io.drivers.tower_cell import Cell, count_training_days
from phloem.names import FORCING


def made_up(name: str, latitude: float, made: Mapping[str, np.ndarray]) -> Cell:
    """Return a sound cell.

    Args:
        name: of the cell.
        latitude: degrees north.
        made: `boreal_weather`.
    """
    warm = np.maximum(made["tasmax"], 0.0)
    return Cell(
        name=name,
        latitude=latitude,
        longitude=24.25,
        time=made["time"],
        doy=made["doy"],
        forcing={key: made[key] for key in FORCING},
        observations={"gpp": 0.4 * warm, "reco": 0.3 * warm + 0.2, "et": 0.1 * warm, "lai": 0.5 + 0.1 * warm},
        evaporative_fraction=np.clip(0.02 * warm, 0.0, 1.0),
        training_days=count_training_days(made["time"]),
        findings=(),
        source="",
        checksum="",
    )
