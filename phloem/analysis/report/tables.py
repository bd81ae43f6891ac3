"""Tables of the report: scores, members, parameters and failed lanes, as text for the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from phloem.analysis.report_data.tower_product import Floats, Integers, TowerProduct, middle, position
from phloem.analysis.style.plot_style import OKABE_ITO
from phloem.analysis.style.wording import _BLANK, fixed, number, typeset
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.merge.at_bounds import at_bound
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.model_tables import Parameter
from phloem.names import POOR_BASIN_GAP, STATUS, STOP

_STRIP = 200
_STATUS_WORDS = {code: name.replace("_", " ") for name, code in STATUS.items()}
_STOP_WORDS = {code: name for name, code in STOP.items() if name != "none"}
_BETTER, _WORSE = (0, 114, 178), (213, 94, 0)


def shade(score: float) -> str:
    """Return the background and ink of an NNSE: orange below 0.5 (worse than the mean), blue above, white at 0.5."""
    if not np.isfinite(score):
        return ""
    depth = min(abs(score - 0.5) / 0.5, 1.0)
    end = _BETTER if score >= 0.5 else _WORSE
    mixed = [round(255 + (channel - 255) * depth) for channel in end]
    linear = [(c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in mixed]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    ink = "#fff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.055 else "#111"
    return f"background:#{mixed[0]:02x}{mixed[1]:02x}{mixed[2]:02x};color:{ink}"


def score_rows(product: TowerProduct) -> list[dict[str, Any]]:
    """Return the NNSE by stream of every cell: the members' median and the member of lowest loss."""
    rows = []
    for index, cell in enumerate(product.cells):
        best = product.best_member(index)
        scores = []
        for window in (product.nnse[index], product.nnse_validation[index]):
            kept = np.where(product.calibrated[index][:, None], window, np.nan)
            for stream in range(len(product.tables.streams)):
                centre = middle(kept[:, stream])
                scores.append(
                    {
                        "median": fixed(centre),
                        "best": fixed(kept[best, stream] if best is not None else np.nan),
                        "style": shade(centre),
                        "message": "" if np.isfinite(centre) else _why_empty(product, index),
                    }
                )
        rows.append({"cell": cell, "scores": scores, "lanes": _lane_words(product, index), "best": best})
    return rows


def _why_empty(product: TowerProduct, index: int) -> str:
    return "no obs." if product.calibrated[index].any() else "not calibrated"


def _lane_words(product: TowerProduct, index: int) -> str:
    return f"{int(product.calibrated[index].sum())}/{product.members}"


def member_rows(product: TowerProduct, index: int) -> list[dict[str, Any]]:
    """Return status, end loss and its terms of every member of a cell."""
    best = product.best_member(index)
    least = product.loss[index, best] if best is not None else np.nan
    return [
        {
            "member": member,
            "colour": OKABE_ITO[member % len(OKABE_ITO)],
            "status": _STATUS_WORDS.get(code, f"unknown status {code}")
            + (", borrowed" if product.borrowed[index, member] > 0 else ""),
            "gap": fixed(product.loss[index, member] - least, 2),
            "failed": not product.calibrated[index, member],
            "best": member == best,
            "redraws": int(product.redraws[index, member]),
            "iterations": f"{int(product.iterations[index, member]):,}",
            "gradients": fixed(product.gradient_equivalents[index, member], 0),
            "stopped": _STOP_WORDS.get(int(product.stop[index, member]), ""),
            "loss": fixed(product.loss[index, member]),
            "terms": [fixed(product.loss_terms[index, member, term]) for term in range(len(product.tables.terms))],
            "best_loss": fixed(product.best_loss[index, member]),
        }
        for member, code in enumerate(product.status[index].tolist())
    ]


def ceiling_words(product: TowerProduct, index: int) -> str:
    """Return which members that count hold which pool at its ceiling, and on how many days; empty where none does."""
    words = []
    for slot, pool in enumerate(product.tables.pools):
        days = product.ceiling_days[index, :, slot]
        there = np.flatnonzero((days > 0) & product.calibrated[index]).tolist()
        if there:
            who = ", ".join(f"{member} ({days[member]:.0f} days)" for member in there)
            words.append(f"{pool.name} stands at its ceiling of {number(pool.upper)} {pool.unit} in members {who}")
    return "; ".join(words)


def parameter_rows(product: TowerProduct, index: int) -> list[dict[str, Any]]:
    """Return one row a parameter of a cell: where the members lie between the bounds, median and rCV."""
    rows = []
    for parameter in product.tables.shown:
        slot, period = product.tables.column(parameter.name), parameter.period
        found = np.where(product.calibrated[index], product.parameters[index, :, slot], np.nan)
        values = np.mod(found, period) if period else found
        median, rcv = product.parameters_median[index, slot], product.parameters_rcv[index, slot]
        median = np.mod(median, period) if period else median
        rows.append(
            {
                "name": parameter.name,
                "unit": typeset(parameter.unit),
                "meaning": parameter.meaning,
                "low": "0" if period else number(parameter.lower),
                "high": number(period, 5) if period else number(parameter.upper),
                "strip": strip(
                    position(values, parameter),
                    float(position(np.asarray(median), parameter)),
                    "; ".join(f"member {m}: {number(v)}" for m, v in enumerate(values) if np.isfinite(v)),
                ),
                "median": fixed(median, 1) if period else number(median),
                "rcv": _rcv_words(rcv, bool(np.isfinite(median))),
                "unconverged": bool(rcv > SCREENING_RCV),
                "stopped": bound_words(found, parameter),
            }
        )
    return rows


