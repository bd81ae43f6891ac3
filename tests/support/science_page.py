"""The tables of docs/science.md, from the program: pools, parameters, constants, outputs, switches, experiments.

`python -m tests.support.science_page` writes them anew, each between two comments; what stands around them is written
by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from phloem import names
from phloem.io.drivers.variables import VARIABLES
from phloem.io.merge import member_statistics
from phloem.kernels.calibrations.dalec_daily import canopy_calibration, grid_objective, site, site_objective
from phloem.kernels.calibrations.dalec_daily.experiment import GRID_EXPERIMENTS, DalecExperiment
from phloem.kernels.calibrations.dalec_daily.tables import FLUXES, GRID, TOWERS
from phloem.kernels.models.dalec_daily import daily_step, forcing_terms, phenology
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT, Switches
from phloem.kernels.objective import objective
from phloem.kernels.optimise import lanes
from phloem.kernels.optimise.adam import AnnealedAdam
from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs
from phloem.names import FORCING
from tests.support.kernels.builders import STATE, G
from tests.support.science_baselines import BASELINE_TABLES
from tests.support.science_monthly import MONTHLY_TABLES
from tests.support.science_tables import number, numbers_of, table, unknowns

PAGE = Path(__file__).parents[2] / "docs/science.md"
BY = "written by `python -m tests.support.science_page`"

FORCING_SYMBOLS = {"tasmin": "Tn", "tasmax": "Tx", "rsds": "R", "co2": "ca", "vpd": "D", "pr": "P"}

OUTPUT_SYMBOLS = {
    "lai": "lai",
    "gpp": "GPP",
    "et": "ET",
    "ra": "Ra",
    "rh_litter": "h_l",
    "rh_som": "h_s",
    "nee": "NEE",
    "reco": "RECO",
    "beta": "β",
    "labile_release": "r_l",
    "leaf_litter": "x_f",
    "runoff_paw": "q_p",
    "violation": "",
}

CONSTANTS = (
    ("θ", daily_step.ACM_THETA, "umol mol-1", "ACM: CO2 compensation point"),
    ("κ", daily_step.ACM_KAPPA, "umol mol-1", "ACM: CO2 half-saturation point"),
    ("c1", daily_step.ACM_C1, "gC MJ-1", "ACM: quantum yield of a closed canopy"),
    ("c2", daily_step.ACM_C2, "1", "ACM: square of the LAI at which half of that yield is reached"),
    ("a2", forcing_terms.ACM_A2, "degC-1", "ACM: temperature response"),
    ("b2", forcing_terms.ACM_B2, "degC", "ACM: hydraulic coefficient, times a resistance of 1"),
    ("d1", forcing_terms.ACM_D1, "h-1", "ACM: slope of the day-length factor"),
    ("d2", forcing_terms.ACM_D2, "1", "ACM: intercept of the day-length factor"),
    (
        "abs(ψ)^eb",
        forcing_terms.ACM_PSI_POWER,
        "MPa^eb",
        "ACM: leaf water-potential difference 2, to the power 0.789798",
    ),
    ("ε", forcing_terms.OBLIQUITY_DEGREES, "degrees", "obliquity"),
)

MENDED = {
    "foliar_floor": (
        "litterfall closes the balance",
        "litterfall is 1 gC m-2 d-1, the number of the floor",
        "each day at the floor made up to 1 g of litter from nothing",
    ),
    "paw_floor": (
        "c = drainage + excess; ET and violation where c < 0",
        "q_p = P - ET - (1 - h) ΔW, x_pu = P - ET - h ΔW; where that q_p < 0: ET as in `strict`, no drainage, "
        "violation -0.01 q_p",
        "a bracket in the wrong place: P - ET of water lost or made, and violations on days with enough of it",
    ),
    "paw_ceiling": (
        "q_p = (1 - h) c, x_pu = h c",
        "the same two expressions, whatever their sign",
        "as above; h is identified by the slip alone",
    ),
    "puw_ceiling": ("drainage closes the balance", "drainage stays as it was", "water above the ceiling vanished"),
    "rate_form": (
        "C k, litter and SOM never losing more than they hold",
        "C (1 - (1 - k))",
        "in float32 1 - (1 - k) is a multiple of 6e-8: a k_som of 1e-7 became 1.19e-7, and gradients did not know",
    ),
    "edc_sigmoid": (
        "ln(1 + exp z) as softplus",
        "-ln(1 / (1 + exp z))",
        "infinite in float32 beyond z = 88.7, close behind a wall: six of ten random starts at a tower met it",
    ),
    "edc3_rate": (
        "A_L / 365.25",
        "1 / (365.25 L)",
        "the leaf fall that is simulated, 7.0 yr-1 and not 1.0 at L = 1.001",
    ),
    "edc4_temperature": (
        "k_som",
        "k_som",
        "`cardamom`: k_som exp(q Tm), from times when M was 1 at 0 degC; M is 1 at Tm, so that no factor is due",
    ),
    "pole_guard": (
        "latitude within 89.99 degrees",
        "any",
        "in float32 tan(90 degrees) has the wrong sign: polar day for night",
    ),
    "state_dtype": (
        "wood and SOM carry the rounding error of their updates",
        "plain sums",
        "in float32 1e5 g has an ulp of 0.008 g, the size of a day's change",
    ),
    "carbon_ceilings": (
        "what pools at their ceilings cannot hold costs the overflow",
        "free",
        "a stock at its ceiling fed litter and respiration as no parameter says, and calibrations made use of it",
    ),
}
"""Of each switch what `strict` does, what `compat` does, and what that mends."""

NUMBERS = (
    ("violation, a mm of unmet demand", daily_step, "VIOLATION_PER_MM"),
    ("overflow, a g m-2", daily_step, "OVERFLOW_PER_GRAM"),
    ("weight of the prior on ce", site_objective, "CE_WEIGHT"),
    ("least ce_opt that has one", site_objective, "CE_LEAST"),
    ("weight of the priors from maps", grid_objective, "MAP_WEIGHT"),
    ("SD of mapped LCMA, as a share of it", grid_objective, "LCMA_SPREAD"),
    ("SD of mapped CUE", grid_objective, "F_AUTO_SPREAD"),
    ("allowed abs(ln Rs) of a steady pool", objective, "EQUILIBRIUM_FACTOR"),
    ("allowed abs(Rs - Rm)", objective, "EQUILIBRIUM_TOLERANCE"),
    ("least mean In and Out, g m-2 d-1", site_objective, "LEAST_RATIO_FLUX"),
    ("initial PAW of a lane, mm", site, "START_PAW"),
    ("percentile of EF, pre-calibration of ce", canopy_calibration, "PERCENTILE"),
    ("trial values of ce", canopy_calibration, "POINTS"),
    ("golden-section steps after them", canopy_calibration, "REFINEMENTS"),
    ("redraws of a lane", lanes, "MAX_REDRAWS"),
    ("loss above the cell's least that is a poor basin", names, "POOR_BASIN_GAP"),
    ("share of a range, in logarithms, that is at a bound", names, "NEAR_BOUND"),
    ("members of a median, at least", member_statistics, "LEAST_MEMBERS"),
    ("rCV above which a median is screened", member_statistics, "SCREENING_RCV"),
)
"""Numbers of the calibration: what they are, and their module and name."""

EXPERIMENTS = ("site", *GRID_EXPERIMENTS)

CHECKED_DAY = {"tasmin": 8.0, "tasmax": 20.0, "rsds": 18.0, "co2": 390.0, "vpd": 8.0, "pr": 2.0}
"""Forcing of the day to check against, of which the page says the rest."""


def forcing() -> str:
    """Return the table of the daily forcing."""
    rows = ((FORCING_SYMBOLS[name], f"`{name}`", VARIABLES[name].unit, VARIABLES[name].long_name) for name in FORCING)
    return table(("symbol", "name", "unit", "what"), rows)


def pools() -> str:
    """Return the table of the pools, in the order of files."""
    return unknowns(TOWERS.pools, TOWERS.unknowns)


def parameters() -> str:
    """Return the table of the parameters, in the order of files."""
    return unknowns(TOWERS.parameters, TOWERS.unknowns)


def constants() -> str:
    """Return the table of the constants that are no parameters."""
    return table(
        ("symbol", "value", "unit", "what"),
        ((symbol, number(value), unit, what) for symbol, value, unit, what in CONSTANTS),
    )


def offset() -> str:
    """Return the coefficients of the offset polynomial."""
    return "```\n" + "".join(f"{value:.15g}\n" for value in phenology.OFFSET) + "```\n"


def outputs() -> str:
    """Return the table of the daily outputs."""
    rows = ((OUTPUT_SYMBOLS[one.name], f"`{one.name}`", one.unit, one.meaning) for one in FLUXES)
    return table(("symbol", "name", "unit", "what"), rows)


def derived() -> str:
    """Return the table of what follows from a parameter set."""
    rows = [(f"`{one.name}`", one.unit, one.meaning) for one in TOWERS.derived.quantities]
    return table(("name", "unit", "what"), rows)


def check() -> str:
    """Return a parameter set, a state, a day's forcing and what the day gives."""
    strict = daily_step.dalec("strict")
    day = {name: np.array([value]) for name, value in CHECKED_DAY.items()}
    terms = forcing_terms.weather(np.array([546]), np.array([180]), 60.0, day, 1, STRICT, (2.0, 1.5))
    weather = forcing_terms.Weather(*(jnp.asarray(field[0]) for field in terms))
    constants_of_lane = strict.prepare(strict.inputs_of_values(jnp.asarray(G)))
    _, found = strict.step(strict.first_state(jnp.asarray(STATE)), constants_of_lane, weather)
    names = [one.name for one in (*FLUXES, *TOWERS.pools)]
    given = (
        ("parameters", (number(value) for value in G)),
        ("pools", (number(value) for value in STATE)),
        ("forcing", (f"{FORCING_SYMBOLS[name]} {number(value)}" for name, value in CHECKED_DAY.items())),
    )
    text = "".join(f"{name:12}{', '.join(values).replace(',', '')}\n" for name, values in given)
    values = "".join(f"{name:16}{float(getattr(found, name)):.6g}\n" for name in names)
    return f"```\n{text}\n{values}```\n"


