"""Tables of docs/science.md on the process baselines of upscaling: what the P-model gives, constants, a check."""

from __future__ import annotations

import re
from collections.abc import Callable

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
from phloem.kernels.models.baselines.p_model import PModel
from tests.support.science_tables import number, numbers_of, table

SYMBOLS = {
    "ca": "ca",
    "gammastar": "Γ",
    "kmm": "K",
    "ns_star": "η",
    "xi": "ξ",
    "chi": "χ",
    "ci": "ci",
    "mj": "mj",
    "f_v": "fv",
    "g_temp": "g",
    "kphio": "φ",
    "lue": "ε",
    "iwue": "",
}

LEAVES = {
    "C3": {"drivers": (20.0, 1000.0, 400.0, 101325.0), "light": (1.0, 800.0), "options": {}},
    "C3, cool": {"drivers": (5.0, 300.0, 400.0, 95000.0), "light": (0.6, 500.0), "options": {}},
    "C4": {"drivers": (20.0, 1000.0, 400.0, 101325.0), "light": (1.0, 800.0), "options": {"pathway": "c4"}},
}
"""T, D, CO2, p; fAPAR, PPFD."""


def baseline_outputs() -> str:
    """Fields of the P-model's result, with units and meanings of its docstring."""
    described = dict(re.findall(r"^ +(\w+): (.+?)\.$", PModel.__doc__ or "", re.M))
    rows = ((SYMBOLS[name], f"`{name}`", described[name]) for name in PModel._fields)
    return table(("symbol", "name", "what, unit"), rows)


def baseline_numbers() -> str:
    """Constants of the baselines, and where they stand."""
    return numbers_of(
        (
            ("Γ at 25 degC and standard pressure, Pa", p_model, "GAMMASTAR_25"),
            ("Kc at 25 degC, Pa", p_model, "KC_25"),
            ("Ko at 25 degC, Pa", p_model, "KO_25"),
            ("O2 in air, mol mol-1", p_model, "OXYGEN"),
            ("R, J mol-1 K-1", p_model, "GAS_CONSTANT"),
            ("Mc, g mol-1", p_model, "CARBON_MASS"),
            ("b of C3, 1", p_model, "COST_RATIO_C3"),
            ("b of C4, 1", p_model, "COST_RATIO_C4"),
            ("b of C4 in the public code, 1", p_model, "COST_RATIO_C4_PUBLIC"),
            ("φ0, mol mol-1", p_model, "PHI_REF"),
            ("c*, 1", p_model, "JMAX_COST"),
            ("least D, Pa", p_model, "VPD_FLOOR"),
            ("coldest T of η, degC", water, "COLDEST_VISCOSITY"),
            ("PPFD of shortwave, umol J-1", canopy_light, "PPFD_OF_SHORTWAVE"),
            ("the same in the public code, umol J-1", canopy_light, "PPFD_OF_HALF_SHORTWAVE"),
            ("standard pressure, Pa", air, "STANDARD_PRESSURE"),
            ("Q10, 1", respiration, "Q10"),
            ("Tref, degC", respiration, "REFERENCE_TEMPERATURE"),
            ("E0, K", respiration, "E0"),
            ("T0, degC", respiration, "T0"),
            ("Priestley-Taylor coefficient, 1", evaporation, "PRIESTLEY_TAYLOR"),
            ("γ, kPa K-1", evaporation, "PSYCHROMETRIC"),
            ("γ of PT-JPL, Pa K-1", pt_jpl, "PSYCHROMETRIC_PASCAL"),
            ("latent heat of water, J kg-1", evaporation, "LATENT_HEAT"),
            ("albedo, 1", net_radiation, "ALBEDO"),
        )
    )


def baseline_check() -> str:
    """Leaves to check another program against."""
    columns = {}
    for name, leaf in LEAVES.items():
        found = p_model.p_model(*leaf["drivers"], **leaf["options"])
        gross = p_model.gross_production(found.lue, *leaf["light"])
        columns[name] = {**found._asdict(), "GPP": gross}
    rows = [
        (given, *(number(leaf[group][place]) for leaf in LEAVES.values()))
        for given, group, place in (
            *((name, "drivers", place) for place, name in enumerate(("T", "D", "CO2", "p"))),
            ("fAPAR", "light", 0),
            ("PPFD", "light", 1),
        )
    ]
    fields = (*PModel._fields, "GPP")
    rows += [(f"`{name}`", *(f"{float(column[name]):.8g}" for column in columns.values())) for name in fields]
    return table(("", *LEAVES), rows)


BASELINE_TABLES: dict[str, Callable[[], str]] = {
    one.__name__: one for one in (baseline_outputs, baseline_numbers, baseline_check)
}
