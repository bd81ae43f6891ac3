"""The calibrated quantities of the daily model, with units, bounds and sources."""

from __future__ import annotations

from phloem.model_tables import Parameter
from phloem.names import PERIOD

_DIFFERLAND = "DifferLand v1.0, daily model 990"
_CARDAMOM = "CARDAMOM DALEC 1005/1006 (Bloom et al. 2016), kept by DifferLand v1.0"

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("decomposition_rate", "k_dec", "d-1", 1e-5, 0.01, "litter to SOM at reference climate", _CARDAMOM),
    Parameter("f_auto", "f_auto", "1", 0.2, 0.8, "fraction of GPP respired autotrophically", _CARDAMOM),
    Parameter("f_foliar", "f_fol", "1", 0.01, 0.5, "fraction of NPP to foliage", _CARDAMOM),
    Parameter("f_root", "f_root", "1", 0.01, 1.0, "fraction of NPP - foliage - labile to fine roots", _CARDAMOM),
    Parameter("leaf_lifespan", "L_fol", "yr", 1.001, 8.0, "leaf lifespan shape", _CARDAMOM),
    Parameter("turnover_wood", "k_wood", "d-1", 2.5e-5, 1e-3, "wood turnover", _CARDAMOM),
    Parameter("turnover_root", "k_root", "d-1", 1e-4, 0.01, "fine-root turnover", _CARDAMOM),
    Parameter("turnover_litter", "k_lit", "d-1", 1e-4, 0.01, "litter mineralisation", _CARDAMOM),
    Parameter("turnover_som", "k_som", "d-1", 1e-7, 1e-3, "SOM mineralisation", _CARDAMOM),
    Parameter("temperature_sensitivity", "q", "K-1", 0.018, 0.08, "exponent of decomposition", _CARDAMOM),
    Parameter("canopy_efficiency", "ce", "1", 5.0, 50.0, "canopy efficiency", _CARDAMOM),
    Parameter("bud_burst_day", "B", "d", PERIOD, 4 * PERIOD, "day of labile release", _CARDAMOM, period=PERIOD),
    Parameter("f_labile", "f_lab", "1", 0.01, 0.5, "fraction of NPP - foliage to labile", _CARDAMOM),
    Parameter("labile_release_period", "w_lab", "d", 30.4375, 100.0, "labile release period", _CARDAMOM),
    Parameter("leaf_fall_day", "S", "d", PERIOD, 4 * PERIOD, "day of leaf fall", _CARDAMOM, period=PERIOD),
    Parameter("leaf_fall_period", "w_fall", "d", 30.4375, 150.0, "leaf-fall period", _CARDAMOM),
    Parameter("lcma", "LCMA", "g m-2", 5.0, 200.0, "leaf carbon per leaf area", _CARDAMOM),
    Parameter("uwue", "uWUE", "g hPa0.5 kg-1", 0.5, 30.0, "underlying water-use efficiency", _CARDAMOM),
    Parameter("paw_drainage_capacity", "Qp", "mm", 1.0, 100_000.0, "PAW drainage focal point", _CARDAMOM),
    Parameter("field_capacity", "fc", "mm", 1.0, 10_000.0, "upper knee of the water stress", _DIFFERLAND),
    Parameter("wilting_point_fraction", "wpf", "1", 0.01, 0.5, "wilting point over field capacity", _DIFFERLAND),
    Parameter("combustion_foliar", "cf_fol", "1", 0.01, 1.0, "combustion of foliage", _CARDAMOM, read=False),
    Parameter("combustion_ligneous", "cf_lig", "1", 0.01, 1.0, "combustion of wood", _CARDAMOM, read=False),
    Parameter("combustion_dom", "cf_dom", "1", 0.01, 1.0, "combustion of dead matter", _CARDAMOM, read=False),
    Parameter("fire_resilience", "resil", "1", 0.01, 1.0, "post-fire resilience", _CARDAMOM, read=False),
    Parameter("labile_lifespan", "L_lab", "yr", 1.001, 8.0, "labile lifespan shape", _CARDAMOM),
    Parameter("moisture_sensitivity", "m", "1", 0.01, 1.0, "moisture sensitivity of decomposition", _CARDAMOM),
    Parameter("paw_to_puw_fraction", "h", "1", 0.01, 1.0, "PAW drainage routed to PUW", _CARDAMOM),
    Parameter("puw_drainage_capacity", "Qu", "mm", 1.0, 100_000.0, "PUW drainage focal point", _CARDAMOM),
    Parameter("radiation_et_coefficient", "r", "kg MJ-1", 0.01, 0.3, "radiation-driven ET", _DIFFERLAND),
)
"""The 30 parameters, in the order of files (docs/science.md#parameters)."""

PARAMETER_NAMES = tuple(parameter.name for parameter in PARAMETERS)

POOLS: tuple[Parameter, ...] = (
    Parameter("labile", "Clab", "g m-2", 1.0, 2_000.0, "labile carbon", _CARDAMOM),
    Parameter("foliar", "Cfol", "g m-2", 1.0, 2_000.0, "foliar carbon", _CARDAMOM),
    Parameter("root", "Croo", "g m-2", 1.0, 2_000.0, "fine-root carbon", _CARDAMOM),
    Parameter("wood", "Cwoo", "g m-2", 1.0, 100_000.0, "wood carbon, coarse roots included", _CARDAMOM),
    Parameter("litter", "Clit", "g m-2", 1.0, 2_000.0, "litter carbon", _CARDAMOM),
    Parameter("som", "Csom", "g m-2", 1.0, 200_000.0, "soil organic carbon", _CARDAMOM),
    Parameter("paw", "W", "mm", 1.0, 10_000.0, "plant-available water", _CARDAMOM),
    Parameter("puw", "U", "mm", 1.0, 10_000.0, "plant-unavailable water", _CARDAMOM),
)
"""The 8 pools; the bounds hold for the initial value and for the running state (docs/science.md#pools)."""

UNKNOWNS: tuple[Parameter, ...] = PARAMETERS + POOLS
"""All 38 unknowns of a lane, in the order of the unbounded vector."""
