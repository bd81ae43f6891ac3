"""Catalogue of the monthly products that make a patch store: their variables, and the form of their files. Data alone.

Each entry states what is published, as `io.products.catalogue` does; what could be looked up and what could not stands
in docs/patches.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from phloem.io.drivers.variables import VARIABLES, Variable, unit_table
from phloem.io.patches.stored_patch import UNITS
from phloem.io.products.catalogue import CF_FORCING, ELEVATION, MONTH, STATIC, YEAR, Field, Product
from phloem.names import PREDICTOR_GROUPS

_PER_CENT = unit_table(
    "%",
    ("%", "%;percent;per cent;pct;percent in integers;percent in integer;% wt.;% weight;% vol.;percent weight"),
    ("1", "1;-;fraction;dimensionless;unitless;m2 m-2"),
)
_BULK = unit_table("g cm-3", ("1e3 kg m-3", "g cm-3;g/cm3;kg dm-3;kg/dm3;Mg m-3"), ("kg m-3", "kg m-3;kg/m3"))
_SUN = unit_table(
    "MJ m-2 d-1",
    ("MJ m-2 d-1", "MJ m-2 d-1;MJ/m2/d"),
    ("W m-2", "W m-2;W/m2"),
    ("J m-2 d-1", "J m-2 d-1;J/m2/d;J m-2;J/m2"),  # ERA5's monthly means of accumulations are those of a day
)
_RAIN = unit_table(
    "mm d-1",
    ("mm d-1", "mm d-1;mm/d;kg m-2 d-1;kg/m2/d"),
    ("1e3 mm d-1", "m d-1;m/d;m"),  # likewise
    ("mm s-1", "kg m-2 s-1;kg/m2/s;mm s-1;mm/s"),
    ("mm month-1", "mm month-1;mm/month;kg m-2 month-1"),
)
_BURNED = unit_table(
    "1",
    ("1", "1;-;fraction;ratio;dimensionless;unitless;month-1;fraction month-1;1 month-1"),
    ("%", "%;percent;% month-1"),
    ("1", "km2;m2;ha;km2 month-1;m2 month-1;ha month-1"),  # areas: divided by those of the pixels when they are read
)
_SIF = "mW m-2 sr-1 nm-1"
_SIF_UNITS = unit_table(
    _SIF,
    (_SIF, f"{_SIF};mW m-2 nm-1 sr-1;mW/m2/sr/nm;mW/m2/nm/sr;W m-2 um-1 sr-1;W m-2 sr-1 um-1;W/m2/um/sr;W/m2/sr/um"),
)
_YEARS = unit_table("yr", ("yr", "yr;year;years;a"))
_HEIGHT = unit_table("m", ("m", "m;metre;metres;meter;meters"), ("cm", "cm"), ("km", "km"))
_RAIN_OF_YEAR = unit_table("mm yr-1", ("mm yr-1", "mm yr-1;mm/yr;mm year-1;mm/year;mm a-1"), ("mm d-1", "mm d-1;mm/d"))


def _map(
    name: str, unit: str, table: Mapping[str, tuple[float, float, str]], low: float, high: float, slack: float = 0.0
) -> Variable:
    return Variable(name, name, unit, table, low, high, slack, name.replace("_", " "))


def _label(name: str, low: float, high: float, slack: float = 0.0) -> Variable:
    """A stream of the store, converted by whatever leads to its unit."""
    unit, meaning = UNITS[name]
    return Variable(name, name, unit, {}, low, high, slack, meaning)


SHARE = _map("share", "%", _PER_CENT, 0.0, 100.0, 0.5)
BURNED_SHARE = _map("burned_area", "1", _BURNED, 0.0, 1.05, 1e-6)
"""Areas of fires are uncertain: up to a twentieth more than the cell has is taken as the whole cell."""
GPP = Variable("gpp", "gpp", "g m-2 d-1", {}, -15.0, 60.0, 0.0, "gross primary production")

IGBP: dict[str, tuple[int, ...]] = {
    "NF": (1, 3),
    "DBF": (4,),
    "EBF": (2,),
    "MF": (5,),
    "SH": (6, 7),
    "SAV": (8, 9),
    "GRA": (10,),
    "WET": (11,),
    "CRO": (12, 14),
    "NVG": (13, 15, 16),
    "water": (0,),
}
"""Classes of the IGBP legend, as MCD12C1 numbers them, by plant type: NF evergreen and deciduous needleleaf, SH closed
and open shrubland, SAV woody savanna and savanna, CRO cropland and its mosaic, NVG urban, snow and barren."""

CLASS_OF_TOWERS = {
    "ENF": "NF", "DNF": "NF", "DBF": "DBF", "EBF": "EBF", "MF": "MF", "CSH": "SH", "OSH": "SH", "WSA": "SAV",
    "SAV": "SAV", "GRA": "GRA", "WET": "WET", "CRO": "CRO", "CVM": "CRO", "URB": "NVG", "SNO": "NVG", "BSV": "NVG",
}  # fmt: skip
"""Plant type of the classes by which towers are described."""

PLANT_TYPES = PREDICTOR_GROUPS["PFT"]

_WATER = ("water", "water_fraction", "WATER", "Water")

PLANT_TYPE_KINDS: dict[str, Product] = {
    "mcd12c1": Product(
        "mcd12c1",
        ("pft",),
        "MCD12C1 land cover, IGBP shares, 0.05 degree",
        "MCD12C1.AYYYY001.061.*.hdf",
        "https://lpdaac.usgs.gov (MCD12C1 v061)",
        STATIC,
        {f"igbp_{n}": Field(SHARE, ("Land_Cover_Type_1_Percent",), unit="%") for n in range(17)},
        fills=(255.0,),
        degrees=0.05,
    ),
    "groups": Product(
        "groups",
        ("pft",),
        "shares of the ten plant types",
        "*.nc",
        "",
        STATIC,
        {
            **{name: Field(SHARE, ("pft_fraction",)) for name in PLANT_TYPES},
            "water": Field(SHARE, _WATER),
        },
    ),
}
"""Forms of land cover, by `kind`."""

FORCING_FIELDS: dict[str, Field] = {
    **CF_FORCING,
    "tasmin": replace(CF_FORCING["tasmin"], names=("tasmin", "t2m_min", "mn2t", "T_min", "tmin", "T2M_MIN")),
    "tasmax": replace(CF_FORCING["tasmax"], names=("tasmax", "t2m_max", "mx2t", "T_max", "tmax", "T2M_MAX")),
    "rsds": Field(replace(VARIABLES["rsds"], conversions=_SUN), ("rsds", "ssrd", "SSRD", "SOLR"), (
        "surface_downwelling_shortwave_flux_in_air",
    )),
    "pr": Field(replace(VARIABLES["pr"], conversions=_RAIN), ("pr", "tp", "PREC", "TOTAL_PREC", "mtpr"), (
        "precipitation_flux",
    )),
    "vpd": replace(CF_FORCING["vpd"], names=("vpd", "VPD")),
}  # fmt: skip

FORCING_PRODUCT = Product(
    "monthly",
    ("forcing",),
    "monthly weather: ERA5 monthly means, or any CF file of months or days",
    "*.nc",
    "https://cds.climate.copernicus.eu (ERA5 monthly means)",
    MONTH,
    FORCING_FIELDS,
)

_YEAR_MONTH = r"(?<!\d)(?:[A-Za-z]*)(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?!\d)"
_YEAR = r"(?<!\d)(?P<year>(?:19|20)\d\d)(?!\d)"


def _single(
    name: str, title: str, files: str, origin: str, step: str, field: Field, *, scale: float = 1.0, stamp: str = "",
    fills: tuple[float, ...] = (),
) -> Product:  # fmt: skip
    return Product("monthly", (name,), title, files, origin, step, {name: field}, fills, scale, 0.0, stamp)


MONTHLY: dict[str, Product] = {
    "burned_area": _single(
        "burned_area", "GFED5 burned area, 0.25 degree, a file a month", "BAYYYYMM.nc",
        "https://doi.org/10.5281/zenodo.7668423", MONTH,
        Field(BURNED_SHARE, ("Total", "burned_area", "burntFractionAll", "BURNED_AREA", "burntArea",
                             "burned_fraction")),
        stamp=_YEAR_MONTH,
    ),
    "sif": _single(
        "sif", "SIF proxy such as LCSPP, or any SIF", "*.nc", "", MONTH,
        Field(_map("sif", _SIF, _SIF_UNITS, -5.0, 30.0), ("LCSPP", "LCSPP_MODIS", "LCSPP_AVHRR", "SIF", "sif"),
              unit=_SIF),
        fills=(-9999.0,), stamp=_YEAR_MONTH,
    ),
    "lai": _single(
        "lai", "leaf area index (MODIS)", "*.nc", "", MONTH,
        Field(replace(VARIABLES["lai"], name="lai"), ("LAI", "lai", "Lai", "Lai_500m"), ("leaf_area_index",)),
        stamp=_YEAR_MONTH,
    ),
    "et": _single(
        "et", "GLEAM v4 actual evaporation, monthly, 0.1 degree, a file a year", "E_YYYY_GLEAM_v4.2a_MO.nc",
        "https://www.gleam.eu (SFTP, v4.2a/monthly)", MONTH,
        Field(_label("et", -5.0, 25.0), ("E", "evspsbl", "ET", "et"), ("water_evapotranspiration_flux",)),
        fills=(-999.0,),
    ),
    "fire": _single(
        "fire", "GFED5 emissions of carbon by fire", "GFED5_Beta_monthly_YYYY.nc",
        "https://www.globalfiredata.org", MONTH,
        Field(_label("fire", 0.0, 500.0, 1e-6), ("C", "fire_emission", "GFED_FIRE_EMISSION", "fFire", "fire")),
        stamp=_YEAR,
    ),
    "nbe": _single(
        "nbe", "CMS-Flux net biosphere exchange, 4 x 5 degrees", "*.nc", "https://cmsflux.jpl.nasa.gov", MONTH,
        Field(_label("nbe", -60.0, 60.0), ("NBE", "nbe", "flux", "post-NBE")),
    ),
    "water_storage": _single(
        "water_storage", "GRACE and GRACE-FO mascons of JPL, RL06, 0.5 degree",
        "GRCTellus.JPL.*.GLO.RL06.*M.MSCNv*CRI.nc", "https://podaac.jpl.nasa.gov (TELLUS_GRAC-GRFO_MASCON_CRI)", MONTH,
        Field(_label("water_storage", -2e4, 2e4), ("lwe_thickness", "LWE", "water_storage", "tws"),
              ("liquid_water_equivalent_thickness", "lwe_thickness_of_surface_water_amount")),
        fills=(-99999.0,),
    ),
    "biomass": _single(
        "biomass", "live biomass, Xu et al. (2021), annual, 0.1 degree", "*.nc",
        "https://doi.org/10.5281/zenodo.4161694", YEAR,
        Field(_label("biomass", 0.0, 1e5), ("biomass", "agb_bgb", "cVeg", "live_biomass", "carbon_density")),
        stamp=_YEAR,
    ),
    "gpp": _single(
        "gpp", "gross primary production, of which herbaceous biomass is made", "*.nc", "", MONTH,
        Field(GPP, ("GPP", "gpp"), ("gross_primary_productivity_of_biomass_expressed_as_carbon",)), fills=(-9999.0,),
    ),
    "vod": _single(
        "vod", "vegetation optical depth", "*.nc", "", MONTH,
        Field(_label("vod", 0.0, 10.0, 0.05), ("VOD", "vod", "L_VOD", "SM_VOD"), unit="1"), stamp=_YEAR_MONTH,
    ),
}  # fmt: skip
"""Products that vary in time, by the name of their table; days and composites are averaged over the months."""

CARBON_DENSITY = _label("soil_carbon", 0.0, 1e6)

_PREDICTORS: dict[str, Field] = {
    "MAT": Field(
        Variable("MAT", "MAT", "degC", VARIABLES["tasmin"].conversions, -60.0, 45.0, 0.0, "mean annual temperature"),
        ("MAT", "mat"),
    ),
    "MAP": Field(_map("MAP", "mm yr-1", _RAIN_OF_YEAR, 0.0, 15000.0), ("MAP", "map")),
    "elevation": Field(ELEVATION, ("elevation", "elev", "z", "orog", "GTOPO30", "Band1"), ("surface_altitude",)),
    "canopy_height": Field(
        _map("canopy_height", "m", _HEIGHT, 0.0, 130.0), ("canopy_height", "height", "CanopyHeight", "Band1")
    ),
    "forest_age": Field(
        _map("forest_age", "yr", _YEARS, 0.0, 3000.0),
        ("forest_age", "ForestAge_TC000", "forest_age_TC000", "ForestAge", "tree_age_000_filled"),
    ),
    "bulk_density": Field(
        _map("bulk_density", "g cm-3", _BULK, 0.0, 3.0), ("T_BULK_DEN", "T_REF_BULK", "BULK_DEN", "bulk_density")
    ),
    **{
        name: Field(SHARE, (f"T_{name.upper()}", name.upper(), name))
        for name in ("sand", "silt", "clay", "gravel")
    },
}  # fmt: skip

MAPS: dict[str, Product] = {
    name: Product("map", (name,), title, "*.nc", origin, STATIC, {key: _PREDICTORS[key] for key in keys})
    for name, title, origin, keys in (
        ("mat", "mean annual temperature", "", ("MAT",)),
        ("map", "mean annual precipitation", "", ("MAP",)),
        ("elevation", "elevation, such as GTOPO30", "https://doi.org/10.5066/F7DF6PQS", ("elevation",)),
        ("canopy_height", "canopy height", "", ("canopy_height",)),
        ("forest_age", "forest age, such as Besnard et al. (2021)", "https://doi.org/10.17871/ForestAgeBGI.2021",
         ("forest_age",)),
        ("soil", "HWSD soil, topsoil, 0.05 degree", "https://doi.org/10.3334/ORNLDAAC/1247", PREDICTOR_GROUPS["SOIL"]),
    )
}  # fmt: skip
"""Maps of predictors, by the name of their table."""

SOIL_CARBON = Product(
    "map",
    ("soil_carbon",),
    "HWSD soil organic carbon: of the soil, or the sum of topsoil and subsoil",
    "AWT_{T,S}_SOC.nc4",
    "https://doi.org/10.3334/ORNLDAAC/1247",
    STATIC,
    {
        "soil_carbon": Field(CARBON_DENSITY, ("soil_carbon", "cSoil", "initial_som", "SOC")),
        "topsoil": Field(CARBON_DENSITY, ("AWT_T_SOC",)),
        "subsoil": Field(CARBON_DENSITY, ("AWT_S_SOC",)),
    },
)

LATER = "_later"
"""What is added to the name of a monthly product's table for one whose months follow those of the first."""