def switches() -> str:
    """Return the table of the differences between strict and compat."""
    assert list(MENDED) == [field.name for field in fields(Switches)]
    rows = (
        (f"`{name}`", f"`{getattr(STRICT, name)}`: {strict}", f"`{getattr(COMPAT, name)}`: {compat}", why)
        for name, (strict, compat, why) in MENDED.items()
    )
    return table(("switch", "`strict`", "`compat`", "what it mends"), rows)


def streams() -> str:
    """Return the table of the observed streams."""
    units = {one.name: one.unit for one in (*FLUXES, *TOWERS.pools)}
    rows = [(f"`{name}`", units[name], "towers, grid cells") for name in TOWERS.streams]
    rows += [(f"`{name}`", units["wood"], "grid cells") for name in GRID.streams if name not in TOWERS.streams]
    return table(("stream", "unit", "where"), rows)


def numbers() -> str:
    """Return the table of the numbers of loss, starts and statistics, with where they stand in the program."""
    return numbers_of(NUMBERS)


def settings() -> str:
    """Return the table of the optimisers' settings as they are by default."""
    adam, fast = AnnealedAdam(), WindowedBfgs()
    keys = dict.fromkeys(one.name for optimiser in (adam, fast) for one in fields(optimiser))

    def shown(optimiser: AnnealedAdam | WindowedBfgs, key: str) -> str:
        value = getattr(optimiser, key) if key in {one.name for one in fields(optimiser)} else ""
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    keys.pop("restarted")  # the experiment sets it
    return table(("key", "`adam`", "`fast`"), ((f"`{key}`", shown(adam, key), shown(fast, key)) for key in keys))


