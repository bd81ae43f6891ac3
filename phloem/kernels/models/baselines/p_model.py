"""Gross primary production by light-use efficiency with the efficiency of the P-model (uflux.md section 1)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.air import STANDARD_PRESSURE
from phloem.kernels.models.baselines.edges import at_least, floats, require_choice, root
from phloem.kernels.models.baselines.water import viscosity as water_viscosity

GAS_CONSTANT = 8.3145
"""J mol-1 K-1."""

CARBON_MASS = 12.0107
"""g mol-1."""

OXYGEN = 0.209476
"""Mole fraction of oxygen, mol mol-1."""

GAMMASTAR_25 = 4.332
"""Photorespiratory compensation point at 25 degC and standard pressure, Pa; Bernacchi et al. 2001."""

KC_25 = 39.97
"""Michaelis constant of carboxylation at 25 degC, Pa; Bernacchi et al. 2001."""

KO_25 = 27480.0
"""Michaelis constant of oxygenation at 25 degC, Pa; Bernacchi et al. 2001."""

ACTIVATION = {"gammastar": 37830.0, "kc": 79430.0, "ko": 36380.0}
"""Activation energies, J mol-1; Bernacchi et al. 2001."""

COST_RATIO_C3 = 146.0
"""Cost of carboxylation over that of transpiration at 25 degC, 1; Stocker et al. 2020."""

COST_RATIO_C4 = 146.0 / 9.0
"""The same of C4 plants, 1; Scott and Smith 2022 (pyrealm)."""

COST_RATIO_C4_PUBLIC = 16.22
"""The same in the public code of UFLUX (uflux.md 10.9), 1."""

PHI_REF = 0.081785
"""Intrinsic quantum yield before its temperature response, mol mol-1; a calibration of C3 with Jmax limitation."""

JMAX_COST = 0.41
"""c* of Wang et al. 2017, 1."""

VPD_FLOOR = 1.0
"""Pa: our choice."""

YIELD_RESPONSE = {"c3": (0.352, 0.022, -0.00034), "c4": (-0.064, 0.03, -0.000464)}
"""Temperature response of the quantum yield, powers of degC ascending; Bernacchi et al. 2003, Cai and Prentice 2020."""

PATHWAYS = tuple(YIELD_RESPONSE)
JMAX = ("wang17", "none")
VISCOSITY = ("huber", "none")

SECONDS_OF_DAY = 86400.0


class PModel(NamedTuple):
    """Light-use efficiency, and what it comes from.

    Attributes:
        ca: partial pressure of CO2 in air, Pa.
        gammastar: photorespiratory compensation point, Pa.
        kmm: effective Michaelis constant of Rubisco, Pa.
        ns_star: viscosity of water over that at 25 degC and standard pressure, 1.
        xi: sensitivity of chi to vapour pressure deficit, Pa0.5.
        chi: partial pressure of CO2 in leaves over that in air, 1.
        ci: partial pressure of CO2 in leaves, Pa.
        mj: CO2 limitation of light-limited assimilation, 1; below 0 where ca is below gammastar, which counts as 0.
        f_v: limitation by electron transport, 1; 0 where mj <= 0.41.
        g_temp: temperature response of the quantum yield, 1; at least 0.
        kphio: quantum yield, mol mol-1.
        lue: light-use efficiency, gC mol-1 of absorbed photons.
        iwue: intrinsic water-use efficiency, umol mol-1.
    """

    ca: Array
    gammastar: Array
    kmm: Array
    ns_star: Array
    xi: Array
    chi: Array
    ci: Array
    mj: Array
    f_v: Array
    g_temp: Array
    kphio: Array
    lue: Array
    iwue: Array


def p_model(
    ta: ArrayLike,
    vpd: ArrayLike,
    co2: ArrayLike,
    pa: ArrayLike,
    *,
    pathway: str = "c3",
    jmax: str = "wang17",
    viscosity: str = "huber",
    phi_ref: ArrayLike = PHI_REF,
    cost_ratio: ArrayLike | None = None,
) -> PModel:
    """Return the light-use efficiency of the P-model with all that leads to it (uflux.md sections 1, 10.3 and 10.9).

    Arrays broadcast against each other. Derivatives are finite everywhere.

    Args:
        ta: air temperature, degC.
        vpd: vapour pressure deficit, Pa; at least 1 Pa is taken.
        co2: mole fraction of CO2, ppm.
        pa: air pressure, Pa.
        pathway: "c3" or "c4".
        jmax: limitation by electron transport: "wang17", Wang et al. 2017, or "none".
        viscosity: of water: "huber", or "none", as if it were that of 25 degC always.
        phi_ref: quantum yield before its temperature response, mol mol-1.
        cost_ratio: b, 1; None: 146 for C3, 146 / 9 for C4 (`COST_RATIO_C4_PUBLIC` is that of the public code).

    Raises:
        InputError: for a choice that there is not, with those there are.
    """
    require_choice("pathway", pathway, PATHWAYS)
    require_choice("jmax", jmax, JMAX)
    require_choice("viscosity", viscosity, VISCOSITY)
    if cost_ratio is None:
        cost_ratio = COST_RATIO_C3 if pathway == "c3" else COST_RATIO_C4
    ta, vpd, co2, pa, phi_ref, cost_ratio = jnp.broadcast_arrays(*floats(ta, vpd, co2, pa, phi_ref, cost_ratio))
    ca = 1e-6 * co2 * pa
    gammastar = GAMMASTAR_25 * (pa / STANDARD_PRESSURE) * _arrhenius(ta, ACTIVATION["gammastar"])
    kmm = KC_25 * _arrhenius(ta, ACTIVATION["kc"]) * (1.0 + OXYGEN * pa / (KO_25 * _arrhenius(ta, ACTIVATION["ko"])))
    ns_star = jnp.ones_like(ta)
    if viscosity == "huber":
        ns_star = water_viscosity(ta, pa) / water_viscosity(jnp.full_like(ta, 25.0), STANDARD_PRESSURE)
    xi = jnp.sqrt(cost_ratio * (kmm + gammastar) / (1.6 * ns_star))
    share = xi / (xi + jnp.sqrt(at_least(vpd, VPD_FLOOR)))
    ci = gammastar + (ca - gammastar) * share
    mj = (ci - gammastar) / (ci + 2.0 * gammastar) if pathway == "c3" else jnp.ones_like(ta)
    f_v = _electron_transport(mj) if jmax == "wang17" else jnp.ones_like(ta)
    constant, linear, square = YIELD_RESPONSE[pathway]
    g_temp = at_least(constant + linear * ta + square * ta**2, 0.0)
    kphio = phi_ref * g_temp
    return PModel(
        ca, gammastar, kmm, ns_star, xi, ci / ca, ci, mj, f_v, g_temp, kphio,
        lue=kphio * CARBON_MASS * at_least(mj, 0.0) * f_v,
        iwue=0.625 * (ca - ci) / (1e-6 * pa),
    )  # fmt: skip


def gross_production(lue: ArrayLike, fapar: ArrayLike, ppfd: ArrayLike) -> Array:
    """Return gross primary production, gC m-2 d-1.

    Args:
        lue: light-use efficiency, gC mol-1 of absorbed photons.
        fapar: share of photosynthetically active radiation that is absorbed, 1.
        ppfd: photosynthetic photon flux density, umol m-2 s-1, mean over 24 hours.
    """
    lue, fapar, ppfd = floats(lue, fapar, ppfd)
    return lue * fapar * ppfd * (1e-6 * SECONDS_OF_DAY)


def mixed_gross_production(
    c3_lue: ArrayLike, c4_lue: ArrayLike, c4_share: ArrayLike, fapar: ArrayLike, ppfd: ArrayLike
) -> Array:
    """Return gross primary production where C3 and C4 plants share the ground, gC m-2 d-1.

    Args:
        c3_lue: light-use efficiency of C3 plants, gC mol-1 (`p_model(...).lue`).
        c4_lue: light-use efficiency of C4 plants, gC mol-1.
        c4_share: share of C4 plants in the vegetation, 1.
        fapar: share of photosynthetically active radiation that is absorbed, 1.
        ppfd: photosynthetic photon flux density, umol m-2 s-1, mean over 24 hours.
    """
    c3_lue, c4_lue, c4_share, fapar, ppfd = floats(c3_lue, c4_lue, c4_share, fapar, ppfd)
    return gross_production((1.0 - c4_share) * c3_lue + c4_share * c4_lue, fapar, ppfd)


def _arrhenius(ta: Array, energy: float) -> Array:
    """Return a rate over that at 25 degC, 1, from degC and J mol-1."""
    kelvin = ta + 273.15
    return jnp.exp(energy * (kelvin - 298.15) / (298.15 * GAS_CONSTANT * kelvin))


def _electron_transport(mj: Array) -> Array:
    """Return the limitation by electron transport of Wang et al. 2017, 1; 0, with derivative 0, where mj <= 0.41."""
    none = mj <= JMAX_COST
    return jnp.where(none, 0.0, root(1.0 - (JMAX_COST / jnp.where(none, 1.0, mj)) ** (2.0 / 3.0)))