def _rcv_words(rcv: float, judged: bool) -> str:
    if judged and np.isnan(rcv):
        return "at bound"
    return "<0.01" if 0 < rcv < 0.005 else fixed(rcv, 2)


def bound_words(values: Floats, parameter: Parameter) -> str:
    """Return how many members stand at which bound, empty where none does.

    Args:
        values: of the members, (members,), NaN for those that do not count.
        parameter: with its bounds.
    """
    where = at_bound(np.asarray(values, float)[:, None], [parameter])[:, 0]
    count = int(np.isfinite(values).sum())
    words = [
        f"{int((where == side).sum())} of {count} at the {name} bound"
        for side, name in ((-1, "lower"), (1, "upper"))
        if (where == side).any()
    ]
    return ", ".join(words)


def strip(positions: Floats, median: float, title: str) -> str:
    """Return a line from the lower to the upper bound with a dot a member and a tick at the median, as SVG."""
    parts = [
        f'<svg class="strip" viewBox="0 0 {_STRIP} 16" role="img">',
        f"<title>{title or 'not calibrated'}</title>",
        f'<path d="M6 8H{_STRIP - 6}M6 4v8M{_STRIP - 6} 4v8" stroke="#b9b9b4" fill="none"/>',
    ]

    def place(value: float) -> str:
        return f"{6 + (_STRIP - 12) * min(max(value, 0.0), 1.0):.1f}"

    if np.isfinite(median):
        parts.append(f'<path d="M{place(median)} 1v14" stroke="#222" stroke-width="1.6"/>')
    for member, value in enumerate(positions.tolist()):
        if np.isfinite(value):
            colour = OKABE_ITO[member % len(OKABE_ITO)]
            parts.append(f'<circle cx="{place(value)}" cy="8" r="3.6" fill="{colour}" fill-opacity=".8"/>')
    if not np.isfinite(positions).any():
        parts.append(f'<text x="{_STRIP / 2:g}" y="11" text-anchor="middle">not calibrated</text>')
    return "".join([*parts, "</svg>"])


def agreement_rows(product: TowerProduct) -> list[dict[str, Any]]:
    """Return one row a parameter over all cells of a product (`agreement_row`)."""
    rows = []
    for one in product.tables.shown:
        slot = product.tables.column(one.name)
        rows.append(agreement_row(one, product.parameters_median[:, slot], product.parameters_rcv[:, slot]))
    return rows


def agreement_row(parameter: Parameter, median: Floats, rcv: Floats) -> dict[str, Any]:
    """Return in how many cells the members agree on a parameter, and the range of their medians.

    Args:
        parameter: the parameter.
        median: (cells,), NaN where fewer than three members are calibrated.
        rcv: (cells,); missing where a median is: most members stand at a bound there.
    """
    stopped = int((np.isfinite(median) & np.isnan(rcv)).sum())
    judged = np.isfinite(median) & ~np.isnan(rcv)
    medians = median[judged]
    agree = int((rcv[judged] <= SCREENING_RCV).sum())
    count = int(judged.sum())
    span = f"{number(medians.min(), 3)} to {number(medians.max(), 3)}" if count else _BLANK
    return {
        "name": parameter.name,
        "unit": typeset(parameter.unit),
        "meaning": parameter.meaning,
        "agree": agree,
        "stopped": stopped,
        "count": count,
        "share": f"{100 * agree / count:.0f}" if count else "0",
        "rcv": fixed(middle(rcv), 2),
        "span": _BLANK if parameter.period and count > 1 else span,
    }


def failed_lanes(cells: Sequence[str], status: Integers, redraws: Integers) -> list[dict[str, Any]]:
    """Return every lane that does not count, those of a cell that failed alike together, and what to do.

    Args:
        cells: names.
        status: (cells, members), of `names.STATUS`.
        redraws: (cells, members).
    """
    advice = {
        STATUS["diverged"]: (
            "every redraw diverged; read this cell's data findings, mend the data or take another seed: ",
            ["phloem run CAMPAIGN.toml --set campaign.seed=1 --out OTHER"],
        ),
        STATUS["poor_basin"]: (
            f"its loss is more than {POOR_BASIN_GAP:g} above the cell's least; try it again from new starts: ",
            ["phloem retry DIR --lanes"],
        ),
        STATUS["dead_stand"]: (
            "its foliage stays at its floor all through the last year; try it again from new starts: ",
            ["phloem retry DIR --lanes"],
        ),
        STATUS["missing"]: ("its tile has no committed result: ", ["phloem retry DIR"]),
        STATUS["set_aside"]: ("its computation was given up: ", ["phloem retry DIR --lanes"]),
    }
    groups: dict[tuple[int, int, int], list[int]] = {}
    for index, member in np.argwhere(~good_lanes(status)).tolist():
        key = (index, int(status[index, member]), int(redraws[index, member]))
        groups.setdefault(key, []).append(member)
    return [
        {
            "cell": cells[index],
            "members": ", ".join(map(str, members)),
            "status": _STATUS_WORDS.get(state, f"unknown status {state}"),
            "redraws": redraws,
            "before": advice.get(state, ("", []))[0],
            "commands": advice.get(state, ("", ["phloem retry DIR"]))[1],
        }
        for (index, state, redraws), members in groups.items()
    ]
