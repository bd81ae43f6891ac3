"""The tables of docs/science.md on the monthly model, its network and the loss of a patch, from the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import jax.numpy as jnp
import numpy as np

from phloem.io.monthly.cell_months import COLUMNS
from phloem.io.monthly.variable_names import QUANTITIES
from phloem.kernels.models.dalec_monthly import forcing_terms, monthly_step
from phloem.kernels.models.dalec_monthly.file_names import OUTPUT_QUANTITIES, TABLES
from phloem.kernels.models.dalec_monthly.mode_switches import COMPAT, STRICT, MonthlySwitches, switches
from phloem.kernels.models.dalec_monthly.records import CARBON, MOVED, OUTPUTS
from phloem.kernels.network import parameter_network, patch_loss
from phloem.kernels.network.parameter_network import count
from phloem.kernels.network.patch_loss import TERMS, LossWeights
from phloem.kernels.network.set_ups import CONTROLS, GROUPS
from tests.support.kernels.monthly_member import PARAMETERS, POOLS
from tests.support.science_tables import number, numbers_of, table, unknowns

FORCING_SYMBOLS = {
    "tasmin": "Tn",
    "tasmax": "Tx",
    "rsds": "R",
    "co2": "ca",
    "vpd": "D",
    "pr": "P",
    "burned_area": "F",
}

_POOL_SYMBOLS = dict(zip(CARBON, ("lab", "fol", "roo", "woo", "lit", "som"), strict=True))

OUTPUT_SYMBOLS = {
    "lai": "lai",
    "gpp": "GPP",
    "et": "ET",
    "temperate": "M",
    "ra": "Ra",
    "leaf_production": "a_f",
    "labile_production": "a_l",
    "root_production": "a_r",
    "wood_production": "a_w",
    "leaf_fall_rate": "φf",
    "labile_release_rate": "φl",
    "labile_release": "r_l",
    "leaf_litter": "x_f",
    "wood_litter": "x_w",
    "root_litter": "x_r",
    "rh_litter": "h_l",
    "rh_som": "h_s",
    "litter_to_som": "d_ls",
    "runoff": "q_w",
    **{f"{name}_combustion": f"K_{symbol}" for name, symbol in _POOL_SYMBOLS.items()},
    **{f"{name}_fire_litter": f"T_{_POOL_SYMBOLS[name]}" for name in MOVED},
    "fire_emission": "ΣK",
    "nee": "NEE",
    "nbe": "NBE",
    **{name: f"C{symbol}''" for name, symbol in _POOL_SYMBOLS.items()},
    "water": "W'",
    "beta": "β",
    "sif": "SIF",
    "violation": "",
    "vod": "VOD",
}

MENDED = {
    "foliar_floor": (
        "litterfall closes the balance",
        "litterfall is 1 gC m-2 d-1",
        "each month at the floor made up to 30 g of litter from nothing",
    ),
    "dry_runoff": (
        "runoff is 0 where water is not there",
        "runoff stays negative beside an ET that was cut",
        "the deficit counted twice: the balance of files was off by it",
    ),
    "fire_floor": (
        "fire acts on X' less its floor",
        "fire acts on all of X'",
        "pools left the month below their floors, and the next month lifted them by fluxes below 0",
    ),
    "rate_form": (
        "k at most 1",
        "any k",
        "in warm wet months M k can pass 1, where nothing is left to decay; beyond 2, (1 - k)^30 grows past 1",
    ),
    "month_length": ("days of the calendar", "30 days", "twelve months were 360 days, 1.4 % less than a year"),
    "pole_guard": ("latitude within 89.99 degrees", "any", "as of the daily model"),
}
"""Of each switch what `strict` does, what `compat` does, and what that mends."""

LOSSES = {
    "sif": ("E", "SIF", "fluorescence"),
    "lai": ("E", "lai of the month's start", "leaf area index"),
    "biomass": ("E of years", "Clab + Cfol + Croo + Cwoo", "live biomass, gC m-2"),
    "soil_carbon": ("E of the record", "Csom", "soil carbon, gC m-2"),
    "nbe": ("P", "NBE", "net flux of the patch, gC m-2 d-1"),
    "nbe_interannual": ("P of years", "NBE", "the same"),
    "fire": ("P", "ΣK", "fire emission, gC m-2 d-1"),
    "water": ("P", "W less its mean", "anomaly of the patch's water storage, mm"),
    "vod": ("E of years", "VOD", "optical depth; no label of it by default"),
    "tower_gpp": ("E", "GPP", "towers, gC m-2 d-1"),
    "tower_reco": ("E", "GPP + NEE", "towers, gC m-2 d-1"),
    "tower_et": ("E", "ET", "towers, mm d-1"),
    "et": ("E", "ET", "evapotranspiration, mm d-1"),
    "violation": ("sum", "violation", ""),
    "steady_state": ("sum", "edc", ""),
}
"""Of each term how it is compared, what is simulated, and the label."""

CHECKED = {"tasmin": 8.0, "tasmax": 20.0, "rsds": 18.0, "co2": 390.0, "vpd": 8.0, "pr": 2.0, "burned_area": 0.02}
"""Forcing of the month to check against, of which the page says the rest."""


def monthly_forcing() -> str:
    """Return the table of the monthly forcing."""
    rows = (
        (FORCING_SYMBOLS[name], f"`{name}`", f"`{column}`", QUANTITIES[name][0].unit, QUANTITIES[name][0].long_name)
        for name, column in COLUMNS.items()
    )
    return table(("symbol", "name", "column", "unit", "what"), rows)


def monthly_pools() -> str:
    """Return the table of the seven pools."""
    return unknowns(TABLES.pools, TABLES.unknowns)


def monthly_parameters() -> str:
    """Return the table of the parameters, in the order of the network's heads."""
    return unknowns(TABLES.parameters, TABLES.unknowns)


