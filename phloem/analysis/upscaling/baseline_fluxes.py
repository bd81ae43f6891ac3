"""Baselines of the four fluxes at rows, and the constants of theirs that are fitted to towers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.analysis.upscaling.conditions import Conditions
from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.row_blocks import by_blocks
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.errors import InputError
from phloem.io.flux_towers.tower_quantities import IGBP
from phloem.kernels.models.baselines import evaporation, p_model, pt_jpl, respiration


@dataclass(frozen=True, eq=False)
class BaselineConstants:
    """Respiration at the reference temperature, Rref = intercept + slope fAPAR + what its plant class adds.

    Attributes:
        intercept: gC m-2 d-1.
        slope: gC m-2 d-1 per unit of absorbed share of light.
        of_class: by plant class in the order of `IGBP`, gC m-2 d-1, (classes,).
    """

    intercept: float
    slope: float
    of_class: np.ndarray

    LENGTH = 2 + len(IGBP)

    def to_array(self) -> np.ndarray:
        """Return the constants as float64 (LENGTH,)."""
        return np.concatenate([[self.intercept, self.slope], self.of_class])

    @classmethod
    def from_array(cls, values: np.ndarray) -> BaselineConstants:
        """Return the constants that `to_array` returned."""
        if values.shape != (cls.LENGTH,):
            raise InputError(f"constants of baselines are {cls.LENGTH} numbers, not an array of shape {values.shape}")
        return cls(float(values[0]), float(values[1]), np.asarray(values[2:], dtype=np.float64))


def baseline_fluxes(
    columns: Columns, conditions: Conditions, constants: BaselineConstants, options: BaselineOptions
) -> dict[str, np.ndarray]:
    """Return the baselines of gpp, reco, nee in gC m-2 d-1 and le in W m-2, float64 (rows,).

    Args:
        columns: drivers of the rows.
        conditions: of the same rows.
        constants: fitted to towers.
        options: choices of the baselines.
    """
    fixed = fixed_baselines(columns, conditions, options)
    factor = respiration_factor(conditions, options)
    reco = reference_respiration(columns, conditions, constants) * factor
    return {"gpp": fixed["gpp"], "reco": reco, "nee": reco - fixed["gpp"], "le": fixed["le"]}


def fixed_baselines(columns: Columns, conditions: Conditions, options: BaselineOptions) -> dict[str, np.ndarray]:
    """Return what has no fitted constant, float64 (rows,).

    Args:
        columns: drivers of the rows; PT-JPL also reads TOPT, degC, at which plants of the place do best
            (`place_climate`), and G, ground heat flux, 0 where unknown.
        conditions: of the same rows.
        options: choices of the baselines.

    Returns:
        The baselines of gpp, gC m-2 d-1, and le, W m-2; iwue, intrinsic water use efficiency of C3 leaves, umol mol-1.

    Raises:
        InputError: PT-JPL without TOPT.
    """
    if options.le == "pt-jpl" and "TOPT" not in columns:
        raise InputError(
            "le = 'pt-jpl' needs the column TOPT of each place; add it with place_climate.with_place_climate"
        )
    missing = np.full(len(conditions.ta), np.nan)
    names = ("ta", "pa", "vpd", "co2", "ppfd", "fapar", "ndvi", "rnet", "c4")
    of_rows = {name: columns.get(name, missing) for name in ("G", "TOPT", "ndvi_max")}
    return by_blocks(_compiled(options), {name: getattr(conditions, name) for name in names} | of_rows)


@cache
def _compiled(options: BaselineOptions) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return `_fixed` for some choices, compiled."""

    def fixed(c: dict[str, Any]) -> dict[str, Any]:
        return _fixed(c, options)

    compiled: Callable[[dict[str, Any]], dict[str, Any]] = jax.jit(fixed)
    return compiled


