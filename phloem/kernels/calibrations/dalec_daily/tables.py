"""The tables of the daily DALEC at towers and in grid cells."""

from __future__ import annotations

from dataclasses import replace

from phloem.kernels.calibrations.dalec_daily.derived_quantities import (
    ATTRIBUTED,
    DERIVED,
    STOCKS,
    STRATEGY,
)
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.model_tables import ModelTables, Quantity
from phloem.names import ALL_STREAMS, FORCING, STREAMS

TERMS = ("observations", "prior", "edc", "steady_state", "violation")
"""Parts of the loss (docs/science.md#loss), the fields of `site_objective.Terms`."""

_LAI = Quantity("lai", "1", "leaf area index")

FLUXES = (
    replace(_LAI, meaning=f"{_LAI.meaning} at the start of the day"),
    Quantity("gpp", "g m-2 d-1", "gross primary production, carbon"),
    Quantity("et", "mm d-1", "evapotranspiration"),
    Quantity("ra", "g m-2 d-1", "autotrophic respiration, carbon"),
    Quantity("rh_litter", "g m-2 d-1", "heterotrophic respiration of litter, carbon"),
    Quantity("rh_som", "g m-2 d-1", "heterotrophic respiration of soil organic matter, carbon"),
    Quantity("nee", "g m-2 d-1", "net ecosystem exchange, positive to the atmosphere, carbon"),
    Quantity("reco", "g m-2 d-1", "ecosystem respiration, carbon"),
    Quantity("beta", "1", "water stress factor"),
    Quantity("labile_release", "g m-2 d-1", "labile carbon released to foliage"),
    Quantity("leaf_litter", "g m-2 d-1", "leaf litterfall, carbon"),
    Quantity("runoff_paw", "mm d-1", "runoff from plant-available water"),
    Quantity("violation", "1", "penalty on water demand that was not met"),
)
"""Daily outputs beside the pools."""

COMPARED = tuple(
    _LAI if name == "lai" else next(flux for flux in FLUXES if flux.name == name) for name in (*STREAMS, "nee")
)
"""Daily outputs that are compared with observations which no calibration saw."""


def _tables(streams: tuple[str, ...]) -> ModelTables:
    return ModelTables(
        PARAMETERS,
        POOLS,
        streams,
        TERMS,
        FORCING,
        fluxes=FLUXES,
        derived=DERIVED,
        attributed=ATTRIBUTED,
        strategy=STRATEGY,
        stocks=STOCKS,
        compared=COMPARED,
    )


TOWERS = _tables(STREAMS)
GRID = _tables(ALL_STREAMS)