def monthly_outputs() -> str:
    """Return the table of the outputs, in the order of files."""
    assert tuple(OUTPUT_SYMBOLS) == OUTPUTS
    rows = ((OUTPUT_SYMBOLS[name], f"`{one.name}`", one.unit, one.meaning) for name, one in OUTPUT_QUANTITIES.items())
    return table(("symbol", "name", "unit", "what"), rows)


def monthly_switches() -> str:
    """Return the table of the differences between strict and compat."""
    assert list(MENDED) == [field.name for field in fields(MonthlySwitches)]
    rows = (
        (f"`{name}`", f"`{getattr(STRICT, name)}`: {strict}", f"`{getattr(COMPAT, name)}`: {compat}", why)
        for name, (strict, compat, why) in MENDED.items()
    )
    return table(("switch", "`strict`", "`compat`", "what it mends"), rows)


def monthly_check() -> str:
    """Return the quantities of a cell, a month's forcing and what the month gives in both modes."""
    found = {mode: _month(mode) for mode in ("compat", "strict")}
    given = (
        ("parameters", (number(value) for value in PARAMETERS)),
        ("pools", (number(value) for value in POOLS)),
        ("forcing", (f"{FORCING_SYMBOLS[name]} {number(value)}" for name, value in CHECKED.items())),
    )
    text = "".join(f"{name:12}{', '.join(values).replace(',', '')}\n" for name, values in given)
    head = f"{'':28}{'compat':16}strict\n"
    rows = (
        f"{one.name:28}" + "".join(f"{float(getattr(found[mode], name)):<16.8g}" for mode in found).rstrip() + "\n"
        for name, one in OUTPUT_QUANTITIES.items()
    )
    return f"```\n{text}\n{head}{''.join(rows)}```\n"


def _month(mode: str) -> monthly_step.Outputs:
    model = monthly_step.monthly_dalec(mode)
    series = {name: np.array([value]) for name, value in CHECKED.items()}
    terms = forcing_terms.weather(
        np.array([546.0]), np.array([180.0]), 60.0, series, (2.0, 1.5), np.array([30.0]), switches(mode)
    )
    w = model.weather(*(jnp.asarray(one[0]) for one in terms))
    constants = model.prepare(model.inputs_of_values(jnp.asarray(PARAMETERS)))
    return model.step(model.first_state(jnp.asarray(POOLS)), constants, w)[1]


def predictors() -> str:
    """Return the table of the groups of predictors."""
    groups = ((f"`{name}`", len(columns), ", ".join(columns)) for name, columns in {**GROUPS, **CONTROLS}.items())
    return table(("group", "columns", "what"), groups)


def network_numbers() -> str:
    """Return the table of the network's numbers and of the loss of a patch beside its weights."""
    rows = [
        ("layers", parameter_network, "LAYERS"),
        ("units of a layer", parameter_network, "UNITS"),
        ("slope of the activation below 0", parameter_network, "SLOPE"),
        ("biases at first", parameter_network, "BIAS"),
        ("least sum of outflows, and what ln of a steady state adds", patch_loss, "LEAST"),
        ("ln of the drift that edc has as its unit", patch_loss, "EQUILIBRIUM"),
    ]
    most = sum(map(len, GROUPS.values()))
    return f"{numbers_of(rows)}\nThe network of all four groups has {number(count(most))} weights.\n"


def patch_losses() -> str:
    """Return the table of the terms of a patch's loss with their weights."""
    assert tuple(LOSSES) == TERMS
    weights = LossWeights()
    rows = ((f"`{name}`", *LOSSES[name], number(getattr(weights, name))) for name in TERMS)
    return table(("term", "compared as", "simulated", "label", "weight"), rows)


MONTHLY_TABLES: dict[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        monthly_forcing, monthly_pools, monthly_parameters, monthly_outputs, monthly_switches, monthly_check,
        predictors, network_numbers, patch_losses,
    )
}  # fmt: skip
"""What stands between the comments of each name."""