def _fixed(c: dict[str, Any], options: BaselineOptions) -> dict[str, Any]:
    """Return what `fixed_baselines` returns, for a block of rows."""
    c3, c4 = (
        p_model.p_model(c["ta"], c["vpd"], c["co2"], c["pa"], pathway=pathway, jmax=options.jmax)
        for pathway in p_model.PATHWAYS
    )
    gpp = p_model.mixed_gross_production(c3.lue, c4.lue, c["c4"], c["fapar"], c["ppfd"])
    if options.le == "priestley-taylor":
        le = evaporation.priestley_taylor(c["ta"], c["ndvi"], c["rnet"]).le
    elif options.le == "pt-jpl":
        humidity = pt_jpl.relative_humidity(c["ta"], c["vpd"])
        ground = jnp.nan_to_num(c["G"], nan=0.0)
        greenest = pt_jpl.fapar_of_savi(jnp.where(jnp.isnan(c["ndvi_max"]), c["ndvi"], c["ndvi_max"]))
        le = pt_jpl.pt_jpl(c["ta"], humidity, c["ndvi"], c["rnet"], ground, c["TOPT"], greenest).le
    else:
        raise InputError(f"le {options.le!r} is none of priestley-taylor, pt-jpl")
    return {"gpp": gpp, "le": le, "iwue": c3.iwue}


def respiration_factor(conditions: Conditions, options: BaselineOptions) -> np.ndarray:
    """Return respiration over that at the reference temperature, float64 (rows,)."""
    return by_blocks(_compiled_factor(options.reco), {"ta": conditions.ta})["factor"]


@cache
def _compiled_factor(form: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the response of respiration to temperature, compiled."""
    responses: dict[str, Callable[..., Any]] = {"q10": respiration.q10, "lloyd-taylor": respiration.lloyd_taylor}
    if form not in responses:
        raise InputError(f"reco {form!r} is none of {', '.join(responses)}")

    def factor(c: dict[str, Any]) -> dict[str, Any]:
        return {"factor": responses[form](c["ta"], 1.0)}

    compiled: Callable[[dict[str, Any]], dict[str, Any]] = jax.jit(factor)
    return compiled


def reference_respiration(columns: Columns, conditions: Conditions, constants: BaselineConstants) -> np.ndarray:
    """Return respiration at the reference temperature, gC m-2 d-1, (rows,)."""
    by_light = 0.0 if constants.slope == 0.0 else constants.slope * conditions.fapar
    return np.asarray(constants.intercept + by_light + np.append(constants.of_class, 0.0)[_class_position(columns)])


def fit_constants(
    columns: Columns,
    conditions: Conditions,
    reco: np.ndarray,
    options: BaselineOptions,
    factor: np.ndarray | None = None,
) -> BaselineConstants:
    """Fit respiration at the reference temperature to rows, by least squares.

    Args:
        columns: drivers of the rows.
        conditions: of the same rows.
        reco: observed respiration, gC m-2 d-1, (rows,), NaN where there is none.
        options: choices of the baselines; `rref` says the form.
        factor: of `respiration_factor`, where it is at hand.

    Raises:
        InputError: too few rows with respiration.
    """
    factor = respiration_factor(conditions, options) if factor is None else factor
    no_class = np.zeros(len(IGBP))
    needed = np.isfinite(reco) & np.isfinite(factor)
    if options.rref == "fapar":
        needed &= np.isfinite(conditions.fapar)
    f, y = factor[needed], reco[needed]
    if len(y) < (2 if options.rref == "fapar" else 1):
        raise InputError(f"{len(y)} rows have RECO and the drivers of its baseline; Rref cannot be fitted to them")
    if options.rref == "fapar":
        matrix = np.stack([f, f * conditions.fapar[needed]], axis=1)
        intercept, slope = np.linalg.lstsq(matrix, y, rcond=None)[0]
        return BaselineConstants(float(intercept), float(slope), no_class)
    everywhere = float(f @ y / (f @ f))
    if options.rref == "constant":
        return BaselineConstants(everywhere, 0.0, no_class)
    if options.rref != "igbp":
        raise InputError(f"rref {options.rref!r} is none of fapar, igbp, constant")
    position = _class_position(columns)[needed]
    square = np.bincount(position, f * f, len(IGBP) + 1)[: len(IGBP)]
    product = np.bincount(position, f * y, len(IGBP) + 1)[: len(IGBP)]
    value = np.divide(product, square, out=np.full(len(IGBP), everywhere), where=square > 0.0)
    return BaselineConstants(everywhere, 0.0, value - everywhere)


def _class_position(columns: Columns) -> np.ndarray:
    """Return positions in `IGBP`, one beyond its last where unknown, int64 (rows,)."""
    igbp = columns.get("igbp")
    if igbp is None:
        return np.full(len(columns["month"]), len(IGBP))
    known = (igbp >= 1.0) & (igbp <= len(IGBP))
    return np.where(known, igbp - 1.0, len(IGBP)).astype(np.int64)
