"""The tables of the daily DALEC at towers and in grid cells."""

from __future__ import annotations

from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.model_tables import ModelTables
from phloem.names import ALL_STREAMS, STREAMS

TERMS = ("observations", "prior", "edc", "steady_state", "violation")
"""Parts of the loss (calibration.md section 4), the fields of `site_objective.Terms`."""

FLUXES = {
    "lai": ("1", "leaf area index at the start of the day"),
    "gpp": ("g m-2 d-1", "gross primary production, carbon"),
    "et": ("mm d-1", "evapotranspiration"),
    "ra": ("g m-2 d-1", "autotrophic respiration, carbon"),
    "rh_litter": ("g m-2 d-1", "heterotrophic respiration of litter, carbon"),
    "rh_som": ("g m-2 d-1", "heterotrophic respiration of soil organic matter, carbon"),
    "nee": ("g m-2 d-1", "net ecosystem exchange, positive to the atmosphere, carbon"),
    "reco": ("g m-2 d-1", "ecosystem respiration, carbon"),
    "beta": ("1", "water stress factor"),
    "labile_release": ("g m-2 d-1", "labile carbon released to foliage"),
    "leaf_litter": ("g m-2 d-1", "leaf litterfall, carbon"),
    "runoff_paw": ("mm d-1", "runoff from plant-available water"),
    "violation": ("1", "penalty on water demand that was not met"),
}
"""Daily outputs beside the pools: units and meaning."""

TOWERS = ModelTables(PARAMETERS, POOLS, STREAMS, TERMS, FLUXES)
GRID = ModelTables(PARAMETERS, POOLS, ALL_STREAMS, TERMS, FLUXES)
