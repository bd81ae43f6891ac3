"""Variables of an application's tiles: fluxes of the months of places that have drivers, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from phloem.io.campaign.tile_schema import TileSchema, TileVariable

INTERVAL = ("lower", "upper")
SPREAD = ("spread_lower", "spread_upper")
"""Ends of the conformal interval, and of the members' spread."""


def value_names(fluxes: Sequence[str], spread: bool) -> list[str]:
    """Return the names of what is kept of each month of a place, as float32."""
    ends = (*INTERVAL, *(SPREAD if spread else ()))
    return [*fluxes, *(f"{flux}_{end}" for flux in fluxes for end in ends), "dissimilarity"]


def application_schema(fluxes: Sequence[str], spread: bool) -> TileSchema:
    """Return what a tile holds: months of places that have all drivers, in the order of the places."""

    def block(kind: str, long_name: str, *more: str) -> TileVariable:
        return TileVariable(("cell", *more), (kind,), "1" if kind != "str" else "", long_name)

    def value(kind: str, units: str, long_name: str) -> TileVariable:
        return TileVariable(("value",), (kind,), units, long_name)

    variables = {
        "cell": block("str", "block of rows or sites"),
        "status": block("i1", "what became of the block", "member"),
        "first": block("i8", "first row"),
        "stop": block("i8", "first row of the next block"),
        "place": value("i4", "1", "position of the place among all, row by row"),
        "month": value("i2", "1", "position of the month among all"),
        "inside": value("i1", "1", "whether it is in the area of applicability"),
    }
    for name in value_names(fluxes, spread):
        variables[name] = value("f4", "", name.replace("_", " "))
    return TileSchema(variables, {})
