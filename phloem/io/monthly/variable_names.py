"""Variable names in files of monthly drivers: CMIP's, and those of the CARDAMOM files."""

from __future__ import annotations

from phloem.io.drivers.variables import VARIABLES, Variable, unit_table

_STOCK = unit_table(
    "g m-2", ("g m-2", "gC m-2;g m-2;gC/m2"), ("kg m-2", "kgC m-2;kg m-2;kgC/m2"), ("Mg ha-1", "MgC ha-1;tC ha-1")
)
_SHARE = unit_table("1", ("1", "1;-;fraction"), ("%", "%;percent"))

NBE = Variable(
    "nbe",
    "NBE",
    VARIABLES["gpp"].unit,
    VARIABLES["gpp"].conversions,
    -60.0,
    60.0,
    0.0,
    "net carbon flux to the atmosphere",
)
BURNED = Variable("burned_area", "BURNED_AREA", "1", _SHARE, 0.0, 1.0, 1e-6, "burned share of the area")
BIOMASS = Variable("biomass", "ABGB", "gC m-2", _STOCK, 0.0, 1e5, 0.0, "live biomass above and below ground")
SOIL_CARBON = Variable("soil_carbon", "csom0", "gC m-2", _STOCK, 0.0, 1e6, 0.0, "soil carbon")

QUANTITIES: dict[str, tuple[Variable, tuple[str, ...]]] = {
    "tasmin": (VARIABLES["tasmin"], ("tasmin", "T2M_MIN")),
    "tasmax": (VARIABLES["tasmax"], ("tasmax", "T2M_MAX")),
    "rsds": (VARIABLES["rsds"], ("rsds", "SSRD")),
    "co2": (VARIABLES["co2"], ("co2", "CO2")),
    "vpd": (VARIABLES["vpd"], ("vpd", "VPD")),
    "pr": (VARIABLES["pr"], ("pr", "TOTAL_PREC")),
    "gpp": (VARIABLES["gpp"], ("gpp", "GPP")),
    "reco": (VARIABLES["reco"], ("reco", "RECO")),
    "nbe": (NBE, ("nbe", "NBE", "nee", "NEE")),
    "et": (VARIABLES["et"], ("et", "ET", "evspsbl")),
    "lai": (VARIABLES["lai"], ("lai", "LAI")),
    "burned_area": (BURNED, ("burned_area", "BURNED_AREA", "burntArea")),
    "biomass": (BIOMASS, ("biomass", "ABGB", "cVeg", "Mean_ABGB", "Mean_Biomass")),
    "soil_carbon": (SOIL_CARBON, ("soil_carbon", "csom0", "cSoil", "PEQ_iniSOM")),
}
"""Quantities by name: their unit and range, and what files may call them."""

PRIORS = {"lcma": ("lcma", "PEQ_LCMA"), "cue": ("cue", "PEQ_CUE")}
"""Numbers of a place that are priors of parameters, and what files may call them."""

WITHHELD = ("gpp", "reco", "nbe", "et", "lai")
"""Quantities of which values may be withheld from every calibration."""

SUFFIXES = ("_val", "_withheld")
"""What stands behind a name of theirs then."""

NAMES = ("site", "cell", "station", "name", "site_id", "station_name")
"""Variables of text that may name the places."""

CLASSES = ("igbp", "IGBP", "pft", "PFT")
"""Variables of text that may hold a vegetation class of each place."""

SUMS = ("pr", "et", "gpp", "reco", "nbe")
"""Depths of water and masses of carbon, which files also give as sums over the month."""


def names_of(key: str, withheld: bool = False) -> tuple[str, ...]:
    """Return what files may call a quantity, or its withheld values."""
    names = QUANTITIES[key][1]
    return tuple(name + suffix for name in names for suffix in SUFFIXES) if withheld else names
