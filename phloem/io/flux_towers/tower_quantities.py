"""Quantities of monthly tower tables: names, units, meanings (those of FLUXNET where it has them)."""

from __future__ import annotations

from typing import NamedTuple


class TowerQuantity(NamedTuple):
    """One quantity of a tower table.

    Attributes:
        unit: UDUNITS text.
        meaning: long name.
    """

    unit: str
    meaning: str


QUANTITIES = {
    "GPP": TowerQuantity("gC m-2 d-1", "gross primary production, night-time partitioning"),
    "RECO": TowerQuantity("gC m-2 d-1", "ecosystem respiration, night-time partitioning"),
    "NEE": TowerQuantity("gC m-2 d-1", "net ecosystem exchange, positive to the atmosphere"),
    "LE": TowerQuantity("W m-2", "latent heat flux, not closure-corrected"),
    "GPP_DT": TowerQuantity("gC m-2 d-1", "gross primary production, day-time partitioning"),
    "RECO_DT": TowerQuantity("gC m-2 d-1", "ecosystem respiration, day-time partitioning"),
    "LE_CORR": TowerQuantity("W m-2", "latent heat flux, energy-balance corrected"),
    "H": TowerQuantity("W m-2", "sensible heat flux"),
    "G": TowerQuantity("W m-2", "ground heat flux"),
    "RNET": TowerQuantity("W m-2", "net radiation"),
    "TA": TowerQuantity("degC", "air temperature, 24 h mean"),
    "TS": TowerQuantity("degC", "soil temperature, shallowest level"),
    "VPD": TowerQuantity("hPa", "vapour pressure deficit, 24 h mean"),
    "VPD_DAY": TowerQuantity("hPa", "vapour pressure deficit by day, shortwave above 20 W m-2"),
    "SWIN": TowerQuantity("W m-2", "incoming shortwave, 24 h mean"),
    "LWIN": TowerQuantity("W m-2", "incoming longwave, 24 h mean"),
    "P": TowerQuantity("mm d-1", "precipitation"),
    "PA": TowerQuantity("hPa", "air pressure"),
    "CO2": TowerQuantity("ppm", "carbon dioxide mole fraction"),
    "WS": TowerQuantity("m s-1", "wind speed"),
    "SWC": TowerQuantity("%", "soil water content, shallowest level"),
    "LAI": TowerQuantity("1", "leaf area index"),
    "NDVI": TowerQuantity("1", "normalised difference vegetation index"),
    "NIRv": TowerQuantity("1", "near-infrared reflectance of vegetation"),
    "FAPAR": TowerQuantity("1", "share of photosynthetically active radiation that is absorbed"),
    "NEE_QC": TowerQuantity("1", "share measured or filled with good quality, NEE"),
    "LE_QC": TowerQuantity("1", "share measured or filled with good quality, LE"),
    "TA_QC": TowerQuantity("1", "share measured or filled with good quality, air temperature"),
    "SWIN_QC": TowerQuantity("1", "share measured or filled with good quality, shortwave"),
    "VPD_QC": TowerQuantity("1", "share measured or filled with good quality, vapour pressure deficit"),
    "TS_QC": TowerQuantity("1", "share measured or filled with good quality, soil temperature"),
    "RNET_QC": TowerQuantity("1", "share measured, net radiation"),
    "P_QC": TowerQuantity("1", "share measured, precipitation"),
}
"""Quantities with time, by the name that a table has them by."""

OF_SITE = {
    "lat": TowerQuantity("degrees_north", "latitude"),
    "lon": TowerQuantity("degrees_east", "longitude"),
    "elevation": TowerQuantity("m", "height above sea level"),
    "koppen": TowerQuantity("1", "Koeppen-Geiger class by number"),
    "c4_fraction": TowerQuantity("1", "C4 share of vegetation"),
    "ndvi_max": TowerQuantity("1", "maximum of the vegetation index"),
    "ndvi_min": TowerQuantity("1", "minimum of the vegetation index"),
    "fapar_max": TowerQuantity("1", "maximum of the absorbed share of radiation"),
}
"""Numbers of a place that do not change with time."""

IGBP = (
    "ENF", "EBF", "DNF", "DBF", "MF", "CSH", "OSH", "WSA", "SAV", "GRA", "WET", "CRO", "URB", "CVM", "SNO", "BSV",
    "WAT",
)  # fmt: skip
"""Plant classes of the International Geosphere-Biosphere Programme, in the order of their numbers from 1 on."""

FLUXES = {"gpp": "GPP", "reco": "RECO", "nee": "NEE", "le": "LE"}
"""Fluxes that are learned, by the names that files of results have; those of the tables."""
