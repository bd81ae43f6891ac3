"""Catalogue of the products of `phloem ingest`: their variables and the form of their files. Data; no code.

Each entry states what is published: names, units, calendar, time step, fill values, file names. What could be looked up
and what could not stands in docs/ingest.md. Units of a file count before the stated ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from phloem.io.drivers.moisture import MOISTURES, SPECIFIC_HUMIDITY
from phloem.io.drivers.variables import VARIABLES, Variable, unit_table
from phloem.io.files.time_axis import StampsAt

SIX_HOURS, DAY, EIGHT_DAYS, TEN_DAYS, STATIC = "6 hours", "day", "8 days", "10 days", "static"
MONTH, YEAR = "month", "year"
"""Time steps of products."""

_JOULES = unit_table(
    "MJ m-2 d-1",
    ("4 J m-2 d-1", "J m-2;J/m2;J m-2 6h-1;J/m2/6h"),  # of six hours
    ("W m-2", "W m-2;W/m2"),
)
_RAIN = unit_table(
    "mm d-1",
    ("4 mm d-1", "mm/6h;mm 6h-1;mm/6hr;mm/6hrs;mm/6hours;mm per 6h;mm;kg m-2;kg m-2 6h-1;kg/m2/6h"),  # of six hours
    ("mm d-1", "mm d-1;mm/d"),
    ("mm s-1", "kg m-2 s-1;kg/m2/s;mm s-1;mm/s"),
)
_PRESSURE = unit_table("hPa", ("Pa", "Pa;pascal;pascals"), ("hPa", "hPa;mbar;mb"), ("kPa", "kPa"))
_MASS = unit_table(
    "Mg ha-1",
    ("Mg ha-1", "Mg ha-1;Mg/ha;t ha-1;t/ha;tons/ha;tonnes/ha"),
    ("kg m-2", "kg m-2;kg/m2"),
    ("g m-2", "g m-2"),
)
_LEAF_AREA = unit_table(
    "m2 kg-1",
    ("m2 kg-1", "m2 kg-1;m2/kg;mm2 mg-1;mm2/mg"),
    ("cm2 g-1", "cm2 g-1;cm2/g"),
    ("m2 g-1", "m2 g-1;m2/g"),
)
_SHARE = unit_table("1", ("1", "1;-;dimensionless;unitless;fraction;ratio;kg kg-1;g g-1"), ("%", "%;percent"))
_HEIGHT = unit_table("m", ("m", "m;metre;metres;meter;meters"), ("km", "km"))
_ANY = unit_table("1", ("1", "1"))
_RATE = unit_table("yr-1", ("yr-1", "yr-1;1/yr;year-1;a-1;1/year;1"))


def _quantity(name: str, unit: str, table: Mapping[str, tuple[float, float, str]], low: float, high: float) -> Variable:
    return Variable(name, name, unit, table, low, high, 0.0, name.replace("_", " "))


AIR = Variable("tas", "tas", "degC", VARIABLES["tasmin"].conversions, -95.0, 65.0, 0.0, "air temperature")
RAIN = Variable("pr", "pr", "mm d-1", _RAIN, 0.0, 8000.0, 0.4, "precipitation")
SUN = Variable("rsds", "rsds", "MJ m-2 d-1", _JOULES, 0.0, 130.0, 2.0, "downward shortwave radiation")
PRESSURE = _quantity("ps", "hPa", _PRESSURE, 300.0, 1100.0)
EVAPORATION = Variable("potential_et", "potential_et", "mm d-1", VARIABLES["et"].conversions, -10.0, 40.0, 0.0, "Ep")
BIOMASS = _quantity("agb", "Mg ha-1", _MASS, 0.0, 6000.0)
ROOT_SHOOT = _quantity("root_shoot", "1", _SHARE, 0.0, 10.0)
SLA = _quantity("sla", "m2 kg-1", _LEAF_AREA, 0.1, 200.0)
CUE = _quantity("cue", "1", _SHARE, 0.0, 1.0)
ELEVATION = _quantity("elevation", "m", _HEIGHT, -500.0, 9000.0)
RATE = _quantity("growth_k", "yr-1", _RATE, 0.0, 10.0)
SHAPE = _quantity("growth_c", "1", _SHARE, 0.0, 100.0)


def any_layer(name: str) -> Variable:
    """Return a static layer of which nothing is known: taken as it is, in whatever unit."""
    return _quantity(name, "1", _ANY, -np.inf, np.inf)


@dataclass(frozen=True)
class Field:
    """One variable of a product.

    Attributes:
        quantity: what it is, its unit here, conversions and physical range.
        names: what files call it, the published name first.
        standard_names: CF standard names by which it is found where no name fits.
        method: what `cell_methods` must say to tell it from others of one standard name.
        unit: what the values are where the file gives no unit; empty: then the file is refused.
    """

    quantity: Variable
    names: tuple[str, ...]
    standard_names: tuple[str, ...] = ()
    method: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Product:
    """One product.

    Attributes:
        key: `kind` in the ingest file.
        gives: what a product table may be called that is of this kind.
        title: for people.
        files: published file names.
        origin: where to get it.
        step: time step.
        fields: variables by the name that they have here.
        fills: values that mean missing even where no attribute says so.
        scale: factor of packed values (whole numbers) where no attribute gives one.
        degrees: cell size of a global grid whose files carry no coordinates, from 180 W and from north to south; 0
            where they do.
        stamp: regular expression of the date in file names: `year`, perhaps `doy` or `month`; it counts where the file
            has no time axis with a unit.
    """

    key: str
    gives: tuple[str, ...]
    title: str
    files: str
    origin: str
    step: str
    fields: Mapping[str, Field]
    fills: tuple[float, ...] = ()
    scale: float = 1.0
    degrees: float = 0.0
    stamp: str = ""


def _one(name: str, quantity: Variable, *names: str, unit: str = "", standard: str = "") -> dict[str, Field]:
    return {name: Field(quantity, names, (standard,) if standard else (), "", unit)}


_YEAR = r"(?<!\d)(?P<year>(?:19|20)\d\d)(?!\d)"

CF_FORCING = {
    "tasmin": Field(VARIABLES["tasmin"], ("tasmin",), ("air_temperature",), "minimum"),
    "tasmax": Field(VARIABLES["tasmax"], ("tasmax",), ("air_temperature",), "maximum"),
    "rsds": Field(VARIABLES["rsds"], ("rsds",), ("surface_downwelling_shortwave_flux_in_air",)),
    "pr": Field(VARIABLES["pr"], ("pr",), ("precipitation_flux",)),
    "vpd": Field(VARIABLES["vpd"], ("vpd",), ("water_vapor_saturation_deficit_in_air",)),
    **{one.variable.name: Field(one.variable, one.names, (one.standard_name,)) for one in MOISTURES},
    "ps": Field(PRESSURE, ("ps",), ("surface_air_pressure",)),
}

_STREAMS = {
    "gpp": Field(VARIABLES["gpp"], ("gpp", "GPP"), ("gross_primary_productivity_of_biomass_expressed_as_carbon",)),
    "et": Field(VARIABLES["et"], ("evspsbl", "E", "ET", "et"), ("water_evapotranspiration_flux",)),
    "potential_et": Field(EVAPORATION, ("evspsblpot", "Ep", "pet", "PET"), ("water_potential_evaporation_flux",)),
    "reco": Field(VARIABLES["reco"], ("reco", "RECO")),
    "lai": Field(VARIABLES["lai"], ("lai", "LAI"), ("leaf_area_index",)),
}

PRODUCTS: dict[str, Product] = {
    product.key: product
    for product in (
        Product(
            "crujra",
            ("forcing",),
            "CRU-JRA v2.2, 6-hourly, 0.5 degree, 365-day calendar",
            "crujra.v2.2.5d.{tmp,pre,dswrf,spfh,pres}.YYYY.365d.noc.nc",
            "https://catalogue.ceda.ac.uk (CRU JRA v2.2)",
            SIX_HOURS,
            {
                "tas": Field(AIR, ("tmp",)),
                "pr": Field(RAIN, ("pre",), unit="mm/6h"),
                "rsds": Field(SUN, ("dswrf", "tswrf")),
                "huss": Field(SPECIFIC_HUMIDITY, ("spfh",)),
                "ps": Field(PRESSURE, ("pres",)),
            },
            stamp=_YEAR,
        ),
        Product(
            "cf",
            ("forcing", *_STREAMS),
            "any daily CF-NetCDF on a regular latitude-longitude grid, by CMIP names or standard names, and units",
            "*.nc",
            "",
            DAY,
            {**CF_FORCING, **_STREAMS},
        ),
        Product(
            "fluxsat",
            ("gpp",),
            "FluxSat v2 daily GPP, 0.05 degree, a file a month",
            "GPP_FluxSat_daily_v2_YYYYMM.nc4",
            "https://avdc.gsfc.nasa.gov/pub/tmp/FluxSat_GPP",
            DAY,
            _one("gpp", VARIABLES["gpp"], "GPP", unit="gC m-2 d-1"),
            fills=(-9999.0,),
        ),
        Product(
            "gleam_e",
            ("et",),
            "GLEAM v4.2a actual evaporation, daily, 0.1 degree, a file a year",
            "E_YYYY_GLEAM_v4.2a.nc",
            "https://www.gleam.eu (SFTP, v4.2a/daily/YYYY)",
            DAY,
            _one("et", VARIABLES["et"], "E"),
            fills=(-999.0,),
        ),
        Product(
            "gleam_ep",
            ("potential_et",),
            "GLEAM v4.2a potential evaporation, daily, 0.1 degree, a file a year",
            "Ep_YYYY_GLEAM_v4.2a.nc",
            "https://www.gleam.eu (SFTP, v4.2a/daily/YYYY)",
            DAY,
            _one("potential_et", EVAPORATION, "Ep"),
            fills=(-999.0,),
        ),
        Product(
            "zeng_reco",
            ("reco",),
            "Zeng et al. (2020) ecosystem respiration, 10-day means, 0.1 degree, 60 S to 80 N, a file a year",
            "RECO_YYYY.nc",
            "https://www.nies.go.jp/doi/10.17595/20200227.001-e.html",
            TEN_DAYS,
            _one("reco", VARIABLES["reco"], "RECO", "reco", unit="gC m-2 d-1"),
            fills=(-9999.0,),
            stamp=_YEAR,
        ),
        Product(
            "glass_lai",
            ("lai",),
            "GLASS v6 leaf area index (MODIS), 8-day, 0.05 degree, an HDF4 file a composite",
            "GLASS01B01.V60.AYYYYDDD.*.hdf",
            "http://www.glass.umd.edu/LAI/MODIS/0.05D",
            EIGHT_DAYS,
            _one("lai", VARIABLES["lai"], "LAI", unit="1"),
            fills=(255.0, 2550.0),
            scale=0.1,
            degrees=0.05,
            stamp=r"\.A(?P<year>\d{4})(?P<doy>\d{3})(?!\d)",
        ),
        Product(
            "cci_agb",
            ("agb",),
            "ESA CCI Biomass v4 above-ground biomass 2020, 100 m",
            "ESACCI-BIOMASS-L4-AGB-MERGED-100m-2020-fv4.0.nc",
            "https://catalogue.ceda.ac.uk (ESA CCI Biomass v4)",
            STATIC,
            _one("agb", BIOMASS, "agb", "AGB"),
        ),
        Product(
            "growth_curves",
            ("growth",),
            "growth curves: Richards-Chapman parameters or AGB against age, by half-degree cell",
            "growth_curves.csv, or a NetCDF with amax, k, c (latitude, longitude)",
            "Xu et al. (2026); phloem ingest --what growth-curves fits such a table",
            STATIC,
            {
                "amax": Field(BIOMASS, ("amax", "Amax", "A", "growth_amax")),
                "k": Field(RATE, ("k", "growth_k"), unit="yr-1"),
                "c": Field(SHAPE, ("c", "growth_c", "p"), unit="1"),
            },
        ),
        Product(
            "root_shoot",
            ("root_shoot",),
            "root:shoot ratio, such as Huang et al. (2021)",
            "*.nc",
            "https://doi.org/10.6084/m9.figshare.12199637",
            STATIC,
            _one("root_shoot", ROOT_SHOOT, "root_shoot", "rs", "RS", "rsr", "root_shoot_ratio"),
        ),
        Product(
            "sla",
            ("sla",),
            "specific leaf area, such as Butler et al. (2017)",
            "*.nc",
            "https://github.com/abhirupdatta/global_maps_of_plant_traits",
            STATIC,
            _one("sla", SLA, "sla", "SLA", "sla_mean", "specific_leaf_area"),
        ),
        Product(
            "cue",
            ("cue",),
            "carbon-use efficiency, such as Luo et al. (2025)",
            "*.nc",
            "",
            STATIC,
            _one("cue", CUE, "cue", "CUE"),
        ),
        Product(
            "elevation",
            ("elevation",),
            "elevation",
            "*.nc",
            "",
            STATIC,
            _one("elevation", ELEVATION, "elevation", "elev", "orog", standard="surface_altitude"),
        ),
    )
}
"""Products by `kind`. Any other static layer (soils, plant functional types) is of kind `layer`."""

LAYER = Product("layer", (), "any static layer: soils, plant functional types", "*.nc", "", STATIC, {})

DEFAULT_KIND = {
    "forcing": "crujra",
    "gpp": "fluxsat",
    "et": "gleam_e",
    "potential_et": "gleam_ep",
    "reco": "zeng_reco",
    "lai": "glass_lai",
    "agb": "cci_agb",
    "growth": "growth_curves",
    "root_shoot": "root_shoot",
    "sla": "sla",
    "cue": "cue",
    "elevation": "elevation",
}
"""What a product table is, by its name, where it does not say `kind`."""


def product_of(kind: str, name: str) -> Product | None:
    """Return the product of a kind with the variables that a table of this name can mean, or None."""
    known = PRODUCTS.get(kind)
    if known is None or name not in known.gives:
        return None
    if name == "forcing":
        fields = {key: one for key, one in known.fields.items() if key not in _STREAMS}
    elif name == "growth":
        fields = dict(known.fields)
    else:
        fields = {name: known.fields[name]}
    return replace(known, fields=fields)


def layer(name: str, variable: str) -> Product:
    """Return a static layer by its own name: nothing is known of it but what the file says."""
    one = Field(any_layer(name), (variable, name), unit="1")
    return Product("layer", (name,), LAYER.title, LAYER.files, "", STATIC, {name: one})


@dataclass(frozen=True)
class Choice:
    """Choice of one product in the ingest file.

    Attributes:
        name: of the table in the ingest file.
        product: its kind.
        patterns: files or globs, absolute.
        variables: the file's own names of variables, by the names they have here.
        units: what the values are, by the names they have here, where the file itself gives no unit or a wrong one.
        signs: -1 where the files count the other way, by the same names.
        layers: name -> coordinate or name along a further dimension, for static layers.
        stamps: where stamps stand in their steps if a file has no time bounds.
    """

    name: str
    product: Product
    patterns: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    signs: Mapping[str, int] = field(default_factory=dict)
    layers: Mapping[str, float | str] = field(default_factory=dict)
    stamps: StampsAt = "begin"