def experiments() -> str:
    """Return the table of the experiments as they are by default."""
    chosen = [
        DalecExperiment.model_validate({"name": name} | ({"edc7": False} if name in GRID_EXPERIMENTS else {}))
        for name in EXPERIMENTS
    ]
    rows = {
        "drivers": lambda one: "towers" if not one.reads_store else "a store of grid cells",
        "simulated": lambda one: _simulated(one) if one.reads_store else "the record",
        "calibration": lambda one: _met(one, one.protocol.calibration) if one.reads_store else "its first half",
        "validation": lambda one: _met(one, one.protocol.validation) if one.reads_store else "what follows",
        "streams": lambda one: ", ".join(one.tables.streams[: None if _fits_biomass(one) else 4]),
        "of biomass": lambda one: one.protocol.biomass if one.reads_store else "none",
        "steady pools": lambda one: ", ".join(one.pools),
        "initial live pools": lambda one: "free" if one.live_caps is None else "near zero",
        "constraints": lambda one: "EDC1 to EDC7" if one.reads_store else "EDC1 to EDC5, steady state",
        "priors": lambda one: "ce, LCMA, f_auto" if one.reads_store else "ce",
    }
    return table(
        ("", *(f"`{name}`" for name in EXPERIMENTS)), ((name, *map(answer, chosen)) for name, answer in rows.items())
    )


def _fits_biomass(experiment: DalecExperiment) -> bool:
    return experiment.reads_store and experiment.protocol.biomass != "none"


def _simulated(experiment: DalecExperiment) -> str:
    protocol = experiment.protocol
    starts = np.array(protocol.years - 1970, "datetime64[Y]")
    days = int(((starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")).astype(int).sum())
    first, last = protocol.forcing
    again = " again and again" if protocol.cycled else ""
    return f"{protocol.simulated} years, {days:,} days: {first}-{last}{again}"


def _met(experiment: DalecExperiment, years: tuple[int, int]) -> str:
    met = [experiment.protocol.last_met(year) for year in years]
    return f"{years[0]}-{years[1]}, simulated years {met[0]}-{met[1]}"


TABLES: dict[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        forcing, pools, parameters, constants, offset, outputs, derived, check,
        switches, streams, settings, numbers, experiments,
    )
} | MONTHLY_TABLES | BASELINE_TABLES  # fmt: skip
"""What stands between the comments of each name."""


def written_anew(text: str) -> str:
    """Return the page with all its tables written anew."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: {BY} -->\n", f"<!-- end of {name} -->\n"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
        assert len(pattern.findall(text)) == 1, f"{PAGE.name}: two comments are due around the table of {name}"
        new = f"{begin}\n{make()}\n{end}"
        text = pattern.sub(lambda _, new=new: new, text)
    return text


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text()))
