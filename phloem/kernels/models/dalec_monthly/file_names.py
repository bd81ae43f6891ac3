"""Names, units and meanings of the monthly model's quantities and outputs in files: those of the public code."""

from __future__ import annotations

from dataclasses import replace

from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_monthly.records import CARBON, MOVED
from phloem.model_tables import ModelTables, Quantity

OTHER_NAMES = {"iwue": "iwue_unused", "drainage_capacity": "runoff_focal_point"}
"""Parameters that files call otherwise than the model does."""

_FLUX, _STOCK, _WATER = "g m-2 d-1", "g m-2", "mm d-1"


def _pool(name: str) -> str:
    return next(pool.meaning for pool in POOLS if pool.name == name)


OUTPUT_QUANTITIES: dict[str, Quantity] = {
    "lai": Quantity("lai", "1", "leaf area index at the start of the month"),
    "gpp": Quantity("gpp", _FLUX, "gross primary production, carbon"),
    "et": Quantity("ET", _WATER, "evapotranspiration"),
    "temperate": Quantity("temperate", "1", "factor of temperature and moisture on decomposition"),
    "ra": Quantity("respiration_auto", _FLUX, "autotrophic respiration, carbon"),
    "leaf_production": Quantity("leaf_production", _FLUX, "net primary production to foliage, carbon"),
    "labile_production": Quantity("labile_production", _FLUX, "net primary production to labile carbon"),
    "root_production": Quantity("root_production", _FLUX, "net primary production to fine roots, carbon"),
    "wood_production": Quantity("wood_production", _FLUX, "net primary production to wood, carbon"),
    "leaf_fall_rate": Quantity("lff", "d-1", "rate of leaf fall"),
    "labile_release_rate": Quantity("lrf", "d-1", "rate of labile release"),
    "labile_release": Quantity("labile_release", _FLUX, "labile carbon released to foliage"),
    "leaf_litter": Quantity("leaf_litter", _FLUX, "leaf litterfall, carbon"),
    "wood_litter": Quantity("wood_litter", _FLUX, "wood litterfall, carbon"),
    "root_litter": Quantity("root_litter", _FLUX, "fine-root litterfall, carbon"),
    "rh_litter": Quantity("respiration_hetero_litter", _FLUX, "heterotrophic respiration of litter, carbon"),
    "rh_som": Quantity("respiration_hetero_som", _FLUX, "heterotrophic respiration of soil organic matter, carbon"),
    "litter_to_som": Quantity("litter_to_som", _FLUX, "litter turned into soil organic matter, carbon"),
    "runoff": Quantity("runoff", _WATER, "runoff"),
    **{
        f"{name}_combustion": Quantity(f"{name}_fire_combust", _FLUX, f"combustion of {_pool(name)}") for name in CARBON
    },
    **{
        f"{name}_fire_litter": Quantity(f"{name}_fire_transfer", _FLUX, f"killed by fire and not burnt: {_pool(name)}")
        for name in MOVED
    },
    "fire_emission": Quantity("total_fire_combust", _FLUX, "fire emission, carbon"),
    "nee": Quantity("nee", _FLUX, "net ecosystem exchange without fire, positive to the atmosphere, carbon"),
    "nbe": Quantity("nbe", _FLUX, "net biome exchange, fire included, positive to the atmosphere, carbon"),
    **{
        pool.name: Quantity(f"next_{pool.name}_pool", pool.unit, f"{pool.meaning}, at the end of the month")
        for pool in POOLS
    },
    "beta": Quantity("beta", "1", "water stress factor"),
    "sif": Quantity("SIF", "1", "solar-induced fluorescence, in the unit of the observations"),
    "violation": Quantity("violation", "1", "penalty on water demand that was not met"),
    "vod": Quantity("vod", "1", "vegetation optical depth"),
}
"""Outputs of a month by their name in the model: how files call them, unit and meaning; in the order of the model."""

TABLES = ModelTables(
    parameters=tuple(replace(one, name=OTHER_NAMES.get(one.name, one.name)) for one in PARAMETERS),
    pools=POOLS,
    streams=(),
    terms=(),
    forcing=("tasmin", "tasmax", "rsds", "co2", "vpd", "pr", "burned_area"),
    fluxes=tuple(OUTPUT_QUANTITIES.values()),
)
"""The model as its files have it: names of the 40 quantities and of the 44 outputs."""
