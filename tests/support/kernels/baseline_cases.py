"""Every function of the process baselines: ranges of its arguments for draws, and points at edges of its formula."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from phloem.kernels.models.baselines import (
    air,
    canopy_light,
    evaporation,
    net_radiation,
    p_model,
    pt_jpl,
    respiration,
    water,
)


class BaselineCase(NamedTuple):
    """One function.

    Attributes:
        function: of arrays.
        ranges: of each argument, in order.
        edges: points at or beside an edge.
    """

    function: Callable[..., Any]
    ranges: tuple[tuple[float, float], ...]
    edges: tuple[tuple[float, ...], ...] = ()


LEAF = ((-24.0, 44.0), (2.0, 6000.0), (200.0, 900.0), (5e4, 1.05e5))
LEAF_EDGES = (
    (-60.0, 1000.0, 400.0, 101325.0),  # colder than viscosity is known, and than any yield
    (-25.0, 1000.0, 400.0, 101325.0),
    (20.0, 1.0, 400.0, 101325.0),
    (20.0, 0.0, 400.0, 101325.0),
    (20.0, -50.0, 400.0, 101325.0),
    (45.0, 3000.0, 180.0, 60000.0),  # mj below 0.41
    (45.0, 1000.0, 60.0, 101325.0),  # air below the compensation point
    (75.0, 1000.0, 400.0, 101325.0),  # yield below 0
    (20.0, 1000.0, 1.0, 101325.0),
)
ORGANS = ((1.0, 40.0), (0.05, 0.99), (0.1, 0.9), (10.0, 600.0), (-20.0, 100.0), (1.0, 35.0), (0.2, 0.95))
ORGAN_EDGES = (
    (20.0, 0.0, 0.5, 300.0, 30.0, 25.0, 0.6),
    (20.0, 0.7, 0.5, 300.0, 30.0, 20.0, 0.6),
    (20.0, 1.0, 0.5, 300.0, 30.0, 25.0, 0.6),
    (20.0, 1.2, 1.0, 300.0, 30.0, 25.0, 0.0),
    (20.0, 0.5, 1.05, 300.0, 30.0, 25.0, 0.6),
    (-30.0, 0.5, 0.5, -50.0, -20.0, -20.0, 0.6),
    (-30.0, 0.5, -0.3, -50.0, 0.0, 0.1, 0.6),
    (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.6),
)
BARE = ((20.0, 0.5, 0.05, 300.0, 30.0, 25.0, 0.6), (20.0, 0.5, 0.0, 300.0, 30.0, 25.0, 0.6))

CASES = {
    "density": BaselineCase(water.density, ((-24.0, 45.0), (5e4, 1.05e5))),
    "viscosity": BaselineCase(water.viscosity, ((-24.0, 45.0), (5e4, 1.05e5)), ((-25.0, 1e5), (-60.0, 1e5))),
    "pressure": BaselineCase(air.pressure_of_elevation, ((-400.0, 8000.0),), ((1e5,), (298.15 / 0.0065,))),
    "saturation": BaselineCase(air.saturation_vapour_pressure, ((-60.0, 50.0),)),
    "slope": BaselineCase(air.saturation_slope, ((-60.0, 50.0),)),
    "ppfd": BaselineCase(canopy_light.ppfd_of_shortwave, ((0.0, 400.0),)),
    "ndvi_of_reflectance": BaselineCase(canopy_light.ndvi_of_reflectance, ((0.1, 0.6), (0.02, 0.4))),
    "nirv": BaselineCase(canopy_light.nirv, ((0.1, 0.6), (0.02, 0.4)), ((0.0, 0.0),)),
    "fapar_of_ndvi": BaselineCase(canopy_light.fapar_of_ndvi, ((-0.2, 1.0),), ((0.168 / 1.24,), (1.118 / 1.24,))),
    "fapar_of_lai": BaselineCase(canopy_light.fapar_of_lai, ((0.0, 8.0),)),
    "ndvi_of_lai": BaselineCase(
        canopy_light.ndvi_of_lai,
        ((0.1, 7.0), (0.0, 0.4), (0.5, 0.95), (0.3, 1.0)),
        ((0.0, 0.1, 0.8, 0.9), (8.0, 0.1, 0.8, 0.9), (2.0, 0.1, 0.8, 0.0)),
    ),
    "c3": BaselineCase(p_model.p_model, LEAF, LEAF_EDGES),
    "c4": BaselineCase(partial(p_model.p_model, pathway="c4"), LEAF, LEAF_EDGES),
    "c3 without limits": BaselineCase(partial(p_model.p_model, jmax="none", viscosity="none"), LEAF, LEAF_EDGES),
    "gross_production": BaselineCase(p_model.gross_production, ((0.0, 0.5), (0.0, 1.0), (0.0, 900.0))),
    "mixed_gross_production": BaselineCase(
        p_model.mixed_gross_production, ((0.0, 0.5), (0.0, 0.5), (0.0, 1.0), (0.0, 1.0), (0.0, 900.0))
    ),
    "q10": BaselineCase(respiration.q10, ((-40.0, 45.0), (0.1, 6.0)), ((-300.0, 2.5),)),
    "lloyd_taylor": BaselineCase(
        respiration.lloyd_taylor,
        ((-35.0, 45.0), (0.1, 6.0)),
        ((-46.02, 2.5), (-46.02 + 8e-15, 2.5), (-46.0, 2.5), (-46.1, 2.5), (-200.0, 2.5)),
    ),
    "rref_of_fapar": BaselineCase(respiration.rref_of_fapar, ((0.0, 1.0), (0.0, 3.0), (-2.0, 5.0))),
    "priestley_taylor": BaselineCase(
        evaporation.priestley_taylor,
        ((-40.0, 45.0), (-0.1, 1.0), (-50.0, 250.0)),
        ((20.0, 0.2, 100.0), (20.0, 0.1, 0.0)),
    ),
    "water_of_latent_heat": BaselineCase(evaporation.water_of_latent_heat, ((-50.0, 300.0),)),
    "extraterrestrial": BaselineCase(
        net_radiation.extraterrestrial_radiation,
        ((-60.0, 60.0), (1.0, 366.0)),
        ((90.0, 172.0), (-90.0, 172.0), (90.0, 355.0), (66.57, 172.0), (0.0, 81.0), (70.0, 320.0)),
    ),
    "net_radiation": BaselineCase(
        net_radiation.net_radiation,
        ((20.0, 400.0), (-20.0, 40.0), (0.0, 3000.0), (0.0, 4000.0), (-60.0, 60.0), (1.0, 366.0)),
        ((0.0, -30.0, 10.0, 0.0, 85.0, 355.0), (0.0, -30.0, 1e4, 0.0, 70.0, 320.0), (900.0, 20.0, 0.0, 0.0, 0.0, 80.0)),
    ),
    "pt_jpl": BaselineCase(pt_jpl.pt_jpl, ORGANS, (*ORGAN_EDGES, *BARE)),
    "pt_jpl compat": BaselineCase(partial(pt_jpl.pt_jpl, mode="compat"), ORGANS, ORGAN_EDGES[:6]),
    "fapar_of_savi": BaselineCase(pt_jpl.fapar_of_savi, ((-0.5, 1.0),)),
    "relative_humidity": BaselineCase(pt_jpl.relative_humidity, ((-40.0, 45.0), (0.0, 2000.0)), ((20.0, 0.0),)),
}
