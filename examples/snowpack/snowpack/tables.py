"""What files, merges and reports need to know of the snow pack: nothing here computes anything."""

from __future__ import annotations

from phloem.model_tables import DriverVariable, ModelTables, Parameter, Quantity, Stock

_SOURCE = "Hock (2003), doi:10.1016/S0022-1694(03)00257-9"

PARAMETERS = (
    Parameter("melt_factor", "f", "mm degC-1 d-1", 0.5, 12.0, "snow melted a degree and day", _SOURCE),
    Parameter("drainage_rate", "d", "d-1", 0.002, 0.5, "share of soil water that drains in a day", "bucket model"),
    Parameter("evaporation_factor", "e", "mm degC-1 d-1", 0.01, 1.0, "evaporation a degree and day", "bucket model"),
)

POOLS = (
    Parameter("snow", "S", "mm", 0.01, 2000.0, "water in the snow pack", _SOURCE),
    Parameter("soil_water", "W", "mm", 1.0, 1000.0, "water in the soil", "bucket model"),
)

TABLES = ModelTables(
    parameters=PARAMETERS,
    pools=POOLS,
    streams=("swe", "runoff"),
    terms=("observations", "prior"),
    forcing=("tas", "pr"),
    variables=(
        DriverVariable("tas", "degC", "mean air temperature", -95.0, 60.0),
        DriverVariable("swe", "mm", "snow water equivalent", 0.0, 5000.0, slack=0.5),
        DriverVariable("runoff", "mm d-1", "runoff, mean of the month on its last day", 0.0, 500.0),
    ),
    fluxes=(
        Quantity("swe", "mm", "snow water equivalent"),
        Quantity("runoff", "mm d-1", "runoff"),
    ),
    stocks=(Stock("water", "mm", "snow and soil water", ("snow", "soil_water")),),
    compared=(Quantity("swe", "mm", "snow water equivalent"),),
)
