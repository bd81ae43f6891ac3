"""Recovery of the true parameters of synthetic cells by a calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phloem.analysis.report.figures.tower_figures import recovery_figure
from phloem.analysis.report_data.tower_product import TowerProduct, apart, middle, position
from phloem.analysis.style.wording import fixed, number, typeset
from phloem.errors import InputError
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.model_tables import Parameter

Truth = Mapping[str, Mapping[str, float]]
"""Cell -> parameter -> physical value."""


def recovery(product: TowerProduct, truth: Truth) -> dict[str, Any] | None:
    """Compare medians and members with the truth.

    Args:
        product: The merged product.
        truth: True parameters of some cells; cells outside the product are ignored.

    Returns:
        Figure, rows by parameter, rows by cell and coverage for the template, or None without a known cell.

    Raises:
        InputError: A parameter of the truth is not one of the model.
    """
    known = {cell: truth[cell] for cell in product.cells if cell in truth}
    valid = product.tables.parameter_names
    strange = sorted({name for values in known.values() for name in values} - set(valid))
    if strange:
        raise InputError(f"unknown parameters in the truth: {', '.join(strange)}; valid: {', '.join(valid)}")
    shown = [one for one in product.tables.shown if any(one.name in values for values in known.values())]
    if not shown:
        return None
    pairs = [[_pair(product, cell, one, known[cell].get(one.name, np.nan)) for cell in known] for one in shown]
    judged = [pair for row in pairs for pair in row if pair["count"]]
    return {
        "figure": recovery_figure(
            "recovery",
            [one.name for one in shown],
            np.array([[pair["place"] for pair in row] for row in pairs]),
            np.array([[pair["places"] for pair in row] for row in pairs]),
        ),
        "rows": [_parameter_row(one, row) for one, row in zip(shown, pairs, strict=True)],
        "cells": [pair for column in zip(*pairs, strict=True) for pair in column if np.isfinite(pair["place"])],
        "inside": sum(pair["inside"] for pair in judged),
        "judged": len(judged),
        "expected": f"{sum((pair['count'] - 1) / (pair['count'] + 1) for pair in judged):.0f}",
        "agree": sum(pair["converged"] for pair in judged),
        "close": sum(pair["converged"] and not pair["inside"] for pair in judged),
    }


def _pair(product: TowerProduct, cell: str, parameter: Parameter, truth: float) -> dict[str, Any]:
    index, slot = product.cells.index(cell), product.tables.column(parameter.name)
    period = parameter.period
    values = product.parameters[index, product.calibrated[index], slot]
    values = values[np.isfinite(values)] if np.isfinite(truth) else values[:0]
    median = product.parameters_median[index, slot]
    if period:
        truth = float(np.mod(truth, period))
        values, median = truth + apart(values, truth, period), truth + float(apart(median, truth, period))
    median = float(median) if np.isfinite(median) else middle(values)
    bias = median - truth if period else 100 * (median - truth) / truth
    below = int((values < truth).sum())
    three = np.array([median, *((values.min(), values.max()) if values.size else (np.nan, np.nan))])
    # Days stay unwrapped round the truth, so that 364 and 2 are neighbours in the figure.
    places = three / period if period else position(three, parameter)
    rcv = product.parameters_rcv[index, slot]
    return {
        "cell": cell,
        "name": parameter.name,
        "unit": typeset(parameter.unit),
        "truth": fixed(truth, 1) if period else number(truth),
        "median": fixed(float(np.mod(median, period)), 1) if period else number(median),
        "bias": bias,
        "bias_text": _bias(bias, period > 0),
        "below": below,
        "count": int(values.size),
        "inside": bool(values.size and values.min() <= truth <= values.max()),
        "converged": bool(rcv <= SCREENING_RCV),
        "place": float(position(np.asarray(truth), parameter)),
        "places": places,
    }


def _bias(bias: float, circular: bool) -> str:
    if not np.isfinite(bias):
        return "–"
    sign = "+" if bias > 0 else ""
    return f"{sign}{fixed(bias, 1)} d" if circular else f"{sign}{fixed(bias, 1)} %"


def _parameter_row(parameter: Parameter, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    judged = [pair for pair in pairs if pair["count"]]
    biases = np.array([pair["bias"] for pair in judged])
    circular = parameter.period > 0
    true = np.array([pair["place"] for pair in judged])
    recovered = np.array([pair["places"][0] for pair in judged])
    enough = len(judged) >= 3 and np.ptp(true) > 0 and np.ptp(recovered) > 0
    return {
        "name": parameter.name,
        "unit": typeset(parameter.unit),
        "meaning": parameter.meaning,
        "cells": len(judged),
        "bias": _bias(middle(biases), circular),
        "error": _bias(middle(np.abs(biases)), circular).lstrip("+"),
        "inside": sum(pair["inside"] for pair in judged),
        "converged": sum(pair["converged"] for pair in judged),
        "correlation": fixed(float(np.corrcoef(true, recovered)[0, 1]), 2) if enough and not circular else "–",
    }
